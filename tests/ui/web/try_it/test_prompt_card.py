"""The card "Try a prompt first" on Data and Train."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from backend.records.evaluation import TrialReport
from jobs.folder import JobFolder
from jobs.records import Failure, State
from tests.measured_speed import store_speed
from tests.ui.conftest import answer
from tests.ui.fake_records import DATA, trial_report
from tests.ui.made_up_app import MadeUpApp
from ui.services.selection import Choice
from ui.web.page import Page
from ui.web.try_it import prompt_card

CHOICE = Choice(data_id=DATA)


@pytest.fixture
def trial(app: MadeUpApp) -> Callable[..., None]:
    """Makes a trial that ends in this state."""
    app.fix()

    def ended(state: State, failure: Failure | None = None) -> None:
        folder = JobFolder(app.runner.folder(app.prompt_trials.start(CHOICE)))
        folder.write_status(folder.status().ended_as(state, failure))

    return ended


def card_on(page: Page, tab: str) -> prompt_card.PromptCard:
    drawn = page.tabs[tab]
    found: prompt_card.PromptCard = drawn.planning.prompts if tab == "train" else drawn.prompts
    return found


@pytest.mark.parametrize("tab", ["data", "train"])
def test_a_click_tries_prompts_and_the_tick_shows_the_result(app: MadeUpApp, page: Page, tab: str) -> None:
    card = card_on(page, tab)
    app.fix()
    store_speed(app.workspace)
    shown = page.tabs[tab].show(CHOICE)
    assert f"{app.prompt_trials.questions(CHOICE)} questions" in shown[card.card]
    assert re.search(r"\d (s|min)", shown[card.card])
    assert shown[card.begin]["interactive"]
    before = page.signature_of(tab, CHOICE)
    shown = answer(page, card.begin, "click", CHOICE)
    assert 'role="progressbar"' in shown[card.card]
    assert (shown[card.begin]["visible"], shown[card.cancel]["visible"]) == (False, True)
    during = page.signature_of(tab, CHOICE)
    app.work()
    assert len({before, during, page.signature_of(tab, CHOICE)}) == 3
    shown = page.tabs[tab].show(CHOICE)
    assert 'class="alert good"' in shown[card.card]
    assert "6 of 8 right" in shown[card.card]
    assert shown[card.answers].count("<article") == 8


def test_a_trial_can_be_cancelled(app: MadeUpApp, page: Page) -> None:
    card = card_on(page, "train")
    app.fix()
    answer(page, card.begin, "click", CHOICE)
    shown = answer(page, card.cancel, "click", CHOICE)
    assert shown[card.begin]["interactive"]
    assert 'class="alert calm"' in shown[card.card]


def test_a_trial_is_never_called_a_check(page: Page, trial: Callable[..., None]) -> None:
    for state in (State.STOPPED, State.INTERRUPTED):
        trial(state)
        shown = str(card_on(page, "data").show(CHOICE)[card_on(page, "data").card])
        assert 'class="alert' in shown
        assert "trial" in shown
        assert "check" not in shown.lower()


def test_without_examples_the_button_says_why(page: Page) -> None:
    card = card_on(page, "train")
    shown = page.tabs["train"].show(Choice())
    assert card.begin not in shown or not shown[card.begin]["interactive"]


def test_a_result_of_other_examples_says_so(app: MadeUpApp, page: Page) -> None:
    card = card_on(page, "data")
    app.fix()
    answer(page, card.begin, "click", CHOICE)
    app.work()
    assert prompt_card.OLD not in card.show(CHOICE)[card.card]
    app.edits.set_instruction(DATA, "Be brief.")
    assert prompt_card.OLD in card.show(CHOICE)[card.card]


def test_a_failure_is_named(page: Page, trial: Callable[..., None]) -> None:
    card, failure = card_on(page, "data"), Failure(what="It failed.", why="No memory.", next="Close programs.")
    trial(State.FAILED, failure)
    shown = card.show(CHOICE)
    assert all(part in shown[card.card] for part in (failure.what, failure.why, failure.next))
    assert shown[card.begin]["interactive"]


def test_prompts_that_are_not_enough_are_not_praised() -> None:
    found = TrialReport.model_validate({**trial_report(), "next_kind": "train", "next": "Train the model."})
    assert 'class="alert calm"' in prompt_card.ended(found, True)


def test_text_from_people_and_models_is_escaped() -> None:
    found = trial_report()
    found["systems"]["prompt"]["instruction"] = "<img src=x>"
    assert "<img" not in prompt_card.ended(TrialReport.model_validate(found), True)
