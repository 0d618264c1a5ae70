"""Each loss on the page says which one it is, and is the same number wherever it stands."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from backend.advice.diagnose import diagnose
from backend.advice.loss import RECENT, current_loss
from backend.records.events import EvalEvent, StepEvent
from backend.records.specs import TrainSettings
from jobs.records import State
from tests.ui.fake_services import FakeApp, job
from ui.records import Compared, Curve, Losses, RunLine
from ui.services import losses
from ui.web.html import compare_runs
from ui.web.runs import tab as runs_tab
from ui.web.train import views as train_views

NOISE = [0.3, -0.2, 0.1, 0.4, -0.3, 0.2, -0.1]


def story(tests: dict[int, float], steps: int = 40) -> Curve:
    """A practice loss that leaps about, and tests by their step."""
    falling = [3.0 - 2.0 * i / steps + NOISE[i % len(NOISE)] for i in range(1, steps + 1)]
    return Curve(
        steps=[StepEvent(i, loss, epoch=i / 20) for i, loss in enumerate(falling, start=1)],
        evals=[EvalEvent(step, loss) for step, loss in tests.items()],
        position=1,
    )


WORSE = story({0: 3.1, 10: 2.0, 20: 1.2, 30: 1.3, 40: 1.6})  # the best test is not the latest


def watched(state: State, told: Curve = WORSE, **changes: Any) -> train_views.Watched:
    app = FakeApp()
    one = job("run-a", state, **changes)
    verdict = diagnose(told.steps, told.evals, TrainSettings())
    return train_views.Watched(one, told, verdict, 0, True, app.runs.origin("run-a"))


def said(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.mark.parametrize(
    ("state", "result"),
    [(State.RUNNING, {}), (State.COMPLETED, {"best_step": 20}), (State.STOPPED, {"best_step": 20})],
)
def test_one_number_each_on_the_whole_screen(state: State, result: dict[str, Any]) -> None:
    """The card of numbers, the verdict, the curve's labels, the curve for those who can't see it, and the list."""
    one = watched(state, result=result)
    training = f"{losses.of(one.job, WORSE).training:.2f}"
    card, health, plot = (draw(one) for draw in (train_views.status, train_views.health, train_views.loss_card))
    assert f"{training} practice loss, typical of the last {RECENT} steps" in said(card)
    assert "1.60 latest test loss, at step 40" in said(card)
    assert "1.20 best test loss, at step 20: kept" in said(card)
    assert "was 1.20 at step 20; the latest is 1.60" in said(health)
    assert f"practice loss {training}" in said(plot)
    assert "latest test loss 1.60" in said(plot)
    assert f"to {training} by step 40." in plot
    assert "The best test loss is 1.20, at step 20." in plot
    listed = said(runs_tab.listing([RunLine(one.origin, state, 0.0, one.losses)], "", 1.0))
    assert "1.20 best test loss, at step 20: kept 3.10 test loss before training" in listed
    told = Compared(FakeApp().runs.compared("run-a").spec, one.job, WORSE)
    beside = {name: of_a for name, of_a, _ in compare_runs.outcomes(told, told)}
    assert beside["Practice loss"] == f"{training}, typical of the last {RECENT} steps"
    assert beside["Test loss before training"] == "3.10"
    assert beside["Latest test loss"] == "1.60, at step 40"
    assert beside["Best test loss"] == "1.20, at step 20: kept"


def test_the_verdict_on_a_run_that_learns_well_has_the_numbers_of_its_card() -> None:
    one = watched(State.RUNNING, story({0: 3.1, 20: 1.2, 40: 0.9}))
    training = f"{losses.of(one.job, one.curve).training:.2f}"
    assert one.verdict
    assert one.verdict.kind == "falling"
    assert f"to {training}." in one.verdict.what
    assert "was 3.10 before training; the latest is 0.90." in one.verdict.what
    assert "0.90 latest test loss, at step 40 0.90 best test loss, at step 40: kept" in said(train_views.status(one))


@pytest.mark.parametrize(
    ("told", "kept", "words"),
    [
        (Losses(best=EvalEvent(20, 1.2), kept=20), "at step 20: kept", "it is that of the test"),
        (Losses(best=EvalEvent(20, 1.2), kept=23), "at step 20; kept is step 23", "stopped between two tests"),
        (Losses(best=EvalEvent(20, 1.2)), "at step 20", "it ended without a result"),
    ],
)
def test_which_version_is_kept(told: Losses, kept: str, words: str) -> None:
    assert losses.rows(told)["Best test loss"] == f"1.20, {kept}", words


def test_nothing_is_kept_of_a_run_that_broke_off() -> None:
    assert losses.of(job("run-c", State.INTERRUPTED), WORSE).kept is None
    assert losses.of(job("run-b", State.RUNNING), WORSE).kept == 20
    assert losses.of(job("run-a", State.STOPPED, result={"best_step": 37}), WORSE).kept == 37


def test_before_there_is_a_number_none_is_told() -> None:
    nothing = losses.of(job("run-b", State.RUNNING), Curve())
    assert losses.facts(nothing) == [("not yet", "practice loss")]
    untested = losses.of(job("run-b", State.RUNNING), story({}, 1))
    assert [words for _, words in losses.facts(untested)] == ["practice loss"]
    first = losses.of(job("run-b", State.RUNNING), story({0: 3.1}, 4))
    assert losses.facts(first)[1:] == [("3.10", "test loss before training")]
    assert "test loss" not in train_views.loss_card(watched(State.RUNNING, story({})))


def test_a_loss_that_is_no_number_is_told_as_that_everywhere() -> None:
    broken = story({0: 3.1, 40: math.nan})
    broken.steps[-1] = StepEvent(40, math.nan)
    told = losses.of(job("run-b", State.RUNNING), broken)
    assert math.isnan(told.training or 0.0)
    assert [number for number, _ in losses.facts(told)] == ["not a number", "not a number"]
    plot = train_views.loss_card(watched(State.RUNNING, broken))
    assert "practice loss not a number" in said(plot)
    assert "latest test loss not a number" in said(plot)


def test_runs_without_a_test_are_compared_by_their_practice_loss() -> None:
    spec = FakeApp().runs.compared("run-a").spec
    pair = [Compared(spec, job(name, State.RUNNING), story({}, steps)) for name, steps in (("a", 40), ("b", 30))]
    card = said(compare_runs.card(*pair))
    practised = [current_loss([step.loss for step in one.curve.steps]) for one in pair]
    assert "Beside each line stands its practice loss." in card
    for letter, number in zip("AB", practised, strict=True):
        assert f"{letter} {number:.2f}" in card
        assert f"{number:.2f}, typical of the last 10 steps" in card
