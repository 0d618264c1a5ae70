"""Each curve gets the verdict that a person would give. The recorded curves come from
real runs, rounded.
"""

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from backend.advice.diagnose import Verdict, diagnose
from backend.advice.loss import RECENT, current_loss, format_loss
from backend.records.events import EvalEvent, StepEvent
from backend.records.specs import TrainSettings
from backend.settings import PROJECT_ROOT

RECORDED = PROJECT_ROOT / "tests" / "data" / "recorded_curves.json"
SETTINGS = TrainSettings(learning_rate=2e-4, num_train_epochs=6)


def steps(
    losses: Sequence[float], per_epoch: int = 20, speed: float = 500
) -> list[StepEvent]:
    return [
        StepEvent(i, loss, epoch=i / per_epoch, tokens_per_second=speed)
        for i, loss in enumerate(losses, start=1)
    ]


def evals(losses: Sequence[float], every: int = 20) -> list[EvalEvent]:
    return [EvalEvent(i * every, loss) for i, loss in enumerate(losses)]


def curve(
    shape: Callable[[int], float], count: int, noise: float = 0.0, seed: int = 1
) -> list[float]:
    draw = random.Random(seed)
    return [shape(i) * (1 + draw.uniform(-noise, noise)) for i in range(count)]


def falling(
    count: int, start: float = 3.0, end: float = 0.5, noise: float = 0.05
) -> list[float]:
    return curve(lambda i: end + (start - end) * math.exp(-4 * i / count), count, noise)


def spiked(spikes: dict[int, float]) -> list[float]:
    return [spikes.get(at, loss) for at, loss in enumerate(falling(60))]


def check(
    verdict: Verdict, light: str, kind: str, retry: dict[str, Any] | None = None
) -> None:
    assert (verdict.light, verdict.kind, verdict.retry) == (light, kind, retry)


@pytest.mark.parametrize(
    "recorded", json.loads(RECORDED.read_text("utf-8")), ids=lambda one: one["what"]
)
def test_recorded_curves(recorded: dict[str, Any]) -> None:
    """The bundled model on the orders sample, batch 4."""
    columns = zip(
        recorded["epochs"], recorded["losses"], recorded["rates"], strict=True
    )
    recorded_steps = [
        StepEvent(i, loss, epoch=epoch, learning_rate=rate, seconds=2.0)
        for i, (epoch, loss, rate) in enumerate(columns, start=1)
    ]
    validations = [EvalEvent(step, loss) for step, loss in recorded["evals"]]
    settings = SETTINGS.changed(
        learning_rate=max(recorded["rates"]), num_train_epochs=15
    )
    assert diagnose(recorded_steps, validations, settings).kind == recorded["kind"]


def test_a_falling_loss_is_reported_from_both_losses() -> None:
    losses = falling(80)
    verdict = diagnose(steps(losses), evals([3.0, 1.2, 0.8, 0.6]), SETTINGS)
    check(verdict, "good", "falling")
    assert (
        f"training loss fell from {format_loss(losses[0])} at the first step"
        in verdict.what
    )
    assert f"to {format_loss(current_loss(losses))}." in verdict.what
    assert "was 3.00 before training; the latest is 0.60." in verdict.what
    overfitting = falling(120, 3.0, 0.05), [3.0, 1.4, 1.1, 1.2, 1.3, 1.5, 1.7]
    judged = [
        case[:2] for case in CURVES.values() if case[3] not in ("early", "not_finite")
    ]
    for losses, validation in (
        *judged,
        overfitting,
        (CURVES["low from the start"][0], []),
    ):
        what = diagnose(steps(losses), evals(validation), SETTINGS).what
        assert ("training loss" in what) or ("validation loss" in what), what
        assert "the loss" not in what.lower(), what


