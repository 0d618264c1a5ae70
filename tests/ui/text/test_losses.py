"""Each loss on the page has a name and is the same number everywhere."""

import math
import re
from typing import Any

import pytest

from backend.advice.diagnose import diagnose
from backend.advice.loss import RECENT, current_loss
from backend.records.events import EvalEvent, StepEvent
from backend.records.specs import TrainSettings
from jobs.records import State
from tests.ui.conftest import text_of
from tests.ui.fake_records import INFO, SPEC, job
from ui.records.runs import Curve, Losses, RunDetails
from ui.text import losses
from ui.web.html import compare_runs
from ui.web.train import run_view

NOISE = [0.3, -0.2, 0.1, 0.4, -0.3, 0.2, -0.1]
WINDOW = f"median of the last {RECENT} steps"


def made_curve(validations: dict[int, float], steps: int = 40) -> Curve:
    """A noisy training loss, and validation losses by their step."""
    falling = [
        3.0 - 2.0 * i / steps + NOISE[i % len(NOISE)] for i in range(1, steps + 1)
    ]
    return Curve(
        steps=[
            StepEvent(i, loss, epoch=i / 20) for i, loss in enumerate(falling, start=1)
        ],
        evals=[EvalEvent(step, loss) for step, loss in validations.items()],
        position=1,
    )


OVERFITTED = made_curve(
    {0: 3.1, 10: 2.0, 20: 1.2, 30: 1.3, 40: 1.6}
)  # the best is not the latest


def watched(
    state: State, curve: Curve = OVERFITTED, **changes: Any
) -> run_view.Watched:
    verdict = diagnose(curve.steps, curve.evals, TrainSettings())
    return run_view.Watched(
        job("run-a", state, **changes), curve, verdict, 0, True, INFO
    )


def test_the_lowest_loss_may_be_before_training() -> None:
    one = watched(
        State.COMPLETED,
        made_curve({0: 2.6, 10: 2.7, 20: 3.1}),
        result={"best_step": 20},
    )
    assert losses.lowest_step(one.losses) == 0
    assert "lower before training, 2.60" in text_of(run_view.learning(one))
    assert losses.lowest_step(watched(State.RUNNING).losses) == 20


@pytest.mark.parametrize(
    ("state", "result"),
    [
        (State.RUNNING, {}),
        (State.COMPLETED, {"best_step": 20}),
        (State.STOPPED, {"best_step": 20}),
    ],
)
def test_every_place_shows_the_same_numbers(
    state: State, result: dict[str, Any]
) -> None:
    """The numbers, the verdict, the curve's labels, the curve's description, and a
    comparison.
    """
    one = watched(state, result=result)
    training = f"{losses.compute(one.job, OVERFITTED).training:.2f}"
    card, health, plot = (
        draw(one) for draw in (run_view.learning, run_view.health, run_view.loss_card)
    )
    assert f"{training} {losses.TRAINING}, {WINDOW}" in text_of(card)
    assert f"1.60 {losses.LATEST}, at step 40" in text_of(card)
    assert f"1.20 {losses.BEST}, at step 20 (the saved model)" in text_of(card)
    assert {"1.20", "20", "1.60"} <= set(re.findall(r"\d+(?:\.\d+)?", text_of(health)))
    assert f"{losses.TRAINING} {training}" in text_of(plot)
    assert f"{losses.LATEST} 1.60" in text_of(plot)
    assert f"to {training} by step 40." in plot
    assert f"The {losses.BEST} is 1.20, at step 20." in plot
    details = RunDetails(SPEC, one.job, OVERFITTED)
    compared = {name: of_a for name, of_a, _ in compare_runs.outcomes(details, details)}
    assert compared[losses.TRAINING.capitalize()] == f"{training}, {WINDOW}"
    assert compared[losses.INITIAL.capitalize()] == "3.10"
    assert compared[losses.LATEST.capitalize()] == "1.60, at step 40"
    assert compared[losses.BEST.capitalize()] == "1.20, at step 20 (the saved model)"


def test_a_good_verdict_has_the_same_numbers() -> None:
    one = watched(State.RUNNING, made_curve({0: 3.1, 20: 1.2, 40: 0.9}))
    training = f"{losses.compute(one.job, one.curve).training:.2f}"
    assert one.verdict.kind == "falling"
    assert {training, "3.10", "0.90"} <= set(re.findall(r"\d+\.\d+", one.verdict.what))
    best = f"0.90 {losses.LATEST}, at step 40 0.90 {losses.BEST}, at step 40 (the saved model)"
    assert best in text_of(run_view.learning(one))


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({"saved_step": 20}, "at step 20 (the saved model)"),
        (
            {"saved_step": 23},
            "at step 20; the saved model is from the last step, 23",
        ),  # stopped in between
        ({}, "at step 20"),  # it ended without a result
    ],
)
def test_the_saved_step_is_named(saved: dict[str, int], words: str) -> None:
    assert (
        losses.rows(Losses(best=EvalEvent(20, 1.2), **saved))[losses.BEST.capitalize()]
        == f"1.20, {words}"
    )


