"""What Train shows of a run that trains, and no longer of one that has ended."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import pytest

from backend.advice.diagnose import EARLY, diagnose
from backend.errors import ApprenticeError, BadSetting
from backend.records.specs import TrainSettings
from jobs.records import Progress, State
from tests.ui.fake_records import DATA, INFO, curve, job
from tests.ui.made_up_app import MadeUpApp
from ui.text import format as fmt
from ui.web.train import plan_view, run_view
from ui.web.train.planning import why_disabled


def status(state: State, awake: bool | None) -> str:
    shown = curve(30)
    shown.awake = awake
    return unescape(str(run_view.status(run_view.Watched(job("run-a", state), shown, None, 0, False, INFO))))


@pytest.mark.parametrize("awake", [True, False])
def test_while_it_trains_it_says_whether_the_computer_stays_awake(awake: bool) -> None:
    says = [fmt.awake(one) in status(State.RUNNING, awake) for one in (True, False)]
    assert says == [awake, not awake]


@pytest.mark.parametrize(("state", "awake"), [(State.COMPLETED, True), (State.RUNNING, None)])
def test_otherwise_it_says_nothing_of_it(state: State, awake: bool | None) -> None:
    assert "awake" not in status(state, awake)


@pytest.mark.parametrize(("steps", "tone"), [(EARLY - 1, "calm"), (60, "good")])
def test_too_few_steps_to_judge_are_not_shown_as_good(steps: int, tone: str) -> None:
    shown = curve(steps)
    verdict = diagnose(shown.steps, shown.evals, TrainSettings())
    watched = run_view.Watched(job("run-a", State.RUNNING), shown, verdict, 0, False, INFO)
    assert f'class="alert {tone}"' in run_view.health(watched)


def test_a_phase_may_say_more_than_its_name() -> None:
    said = "Trying 2 examples of up to 4,096 tokens (12 s so far)."
    assert run_view.time_left(Progress(phase="Measuring", detail=said)) == said
    assert said not in run_view.time_left(Progress(phase="Training", done=1, total=2, detail=said))


def test_memory_that_cannot_be_computed_will_be_measured(app: MadeUpApp) -> None:
    ahead = app.planning.plan(DATA, "", TrainSettings())
    shown = plan_view.plan(replace(ahead, memory_mib=0.0, memory_parts={}), {}, ())
    assert "will be measured" in shown
    assert "will be measured" not in plan_view.plan(ahead, {}, ())


def test_a_demo_does_not_say_that_the_examples_stay_on_the_visitors_computer(app: MadeUpApp) -> None:
    ahead = app.planning.plan(DATA, "", TrainSettings())
    assert "stays on this computer" in plan_view.plan(ahead, {}, ())
    assert "this computer." not in plan_view.plan(ahead, {}, (), demo=True)


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("chooses", [True, False])
def test_the_best_version_is_saved_only_where_something_chooses(
    app: MadeUpApp, early_stopping: bool, chooses: bool
) -> None:
    ahead = app.planning.plan(DATA, "", TrainSettings(early_stopping=early_stopping))
    shown = plan_view.plan(replace(ahead, chooses=chooses), {}, ())
    assert ("best version" in shown) is (early_stopping and chooses)


@pytest.mark.parametrize(
    ("examples", "blocked", "problem", "faults", "reason"),
    [
        (False, "", "", [], "Add examples first, in step 2."),
        (False, "", "It can't be read.", [], "It can't be read."),
        (True, "It is too large.", "", [], "It is too large."),
        (True, "It is large.", "", [BadSetting("Rate can't be 5.", "It is high.")], "Rate can't be 5. It is high."),
        (True, "It is too large.", "Keep the rank.", [BadSetting("Rate can't be 5.")], "Keep the rank."),
        (True, "", "", [], ""),
    ],
)
def test_one_function_decides_why_training_can_t_start(
    app: MadeUpApp, examples: bool, blocked: str, problem: str, faults: list[ApprenticeError], reason: str
) -> None:
    plan = replace(app.planning.plan(DATA, "", TrainSettings()), blocked=blocked) if examples else None
    assert why_disabled(plan, problem, faults) == reason
