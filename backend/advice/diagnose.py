"""Judges the loss curve of a run: a health light, one sentence, and the one change to
try.

A verdict is about the loss and nothing else: whether the model is any good, a falling
loss does not tell.
The rules come from the guide (spikes: halve the learning rate; hardly any change after
100 steps: multiply it by 1.5) and from common mistakes: data that the model knows
already, copies among the validation examples, a busy computer. The thresholds are ours,
set so that the recorded curves in the tests get the verdict that a person would give.
"""

import math
from collections.abc import Sequence
from statistics import median

from backend.advice.loss import RECENT
from backend.advice.loss_rules import LossRules, Verdict
from backend.records.events import EvalEvent, StepEvent
from backend.records.specs import TrainSettings

__all__ = ["Verdict", "diagnose"]

EARLY = 10  # steps before a verdict
_SLOW = 0.6  # of the expected speed
_WAITING = 0.25  # share of the time that passes between steps


def diagnose(
    steps: Sequence[StepEvent],
    evals: Sequence[EvalEvent],
    settings: TrainSettings,
    expected: float | None = None,
) -> Verdict:
    """The most serious finding about a run so far, from its events in order.

    expected: the least tokens per second to expect, by this machine's measured speed;
        None if it was not measured
    """
    run = LossRules(steps, evals, settings)
    if not all(map(math.isfinite, [*run.losses, *run.validation])):
        return run.not_finite()
    if len(steps) < EARLY:
        return Verdict(
            "early",
            "good",
            "Too few steps to judge",
            f"At least {EARLY} are needed; so far there are {len(steps)}.",
        )
    return (
        run.known_already()
        or run.unsteady()
        or run.no_generalization()
        or run.overfitting()
        or run.too_good()
        or run.flat()
        or run.early_plateau()
        or _waiting(steps)
        or _slow(steps, expected)
        or run.falling()
    )


def _waiting(steps: Sequence[StepEvent]) -> Verdict | None:
    latest = [event for event in steps[-RECENT:] if event.seconds]
    if not latest:
        return None
    share = median(event.waited / (event.seconds + event.waited) for event in latest)
    if share < _WAITING:
        return None
    return Verdict(
        "waiting",
        "watch",
        "Training spends a lot of time waiting",
        f"{share:.0%} of the time passes between two steps, while nothing is computed.",
        "The computer may be short of memory, or its disk busy: close other programs. "
        "The result stays the same.",
    )


def _slow(steps: Sequence[StepEvent], expected: float | None) -> Verdict | None:
    if not expected:
        return None
    speeds = [
        event.tokens_per_second
        for event in steps[-RECENT:]
        if event.tokens_per_second is not None
    ]
    if not speeds or median(speeds) >= expected * _SLOW:
        return None
    return Verdict(
        "slow",
        "watch",
        "Training is slower than measured",
        f"It processes {median(speeds):.0f} tokens a second; {expected:.0f} were "
        "expected from the speed test.",
        "Close other programs that are busy. The result stays the same.",
    )
