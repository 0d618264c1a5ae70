"""How a training goes, in plain words: a health light, one sentence, and the one change to try. Pure.

The rules come from the guide (spikes: halve the rate; barely any change after 100 steps: times 1.5; over five rounds
risk learning by heart) and from what its users run into: data that was known already, copies on the held-back side,
validation that never improves, a computer that is busy with something else.
The thresholds below are ours, set so that the recorded curves in the tests get the verdict that a person gives them.

Every number is told as the page tells it elsewhere: the practice loss as `recent` has it, a loss as `told` writes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from backend.records.events import EvalEvent, StepEvent
from backend.records.specs import TrainSettings

EARLY = 10  # steps before anything can be said
FLAT_AFTER = 100  # steps (the guide)
RECENT = 10  # steps that a median is taken over
_SPIKE = 1.5  # times the median before it ...
_SPIKE_LEAST = 0.3  # ... and at least so much above it (nats)
_DIVERGED = 1.3  # times the lowest median so far
_FALL = 0.05  # a fall of the loss by less than this share is none
_RISE = 0.03  # a rise of the validation loss by this share is one
_KNOWN = 0.1  # a first loss below this: nothing left to learn (nats)
_PERFECT = 0.03  # a held-back loss below this (nats) at the first test is too good to be true
_SOON = 1.0  # epochs: the first test comes within so many
_STILL_HIGH = 0.6  # of the first losses: a loss that settles above this has settled early
_GUESSED = 0.6  # of the pairs told apart: half would be by chance
_SLOW = 0.6  # of the expected speed
_STARVED = 0.25  # of the time goes by between two steps


@dataclass(frozen=True)
class Verdict:
    """light: "good", "watch" or "bad". title and what: what happens; next: what to do, "" if nothing.

    retry: the settings to change for another try, None where no change would help.
    """

    light: Literal["good", "watch", "bad"]
    title: str
    what: str
    next: str = ""
    retry: dict[str, Any] | None = None


def window(steps: int) -> int:
    """How many of the last steps stand for "now" after `steps`: a third, `RECENT` at most. The loss of one step leaps
    about, and in a short run that of the first ones is long past."""
    return min(RECENT, max(1, steps // 3))


def current_loss(losses: Sequence[float], at: int | None = None) -> float:
    """The practice loss after `at` steps (else now): the median of the last ones (`window`).

    NaN where the last one is no number, or there is none.
    """
    at = len(losses) if at is None else at
    latest = losses[at - window(at) : at]
    finite = [loss for loss in latest if math.isfinite(loss)]
    return median(finite) if finite and math.isfinite(latest[-1]) else math.nan


def format_loss(loss: float) -> str:
    """A loss to two significant places."""
    return f"{loss:.2f}" if loss >= 0.095 else f"{loss:.3f}"


def diagnose(
    steps: Sequence[StepEvent], evals: Sequence[EvalEvent], settings: TrainSettings, expected: float | None = None
) -> Verdict:
    """The verdict on a run so far.

    steps and evals: in order. expected: tokens per second at least, as
    computed from what was measured on this machine; None if nothing was. The gravest finding is given.
    """
    losses = [event.loss for event in steps]
    tests = [event.loss for event in evals]
    if not all(map(math.isfinite, [*losses, *tests])):
        return _broken(steps, losses, settings)
    if len(losses) < EARLY:
        return Verdict("good", "Too few steps to judge by", f"It takes {EARLY}; there are {len(losses)}.")
    return (
        _known(losses, evals, tests)
        or _unsteady(losses, settings)
        or _no_help(losses, evals, tests, settings)
        or _by_heart(steps, evals, tests, settings)
        or (None if settings.trainer == "dpo" else _too_good(steps, evals, tests))
        or _flat(losses, settings)
        or _settled(steps, losses, settings)
        or _starved(steps)
        or _slow(steps, expected)
        or (_apart(losses, evals) if settings.trainer == "dpo" else _well(losses, evals, tests))
    )


def _broken(steps: Sequence[StepEvent], losses: Sequence[float], settings: TrainSettings) -> Verdict:
    which = "test" if all(map(math.isfinite, losses)) else "practice"
    return Verdict(
        "bad",
        "The numbers broke down",
        f"After {max(0, len(steps) - 1)} steps the {which} loss was no number any more: the steps were too large.",
        "Try again with half the learning rate.",
        {"learning_rate": settings.learning_rate / 2},
    )


def _known(losses: Sequence[float], evals: Sequence[EvalEvent], tests: Sequence[float]) -> Verdict | None:
    """The model could do it before it was trained."""
    tested = bool(evals) and evals[0].step == 0
    before = tests[0] if tested else median(losses[:3])
    if before >= _KNOWN:
        return None
    said = f"The test loss before training was {format_loss(before)}"
    if not tested:
        said = f"The practice loss was {format_loss(before)} in its first steps"
    return Verdict(
        "watch",
        "It knows this already",
        f"{said}: there is hardly anything left to learn.",
        "Look whether the answers stand in the questions, or whether all examples are alike.",
    )


def _unsteady(losses: Sequence[float], settings: TrainSettings) -> Verdict | None:
    """Spikes, or a loss that climbs and stays up."""
    halved = {"learning_rate": settings.learning_rate / 2}
    stride = max(1, len(losses) // 1000)
    lowest = min(median(losses[i : i + RECENT]) for i in range(0, max(1, len(losses) - RECENT + 1), stride))
    now = current_loss(losses)
    if now > lowest * _DIVERGED and now > lowest + _SPIKE_LEAST:
        return Verdict(
            "bad",
            "It is getting worse",
            f"The practice loss was down at {format_loss(lowest)} and is now {format_loss(now)}: "
            "the steps are too large.",
            "Stop, and try again with half the learning rate.",
            halved,
        )
    spikes = sum(_is_spike(losses, i) for i in range(5, len(losses)))
    if spikes >= max(2, len(losses) // 100):
        return Verdict(
            "watch",
            "The loss jumps",
            f"In practice it leapt up {spikes} times before it came down again: the steps are a little too large.",
            "If it goes on, try again with half the learning rate.",
            halved,
        )
    return None


def _is_spike(losses: Sequence[float], index: int) -> bool:
    if losses[index] < losses[index - 1] + _SPIKE_LEAST / 2:
        return False  # no leap: spares the median of nearly all steps
    before = median(losses[max(0, index - RECENT) : index])
    return losses[index] > max(before * _SPIKE, before + _SPIKE_LEAST)


def _no_help(
    losses: Sequence[float], evals: Sequence[EvalEvent], tests: Sequence[float], settings: TrainSettings
) -> Verdict | None:
    """Trained, but on new examples never better than before: at least three tests."""
    if len(tests) < 4 or evals[0].step != 0 or min(tests[1:]) < tests[0] * (1 - _FALL):
        return None
    if not _fell(losses):
        return None  # nothing was learned at all: see `_flat`
    return Verdict(
        "bad",
        "What it learns does not help with new examples",
        _tested(evals, tests),
        "Check that the held-back examples are of the same kind; more and more varied examples help most. "
        "Otherwise try half the learning rate.",
        {"learning_rate": settings.learning_rate / 2},
    )


def _by_heart(
    steps: Sequence[StepEvent], evals: Sequence[EvalEvent], tests: Sequence[float], settings: TrainSettings
) -> Verdict | None:
    """The validation loss has risen twice since its lowest."""
    if len(tests) < 3:
        return None
    best = min(range(len(tests)), key=lambda i: tests[i])
    if len(tests) - best <= 2 or min(tests[best + 1 :]) < tests[best] * (1 + _RISE):
        return None
    at = evals[best].step
    epoch = next((event.epoch for event in steps if event.step == at), 1.0)
    rounds = max(1.0, float(math.ceil(epoch)))
    shorter = rounds < settings.num_train_epochs
    return Verdict(
        "watch",
        "It begins to learn by heart",
        f"The best test loss, on examples that it never saw, was {format_loss(tests[best])} at step {at}; "
        f"the latest is {format_loss(tests[-1])}.",
        "You can stop here. More, or more varied, examples let it learn longer.",
        {"num_train_epochs": rounds} if shorter else None,
    )


def _flat(losses: Sequence[float], settings: TrainSettings) -> Verdict | None:
    """Barely any change after 100 steps."""
    if len(losses) < FLAT_AFTER or _fell(losses):
        return None
    return Verdict(
        "watch",
        "It hardly learns",
        f"After {len(losses)} steps the practice loss has barely moved: it is {format_loss(current_loss(losses))}.",
        "Look at the preview of your examples: is the answer what is learned? If it is, try 1.5 times the "
        "learning rate.",
        _faster(settings),
    )


def _too_good(steps: Sequence[StepEvent], evals: Sequence[EvalEvent], tests: Sequence[float]) -> Verdict | None:
    """Perfect on held-back examples after less than a round: they may be copies of the ones it practises on."""
    if len(tests) < 2 or evals[0].step != 0 or tests[1] >= _PERFECT:
        return None
    epoch = next((event.epoch for event in steps if event.step == evals[1].step), math.inf)
    if epoch > _SOON:
        return None
    return Verdict(
        "watch",
        "Too good to be true",
        f"After {epoch:.1f} rounds it makes almost no mistake on examples that it never saw: the test loss was "
        f"{format_loss(tests[1])} at step {evals[1].step}.",
        "Look for duplicates in step 2: held-back examples that are also practised on prove nothing. If there are "
        "none, the task is easy, and fewer examples would do.",
    )


def _settled(steps: Sequence[StepEvent], losses: Sequence[float], settings: TrainSettings) -> Verdict | None:
    """It fell a little, then stayed: looked at while the rate is high, since it ends in small steps anyhow."""
    high = [
        loss
        for event, loss in zip(steps, losses, strict=True)
        if event.learning_rate is None or event.learning_rate >= settings.learning_rate / 2
    ]
    if len(high) < FLAT_AFTER:
        return None
    first, middle, now = median(high[:5]), median(high[len(high) // 2 :][:RECENT]), current_loss(losses)
    if now < first * _STILL_HIGH or now < middle * (1 - _FALL):
        return None
    return Verdict(
        "watch",
        "It stopped getting better early",
        f"The practice loss fell from {format_loss(first)} in its first steps to {format_loss(middle)} half way, "
        f"and is now {format_loss(now)}.",
        "Look at the preview of your examples: answers that don't follow from their questions can't be learned. "
        "If they do, try 1.5 times the learning rate.",
        _faster(settings),
    )


def _starved(steps: Sequence[StepEvent]) -> Verdict | None:
    """Much time goes by between steps."""
    latest = [event for event in steps[-RECENT:] if event.seconds]
    if not latest:
        return None
    share = median(event.waited / (event.seconds + event.waited) for event in latest)
    if share < _STARVED:
        return None
    return Verdict(
        "watch",
        "It waits more than it should",
        f"{share:.0%} of the time goes by between two steps, while nothing is learned.",
        "The computer may be short of memory or its disk busy: close other programs. What is learned stays the same.",
    )


def _slow(steps: Sequence[StepEvent], expected: float | None) -> Verdict | None:
    if not expected:
        return None
    speeds = [event.tokens_per_second for event in steps[-RECENT:] if event.tokens_per_second is not None]
    if not speeds or not (now := median(speeds)) < expected * _SLOW:
        return None
    return Verdict(
        "watch",
        "Slower than measured",
        f"It reads {now:.0f} tokens a second; {expected:.0f} were expected from what was measured on this computer.",
        "Close other programs that work hard. What is learned stays the same.",
    )


def _well(losses: Sequence[float], evals: Sequence[EvalEvent], tests: Sequence[float]) -> Verdict:
    if not _fell(losses):
        return _not_yet(losses)
    tested = f" {_tested(evals, tests)}" if len(tests) > 1 else ""
    return Verdict("good", "It learns well", f"{_practised(losses)}.{tested}")


def _practised(losses: Sequence[float]) -> str:
    now = format_loss(current_loss(losses))
    return f"The practice loss fell from {format_loss(losses[0])} at the first step to {now}"


def _tested(evals: Sequence[EvalEvent], tests: Sequence[float]) -> str:
    began = "before training" if evals[0].step == 0 else f"at step {evals[0].step}"
    first, latest = format_loss(tests[0]), format_loss(tests[-1])
    return f"The test loss, on examples that it never saw, was {first} {began}; the latest is {latest}."


def _not_yet(losses: Sequence[float]) -> Verdict:
    return Verdict(
        "good", "It has not learned much yet", f"The practice loss is {format_loss(current_loss(losses))}."
    )


def _apart(losses: Sequence[float], evals: Sequence[EvalEvent]) -> Verdict:
    """How a run does that learns to prefer one answer to another (DPO)."""
    if not _fell(losses):
        return _not_yet(losses)
    fell = _practised(losses)
    share = evals[-1].reward_accuracy if evals else None
    if share is None:
        return Verdict("good", "It learns the difference", fell + ".")
    what = f"{fell}; in {share:.0%} of the pairs that it never saw, the good answer has become the likelier one."
    if share < _GUESSED:
        return Verdict(
            "watch",
            "It does not tell new pairs apart",
            what,
            "Look whether the good answers are better for one reason throughout. More pairs help most.",
        )
    return Verdict("good", "It learns the difference", what)


def _faster(settings: TrainSettings) -> dict[str, Any]:
    return {"learning_rate": min(0.1, settings.learning_rate * 1.5)}


def _fell(losses: Sequence[float]) -> bool:
    return current_loss(losses) < median(losses[:5]) * (1 - _FALL)
