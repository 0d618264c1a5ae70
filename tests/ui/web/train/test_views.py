"""What Train shows of a run that trains, and of one that has ended."""

from dataclasses import replace
from html import unescape

import pytest

from backend.advice.diagnose import EARLY, diagnose
from backend.advice.recommend import recommend
from backend.errors import ApprenticeError, BadSetting
from backend.hardware import load_hardware
from backend.records.specs import TrainSettings
from backend.settings import PROJECT_ROOT
from jobs.records import Failure, Progress, State
from tests.ui.conftest import answer
from tests.ui.fake_records import DATA, INFO, against_parent, curve, job, report
from tests.ui.made_up_app import MadeUpApp
from ui.services.demo.gpu_calls import GpuTime
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.page import Page
from ui.web.train import demo_cards, plan_view, run_view
from ui.web.train.planning import why_disabled
from ui.web.train.running import CANT_CHECK, NOT_CHECKED, outcome


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
def test_the_best_version_is_saved_where_one_chooses(app: MadeUpApp, early_stopping: bool, chooses: bool) -> None:
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


def test_gpu_time_names_what_was_used_and_what_is_left_only_where_known() -> None:
    assert "43 s" in demo_cards.gpu_time(GpuTime(used=43.0))
    assert "last reported" not in demo_cards.gpu_time(GpuTime(used=43.0))
    assert "20 s" in demo_cards.gpu_time(GpuTime(used=43.0, left=20.0))


def test_the_recorded_training_is_labelled_and_shows_that_it_learned() -> None:
    shown = demo_cards.recorded()
    assert "This is not your training" in shown
    assert "same as yours" in shown
    assert "Before training" in shown
    assert 'class="line validation"' in shown


def test_without_an_evaluation_nobody_knows() -> None:
    shown = outcome(None, None)
    assert NOT_CHECKED[0] in shown
    assert "good" not in shown.partition(">")[0], "no green light"


@pytest.mark.parametrize(("verdict", "tone"), [("better", "good"), ("no_difference_shown", "calm"), ("worse", "bad")])
def test_the_verdict_is_the_measured_one(verdict: str, tone: str) -> None:
    shown = outcome(None, report(verdict=verdict))
    assert shown.startswith(f'<div class="halves"><div class="alert {tone}"')
    assert "It kept the rest" in shown


def test_a_running_evaluation_shows_how_far_it_is() -> None:
    running = job("evaluate-run-a", State.RUNNING, kind="evaluate", progress=Progress(phase="P", done=3, total=9))
    assert "3 of 9" in outcome(running, report())


def test_without_examples_to_check_it_nobody_is_sent_to_try() -> None:
    shown = outcome(None, None, can_check=False)
    assert CANT_CHECK[1] in shown
    assert NOT_CHECKED[2] not in shown


@pytest.mark.parametrize("earlier", [True, False])
def test_a_failed_evaluation_says_why(earlier: bool) -> None:
    failed = job("evaluate-1", State.FAILED, kind="evaluate", failure=Failure(what="It failed.", why="No memory."))
    shown = outcome(failed, report() if earlier else None)
    assert "No memory." in shown
    assert NOT_CHECKED[0] not in shown
    assert ("earlier check" in shown) is ('class="alert good"' in shown) is earlier


def test_a_waiting_evaluation_says_what_it_waits_for() -> None:
    assert "Waiting" in outcome(job("evaluate-1", State.QUEUED, kind="evaluate"), None)


@pytest.mark.parametrize(("verdict", "tone"), [("better", "good"), ("no_difference_shown", "calm"), ("worse", "bad")])
def test_a_later_version_is_compared_with_the_one_before(verdict: str, tone: str) -> None:
    _, _, shown = outcome(None, report(**against_parent(verdict))).rpartition("<div")
    assert f'class="alert {tone}"' in shown
    assert all(words in shown for words in ("version 1", "6 of 7 right", "4 of 7 right", "1 of the questions"))


def test_why_there_is_no_comparison_is_shown() -> None:
    gone = {"run": "run-x", "why_not": "It was deleted."}
    assert "It was deleted." in outcome(None, report(against_parent="not_measured", parent=gone))
    assert "version" not in outcome(None, report(against_parent="not_measured", parent=None))


def test_train_offers_a_better_model_to_take(page: Page, app: MadeUpApp, monkeypatch: pytest.MonkeyPatch) -> None:
    better = recommend(load_hardware(PROJECT_ROOT / "tests" / "backend" / "machines" / "rtx3060.json"), compare=False)
    monkeypatch.setattr(app.advice, "better", lambda *_: better)
    tab, choice = page.tabs["train"], Choice(data_id=DATA)
    shown = tab.show(choice)[tab.planning.plan]
    assert "A better model" in shown
    assert f"Use {better.model.name}" in shown
    found = answer(page, tab.planning.plan, "click", choice, clicked=("model", better.model.id))
    after = choice.replace(**page.state.changed(found))
    assert after.model_id == better.model.id
    shown = tab.show(after)[tab.planning.plan]
    assert "is not on this computer yet" in shown
    assert "A better model" not in shown
    assert "A better model" not in tab.show(choice.replace(parent="run-a"))[tab.planning.plan]