def test_the_current_loss_is_a_median_until_one_is_not_finite() -> None:
    long = [9.0] * 2 * RECENT + [1.0, 2.0] * (RECENT // 2)
    assert current_loss(long) == 1.5
    assert current_loss(long, 2 * RECENT) == 9.0, "as of then"
    assert current_loss([3.0, 2.0]) == 2.0, (
        "in a short run the first steps are long past"
    )
    assert current_loss([3.0, 3.0, 3.0, 2.0, 1.0, 1.4]) == 1.2
    assert current_loss([4.0, 3.0, 3.0, 3.0, 2.0, math.nan, 2.4, 1.4, 1.0]) == 1.4
    assert math.isnan(current_loss([2.0, math.nan]))
    assert math.isnan(current_loss([]))


LOWER, HIGHER = {"learning_rate": 1e-4}, {"learning_rate": pytest.approx(3e-4)}
CLIMBING = [*falling(40, 3.0, 0.8), *curve(lambda i: 1.0 + i / 10, 30, 0.05)]
FLAT = curve(lambda i: 2.4, 120, 0.04)
CURVES: dict[str, tuple[list[float], list[float], str, str, dict[str, Any] | None]] = {
    "noise does not hide that it falls": (falling(200, noise=0.25), [3.0, 1.5, 1.2], "good", "falling", None),
    "low and noisy at the end": (
        [*falling(60, 3.0, 0.05), *curve(lambda i: 0.05, 60, 0.9)], [3.0, 0.2, 0.06, 0.05], "good", "falling", None,
    ),
    "a few steps": ([3.1, 2.9, 3.0], [3.0], "good", "early", None),
    "no step": ([], [], "good", "early", None),
    "a validation loss that is not finite": (falling(20), [3.0, math.nan], "bad", "not_finite", LOWER),
    "spikes": (spiked({20: 3.4, 33: 2.9, 47: 2.2}), [3.0, 1.2], "watch", "spikes", LOWER),
    "a single spike": (spiked({30: 3.0}), [3.0, 1.2], "good", "falling", None),
    "rises and stays up": (CLIMBING, [3.0, 1.2], "bad", "rising", LOWER),
    "batches of long and short examples": (CLIMBING, [3.0, 1.2, 1.1], "good", "not_yet", None),
    "flat after 100 steps": (FLAT, [2.4, 2.39, 2.4, 2.38], "watch", "flat", HIGHER),
    "flat before 100 steps": (FLAT[:99], [], "good", "not_yet", None),
    "a single rise of the validation loss": (falling(80), [3.0, 1.4, 1.1, 1.2], "good", "falling", None),
    "a validation loss that levels off": (falling(120), [3.0, 1.1, 1.0, 1.005, 1.01, 1.004], "good", "falling", None),
    "a validation loss that never falls": (falling(80), [2.0, 2.1, 2.4, 2.9], "bad", "no_generalization", LOWER),
    "low from the start": (curve(lambda i: 0.03, 40, 0.3), [0.03, 0.03], "watch", "known_already", None),
    "a plateau far below the start": (
        curve(lambda i: 0.2 + max(0.0, 2.8 - i / 7), 160, 0.03), [3.0, 0.3, 0.25], "good", "falling", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CURVES)
def test_each_shape_has_its_verdict_and_retry(name: str) -> None:
    losses, validation, *expected = CURVES[name]
    check(diagnose(steps(losses), evals(validation), SETTINGS), *expected)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_training_loss_that_is_not_finite(broken: float) -> None:
    verdict = diagnose(steps([*falling(20), broken]), evals([3.0]), SETTINGS)
    check(verdict, "bad", "not_finite", {"learning_rate": 1e-4})
    assert "After 20 steps" in verdict.what


def test_overfitting_names_the_best_step_and_suggests_fewer_epochs() -> None:
    verdict = diagnose(
        steps(falling(120, 3.0, 0.05)),
        evals([3.0, 1.4, 1.1, 1.2, 1.3, 1.5, 1.7]),
        SETTINGS,
    )
    check(verdict, "watch", "overfitting", {"num_train_epochs": 2.0})
    assert "1.10 at step 40; the latest is 1.70" in verdict.what


def test_speed_and_time_between_steps_are_watched() -> None:
    verdict = diagnose(
        steps(falling(80), speed=200), evals([3.0, 1.2]), SETTINGS, expected=500
    )
    check(verdict, "watch", "slow")
    assert "200 tokens a second; 500" in verdict.what
    check(
        diagnose(steps(falling(80), speed=400), evals([3.0]), SETTINGS, expected=500),
        "good",
        "falling",
    )
    waiting = [replace(step, seconds=2.0, waited=1.5) for step in steps(falling(80))]
    verdict = diagnose(waiting, evals([3.0, 1.2]), SETTINGS)
    check(verdict, "watch", "waiting")
    assert "43% of the time" in verdict.what
    busy = [replace(step, seconds=2.0, waited=0.1) for step in waiting]
    check(diagnose(busy, evals([3.0, 1.2]), SETTINGS), "good", "falling")


def test_a_perfect_validation_loss_after_half_an_epoch_is_suspicious() -> None:
    verdict = diagnose(
        steps(falling(40, 3.0, 0.01), per_epoch=40), evals([3.0, 0.011, 0.01]), SETTINGS
    )
    check(verdict, "watch", "too_good")
    assert "duplicates" in verdict.next
    later = diagnose(
        steps(falling(40, 3.0, 0.01), per_epoch=10), evals([3.0, 0.011, 0.01]), SETTINGS
    )
    check(later, "good", "falling")


def early_plateau(rate: Callable[[int], float]) -> list[StepEvent]:
    losses = curve(lambda i: 2.0 + max(0.0, 0.8 - i / 20), 160, 0.03)
    return [replace(step, learning_rate=rate(step.step)) for step in steps(losses)]


def test_a_plateau_early_and_at_a_low_rate() -> None:
    verdict = diagnose(
        early_plateau(lambda step: 2e-4), evals([2.8, 2.1, 2.0]), SETTINGS
    )
    check(verdict, "watch", "early_plateau", {"learning_rate": pytest.approx(3e-4)})
    verdict = diagnose(
        early_plateau(lambda step: 2e-4 if step < 40 else 1e-5),
        evals([2.8, 2.1, 2.0]),
        SETTINGS,
    )
    check(verdict, "good", "falling")


def test_the_most_serious_finding_wins_and_a_retry_is_allowed() -> None:
    losses = [*falling(40, 3.0, 0.8, 0.0), *[4.0] * 20]
    verdict = diagnose(
        steps(losses, speed=1), evals([2.0, 2.1, 2.4, 2.9]), SETTINGS, expected=500
    )
    check(verdict, "bad", "rising", {"learning_rate": 1e-4})
    steep = SETTINGS.changed(learning_rate=0.09)
    verdict = diagnose(steps(curve(lambda i: 2.4, 120, 0.04)), [], steep)
    assert verdict.retry
    assert steep.changed(**verdict.retry).learning_rate == 0.1


@pytest.mark.parametrize(
    ("shares", "light", "kind", "words"),
    [
        ([0.0, 0.8, 0.95], "good", "falling", "95% of the pairs"),
        ([0.0, 0.5, 0.52], "watch", "pairs_by_chance", "52% of the pairs"),
    ],
)
def test_the_share_of_pairs_ranked_correctly(
    shares: list[float], light: str, kind: str, words: str
) -> None:
    """Pairs normally end at a loss near zero; that is no sign of copies among the
    validation examples.
    """
    validation = [
        replace(one, reward_accuracy=share)
        for one, share in zip(evals([0.69, 0.3, 0.02]), shares, strict=False)
    ]
    verdict = diagnose(
        steps(falling(60, 0.69, 0.01)), validation, TrainSettings(trainer="dpo")
    )
    check(verdict, light, kind)
    assert words in verdict.what