def test_an_interrupted_run_has_no_saved_step() -> None:
    assert (
        losses.compute(job("run-c", State.INTERRUPTED), OVERFITTED).saved_step is None
    )
    assert losses.compute(job("run-b", State.RUNNING), OVERFITTED).saved_step == 20
    assert (
        losses.compute(
            job("run-b", State.RUNNING), OVERFITTED, chooses=False
        ).saved_step
        is None
    )
    assert (
        losses.compute(
            job("run-a", State.STOPPED, result={"best_step": 37}), OVERFITTED
        ).saved_step
        == 37
    )


@pytest.mark.parametrize(
    "damage",
    [{"steps": 3.5}, {"precision": None}, {"tokens_per_second": None}],
    ids=str,
)
def test_a_damaged_result_is_reported_and_names_no_saved_step(
    damage: dict[str, Any],
) -> None:
    one = watched(State.COMPLETED, result={"best_step": 37, **damage})
    assert one.losses.saved_step is None
    assert losses.DAMAGED.why in run_view.status(one)
    assert losses.DAMAGED.why not in run_view.status(
        watched(State.COMPLETED, result={"best_step": 37})
    )


def test_losses_missing_or_not_a_number_are_shown_as_such() -> None:
    nothing = losses.compute(job("run-b", State.RUNNING), Curve())
    assert losses.facts(nothing) == [("not measured yet", losses.TRAINING)]
    assert losses.as_json(nothing) == {
        "first_eval_loss": None,
        "eval_loss": None,
        "eval_step": None,
    }
    without = losses.compute(job("run-b", State.RUNNING), made_curve({}, 1))
    assert [words for _, words in losses.facts(without)] == [losses.TRAINING]
    first = losses.compute(job("run-b", State.RUNNING), made_curve({0: 3.1}, 4))
    assert losses.facts(first)[1:] == [("3.10", losses.INITIAL)]
    assert "validation loss" not in run_view.loss_card(
        watched(State.RUNNING, made_curve({}))
    )
    broken = made_curve({0: 3.1, 40: math.nan})
    broken.steps[-1] = StepEvent(40, math.nan)
    found = losses.compute(job("run-b", State.RUNNING), broken)
    assert math.isnan(found.training or 0.0)
    assert [number for number, _ in losses.facts(found)] == [
        "not a number",
        "not a number",
    ]
    plot = text_of(run_view.loss_card(watched(State.RUNNING, broken)))
    assert f"{losses.TRAINING} not a number" in plot
    assert f"{losses.LATEST} not a number" in plot


@pytest.mark.parametrize(
    ("state", "result", "expected"),
    [
        (State.RUNNING, {}, (3.1, 1.6, 40)), (State.INTERRUPTED, {}, (3.1, 1.6, 40)),
        (State.COMPLETED, {"first_eval_loss": 3.1, "eval_loss": 1.2, "eval_step": 20}, (3.1, 1.2, 20)),
    ],
)  # fmt: skip
def test_the_command_line_reports_the_loss_of_the_saved_model(
    state: State, result: dict[str, Any], expected: tuple[float, float, int]
) -> None:
    found = losses.as_json(
        losses.compute(job("run-a", state, result=result), OVERFITTED)
    )
    assert (
        found["first_eval_loss"],
        found["eval_loss"],
        found["eval_step"],
    ) == expected


def test_losses_are_those_of_results_or_of_training() -> None:
    result = {"first_eval_loss": 3.1, "eval_loss": 1.2, "eval_step": 20}
    assert (
        losses.as_json(
            losses.compute(job("run-a", State.COMPLETED, result=result), Curve())
        )
        == result
    )
    found = losses.as_json(
        losses.compute(job("run-b", State.RUNNING), made_curve({20: 1.2, 40: math.nan}))
    )
    assert found == {"first_eval_loss": None, "eval_loss": 1.2, "eval_step": 20}
    pair = [
        RunDetails(SPEC, job(name, State.RUNNING), made_curve({}, steps))
        for name, steps in (("a", 40), ("b", 30))
    ]
    card = text_of(compare_runs.card(*pair))
    numbers = [current_loss([step.loss for step in one.curve.steps]) for one in pair]
    for letter, number in zip("AB", numbers, strict=True):
        assert f"{letter} {number:.2f}" in card
        assert f"{number:.2f}, {WINDOW}" in card
