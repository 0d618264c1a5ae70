"""What Train shows of a run that trains, and of one that has ended."""

import re
from dataclasses import replace
from html import unescape

import pytest

from backend.advice.diagnose import EARLY, diagnose
from backend.advice.recommend import recommend
from backend.advice.training_time import Shorter
from backend.errors import ApprenticeError, BadSetting
from backend.hardware import load_hardware
from backend.records.specs import TrainSettings
from backend.settings import PROJECT_ROOT
from jobs.records import Progress, State
from tests.ui.conftest import answer
from tests.ui.fake_records import DATA, INFO, curve, job
from tests.ui.made_up_app import MadeUpApp
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.page import Page
from ui.web.train import plan_view, run_view
from ui.web.train.planning import why_disabled
from ui.web.try_it import evaluation_card


def status(state: State, awake: bool | None) -> str:
    shown = curve(30)
    shown.awake = awake
    return unescape(
        str(
            run_view.status(
                run_view.Watched(job("run-a", state), shown, None, 0, False, INFO)
            )
        )
    )


@pytest.mark.parametrize("awake", [True, False])
def test_while_it_trains_it_says_whether_the_computer_stays_awake(awake: bool) -> None:
    says = [fmt.awake(one) in status(State.RUNNING, awake) for one in (True, False)]
    assert says == [awake, not awake]


@pytest.mark.parametrize(
    ("state", "awake"), [(State.COMPLETED, True), (State.RUNNING, None)]
)
def test_otherwise_it_says_nothing_of_it(state: State, awake: bool | None) -> None:
    assert "awake" not in status(state, awake)


@pytest.mark.parametrize(("steps", "tone"), [(EARLY - 1, "calm"), (60, "good")])
def test_too_few_steps_to_judge_are_not_shown_as_good(steps: int, tone: str) -> None:
    shown = curve(steps)
    verdict = diagnose(shown.steps, shown.evals, TrainSettings())
    watched = run_view.Watched(
        job("run-a", State.RUNNING), shown, verdict, 0, False, INFO
    )
    assert f'class="alert {tone}"' in run_view.health(watched)


def test_a_phase_may_say_more_than_its_name() -> None:
    said = "Trying 2 examples of up to 4,096 tokens (12 s so far)."
    assert run_view.time_left(Progress(phase="Measuring", detail=said)) == said
    assert said not in run_view.time_left(
        Progress(phase="Training", done=1, total=2, detail=said)
    )
    stopping = run_view.Watched(
        job("run-a", State.RUNNING, stop_requested=True), curve(9), None, 0, False, INFO
    )
    assert " left" not in run_view.status(stopping)


@pytest.mark.parametrize(("attempt", "how"), [(1, "cancelled"), (2, "stopped")])
def test_only_a_run_that_never_began_was_cancelled(attempt: int, how: str) -> None:
    waited = job("run-a", State.STOPPED, started=None, attempt=attempt)
    watched = run_view.Watched(waited, curve(9), None, 0, False, INFO)
    assert f"Training was {how}" in run_view.guide(watched)
    assert f">{how.title()}<" in run_view.status(watched)


def test_memory_to_be_measured_and_where_examples_stay(app: MadeUpApp) -> None:
    ahead = app.planning.plan(DATA, "", TrainSettings())
    shown = plan_view.plan(replace(ahead, memory_mib=0.0, memory_parts={}), {}, ())
    assert "will be measured" in shown
    assert "will be measured" not in plan_view.plan(ahead, {}, ())
    limited = replace(ahead, settings=TrainSettings(max_steps=2), steps=2)
    shown = plan_view.plan(limited, {}, {"max_steps", "keep_general"})
    assert "Your own settings: maximum steps 2<" in shown.partition("<details")[0]
    assert "after 2 of" in shown.partition("<details")[0]
    assert 'data-do="recommended"' in shown
    assert "recommended" not in plan_view.plan(ahead, {}, ())
    kept = replace(
        ahead,
        settings=TrainSettings(keep_general=0.2),
        general_rows=15,
        seconds=(100.0, 200.0),
    )
    assert "about 30 s of the time" in plan_view.plan(kept, {}, ())
    assert "stays on this computer" in plan_view.plan(ahead, {}, ())
    assert "this computer." not in plan_view.plan(ahead, {}, (), demo=True)


