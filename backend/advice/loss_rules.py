"""The rules about a run's loss curve, for `diagnose`: each returns a verdict, or None
if it does not apply.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from backend.advice.loss import RECENT, current_loss, format_loss, why_not_finite
from backend.records.events import EvalEvent, StepEvent
from backend.records.specs import TrainSettings

FLAT_AFTER = 100  # steps (the guide)
_SPIKE = 1.5  # times the median before it ...
_SPIKE_NATS = 0.3  # ... and at least this far above it
_DIVERGED = 1.3  # times the lowest median so far
_FALL = 0.05  # the share by which a loss has to fall to count as falling
_RISE = 0.03  # the share by which a validation loss has to rise to count as rising
_KNOWN = 0.1  # nats; with a first loss below this there is nothing left to learn
_PERFECT = 0.03  # nats; a first validation loss below this is too good to be true
_FIRST_EPOCHS = 1.0  # the first validation has to come within these
_STILL_HIGH = (
    0.6  # of the first losses; a loss that settles above this has settled early
)
_CHANCE = 0.6  # share of pairs ranked correctly; guessing gives half


@dataclass(frozen=True)
class Verdict:
    """kind: which rule applied. title and what: the finding; next: what to do, "" if
    nothing. retry: the settings to change for another try; None if no change would
    help.
    """

    kind: str
    light: Literal["good", "watch", "bad"]
    title: str
    what: str
    next: str = ""
    retry: dict[str, Any] | None = None


class LossRules:
    """The losses of a run, and a method for each rule."""

    def __init__(
        self,
        steps: Sequence[StepEvent],
        evals: Sequence[EvalEvent],
        settings: TrainSettings,
    ) -> None:
        self.steps, self.evals, self.settings = steps, evals, settings
        self.losses = [event.loss for event in steps]
        self.validation = [event.loss for event in evals]
        self.now = current_loss(self.losses)
        self.validated_before = bool(evals) and evals[0].step == 0
        self.half_rate = {"learning_rate": settings.learning_rate / 2}
        self.higher_rate = {"learning_rate": min(0.1, settings.learning_rate * 1.5)}

    def not_finite(self) -> Verdict:
        which = "validation" if all(map(math.isfinite, self.losses)) else "training"
        learned = len(self.steps) > (
            which == "training"
        )  # a step's loss is that before it learns
        cause = why_not_finite(
            learned, self.settings.precision, self.settings.learning_rate
        )
        steps = max(0, len(self.steps) - 1)
        return Verdict(
            "not_finite",
            "bad",
            "The loss is no longer a number",
            f"After {steps} steps the {which} loss became infinite or undefined. "
            f"{cause.why}",
            cause.next,
            retry=cause.retry,
        )

    def known_already(self) -> Verdict | None:
        before = (
            self.validation[0] if self.validated_before else median(self.losses[:3])
        )
        if before >= _KNOWN:
            return None
        when = f"validation loss was {format_loss(before)} before training"
        if not self.validated_before:
            when = f"training loss was {format_loss(before)} in the first steps"
        return Verdict(
            "known_already",
            "watch",
            "The loss was low from the start",
            f"The {when}: there is hardly anything left to learn.",
            "Check whether the questions already contain the answers, or whether all "
            "examples are alike.",
        )

    def unsteady(self) -> Verdict | None:
        """A loss that rises and stays up, or spikes. Not where the validation loss
        still falls: batches of short and of long examples differ.
        """
        losses = self.losses
        if len(self.validation) > 2 and self.validation[-1] == min(self.validation):
            return None
        stride = max(1, len(losses) // 1000)
        lowest = min(
            median(losses[i : i + RECENT])
            for i in range(0, max(1, len(losses) - RECENT + 1), stride)
        )
        if self.now > max(lowest * _DIVERGED, lowest + _SPIKE_NATS):
            return Verdict(
                "rising",
                "bad",
                "The training loss is rising",
                f"The training loss was down to {format_loss(lowest)} and is now "
                f"{format_loss(self.now)}: the learning rate is too high.",
                "Stop, and try again with half the learning rate.",
                retry=self.half_rate,
            )
        spikes = sum(_is_spike(losses, i) for i in range(5, len(losses)))
        if spikes < max(2, len(losses) // 100):
            return None
        return Verdict(
            "spikes",
            "watch",
            "The loss jumps",
            f"The training loss jumped up {spikes} times before it came down again: the "
            "learning rate is a little too high.",
            "If it continues, try again with half the learning rate.",
            retry=self.half_rate,
        )

    def no_generalization(self) -> Verdict | None:
        """The training loss fell, but in at least three validations the loss never fell
        below its start.
        """
        if len(self.validation) < 4 or not self.validated_before or not self._fell():
            return None
        if min(self.validation[1:]) < self.validation[0] * (1 - _FALL):
            return None
        return Verdict(
            "no_generalization",
            "bad",
            "The validation loss is not falling",
            self._validation_sentence(),
            "Check that the examples set aside are like the others; more, and more "
            "varied, examples help most. Otherwise try half the learning rate.",
            retry=self.half_rate,
        )

    def overfitting(self) -> Verdict | None:
        """The last two validation losses are above the lowest one."""
        losses = self.validation
        if len(losses) < 3:
            return None
        best = min(range(len(losses)), key=lambda i: losses[i])
        if len(losses) - best <= 2 or min(losses[best + 1 :]) < losses[best] * (
            1 + _RISE
        ):
            return None
        at = self.evals[best].step
        epochs = max(1.0, float(math.ceil(self._epoch(at, otherwise=1.0))))
        retry = (
            {"num_train_epochs": epochs}
            if epochs < self.settings.num_train_epochs
            else None
        )
        return Verdict(
            "overfitting",
            "watch",
            "The validation loss is rising",
            "The model starts to memorize your examples: the lowest validation loss "
            f"was {format_loss(losses[best])} at step {at}; the latest is "
            f"{format_loss(losses[-1])}.",
            "You can stop here. With more, or more varied, examples it can train for "
            "longer.",
            retry=retry,
        )

    def too_good(self) -> Verdict | None:
        """Perfect on validation examples within the first epoch: they may be copies of
        training examples.
        """
        if (
            self.settings.trainer == "dpo"
            or len(self.validation) < 2
            or not self.validated_before
        ):
            return None
        at = self.evals[1].step
        epoch = self._epoch(at, otherwise=math.inf)
        if self.validation[1] >= _PERFECT or epoch > _FIRST_EPOCHS:
            return None
        return Verdict(
            "too_good",
            "watch",
            "The validation loss is suspiciously low",
            f"After {epoch:.1f} passes over your examples the validation loss was "
            f"{format_loss(self.validation[1])} at step {at}: almost no mistakes on "
            "examples that the model has not seen.",
            "Look for duplicates in step 2: an example set aside that is also trained "
            "on proves nothing. If there are none, the task is easy, and fewer "
            "examples would do.",
        )

    def flat(self) -> Verdict | None:
        if len(self.losses) < FLAT_AFTER or self._fell():
            return None
        return Verdict(
            "flat",
            "watch",
            "The training loss is not falling",
            f"After {len(self.losses)} steps the training loss has hardly changed: it "
            f"is {format_loss(self.now)}.",
            "Look at the preview of your examples: is the answer the part that is "
            "learned? If it is, try 1.5 times the learning rate.",
            retry=self.higher_rate,
        )

    def early_plateau(self) -> Verdict | None:
        """The loss fell a little, then stayed. Only steps with a high learning rate
        count: every run ends slowly.
        """
        peak = self.settings.learning_rate
        rates = ((event.loss, event.learning_rate) for event in self.steps)
        high = [loss for loss, rate in rates if rate is None or rate >= peak / 2]
        if len(high) < FLAT_AFTER:
            return None
        first, middle = median(high[:5]), median(high[len(high) // 2 :][:RECENT])
        if self.now < first * _STILL_HIGH or self.now < middle * (1 - _FALL):
            return None
        return Verdict(
            "early_plateau",
            "watch",
            "The loss stopped falling early",
            f"The training loss fell from {format_loss(first)} in the first steps to "
            f"{format_loss(middle)} halfway, and is now {format_loss(self.now)}.",
            "Look at the preview of your examples: an answer that does not follow from "
            "its question can't be learned. If they do follow, try 1.5 times the "
            "learning rate.",
            retry=self.higher_rate,
        )

    def falling(self) -> Verdict:
        """Nothing is wrong. For pairs (DPO), also how many validation pairs are ranked
        correctly.
        """
        if not self._fell():
            return Verdict(
                "not_yet",
                "good",
                "The loss has not fallen yet",
                f"The training loss is {format_loss(self.now)}.",
            )
        title = "The loss is falling as it should"
        fell = f"The training loss fell from {format_loss(self.losses[0])} at the first step to {format_loss(self.now)}"
        if self.settings.trainer != "dpo":
            more = f" {self._validation_sentence()}" if len(self.validation) > 1 else ""
            title = "The training loss is falling" if self._past_lowest() else title
            return Verdict("falling", "good", title, f"{fell}.{more}")
        share = self.evals[-1].reward_accuracy if self.evals else None
        if share is None:
            return Verdict("falling", "good", title, f"{fell}.")
        what = f"{fell}; in {share:.0%} of the pairs that it has not seen, the good answer is now the likelier one."
        if share >= _CHANCE:
            return Verdict("falling", "good", title, what)
        return Verdict(
            "pairs_by_chance",
            "watch",
            "New pairs are ranked no better than by chance",
            what,
            "Check that the good answers are always better for the same reason. More "
            "pairs help most.",
        )

    def _validation_sentence(self) -> str:
        when = (
            "before training"
            if self.validated_before
            else f"at step {self.evals[0].step}"
        )
        first, latest = (
            format_loss(self.validation[0]),
            format_loss(self.validation[-1]),
        )
        lowest = ""
        if self._past_lowest():
            at = min(range(len(self.validation)), key=lambda i: self.validation[i])
            lowest = f" it was lowest, {format_loss(self.validation[at])}, at step {self.evals[at].step};"
        return (
            f"The validation loss, on examples set aside for validation, was {first} {when};{lowest} the latest is "
            f"{latest}."
        )

    def _past_lowest(self) -> bool:
        """Whether the latest validation loss is above the lowest one, as it is shown."""
        shown = [float(format_loss(loss)) for loss in self.validation]
        return bool(shown) and shown[-1] > min(shown)

    def _fell(self) -> bool:
        return self.now < median(self.losses[:5]) * (1 - _FALL)

    def _epoch(self, step: int, otherwise: float) -> float:
        return next(
            (event.epoch for event in self.steps if event.step == step), otherwise
        )


def _is_spike(losses: Sequence[float], index: int) -> bool:
    if losses[index] < losses[index - 1] + _SPIKE_NATS / 2:
        return False  # saves the median for nearly all steps
    before = median(losses[max(0, index - RECENT) : index])
    return losses[index] > max(before * _SPIKE, before + _SPIKE_NATS)