def test_a_long_training_offers_to_be_shorter(page: Page, app: MadeUpApp) -> None:
    ahead = replace(
        app.planning.plan(DATA, "", TrainSettings()), seconds=(9000.0, 9000.0)
    )
    assert 'data-do="fewer"' not in plan_view.plan(ahead, {}, ())
    way = Shorter(0.28, "252 of the 900 examples, each read once", 1500)
    shown = plan_view.plan(replace(ahead, shorter=way), {}, ())
    assert "about 2.5 h" in shown
    assert 'data-do="fewer" data-value="0.28"' in shown
    assert "252 of the 900 examples, each read once: 25 min" in shown
    tab, choice = page.tabs["train"], Choice(data_id=DATA, settings={"seed": 4})
    found = answer(page, tab.planning.plan, "click", choice, clicked=("fewer", "0.28"))
    after = choice.replace(**page.state.changed(found))
    assert after.settings == {"seed": 4, "num_train_epochs": 0.28}
    assert tab.form.settings(after).num_train_epochs == 0.28


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("chooses", [True, False])
def test_the_best_version_is_saved_where_one_chooses(
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
        (
            True,
            "It is large.",
            "",
            [BadSetting("Rate can't be 5.", "It is high.")],
            "Rate can't be 5. It is high.",
        ),
        (
            True,
            "It is too large.",
            "Keep the rank.",
            [BadSetting("Rate can't be 5.")],
            "Keep the rank.",
        ),
        (True, "", "", [], ""),
    ],
)
def test_one_function_decides_why_training_can_t_start(
    app: MadeUpApp,
    examples: bool,
    blocked: str,
    problem: str,
    faults: list[ApprenticeError],
    reason: str,
) -> None:
    plan = (
        replace(app.planning.plan(DATA, "", TrainSettings()), blocked=blocked)
        if examples
        else None
    )
    assert why_disabled(plan, problem, faults) == reason


def test_the_end_of_a_training_opens_with_the_verdict(
    page: Page, app: MadeUpApp
) -> None:
    running, choice = page.tabs["train"].running, Choice(data_id=DATA, run_id="run-a")
    assert (
        evaluation_card.UNKNOWN in page.tabs["train"].show(choice)[running.outcome]
    ), "a lower loss is no verdict"
    app.evaluations.start("run-a")
    assert 'role="progressbar"' in page.tabs["train"].show(choice)[running.outcome]
    app.work()
    shown = page.tabs["train"].show(choice)
    assert "6 of 8 right" in shown[running.outcome]
    assert (
        shown[running.outcome]
        in page.tabs["runs"].show(choice)[page.tabs["runs"].verdict]
    )
    ids = [part._id for part in running.column.children]
    assert (
        ids.index(running.outcome._id)
        < ids.index(running.status._id)
        < ids.index(running.learning._id)
    )


def test_while_it_trains_its_answers_stand_above_the_folded_loss(page: Page) -> None:
    running = page.tabs["train"].running
    shown = page.tabs["train"].show(Choice(run_id="run-b"))
    assert shown[running.outcome] == ""
    learning = shown[running.learning]
    answers, _, loss = learning.partition("<details")
    assert "Before training" in answers
    assert re.search(r"After \d+ steps", answers)
    assert "<svg" not in answers
    assert "<svg" in loss


def test_the_next_step_of_a_verdict_is_one_press(page: Page, app: MadeUpApp) -> None:
    choice = Choice(data_id=DATA, run_id="run-a")
    app.evaluations.start("run-a")
    app.work()
    outcome = page.tabs["train"].running.outcome
    assert (
        page.tabs["train"].show(choice)[outcome].count('class="btn firm" data-do="')
        == 1
    )
    assert (
        answer(page, outcome, "click", choice, clicked=("examples", ""))[page.opens]
        == "data"
    )
    assert (
        answer(page, outcome, "click", choice, clicked=("share", ""))[page.opens]
        == "share"
    )
    assert (
        answer(page, outcome, "click", choice, clicked=("elsewhere", ""))[page.opens]
        == ""
    )


def test_train_offers_a_better_model_to_take(
    page: Page, app: MadeUpApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = recommend(
        load_hardware(PROJECT_ROOT / "tests" / "backend" / "machines" / "rtx3060.json"),
        compare=False,
    )
    monkeypatch.setattr(app.advice, "better", lambda *_: better)
    tab, choice = page.tabs["train"], Choice(data_id=DATA)
    shown = tab.show(choice)[tab.planning.plan]
    assert "A better model" in shown
    assert f"Use {better.model.name}" in shown
    found = answer(
        page, tab.planning.plan, "click", choice, clicked=("model", better.model.id)
    )
    after = choice.replace(**page.state.changed(found))
    assert after.model_id == better.model.id
    shown = tab.show(after)[tab.planning.plan]
    assert "is not on this computer yet" in shown
    assert "A better model" not in shown
    assert (
        "A better model"
        not in tab.show(choice.replace(parent="run-a"))[tab.planning.plan]
    )
