"""The card "Try a prompt first" on Data and Train."""

from __future__ import annotations

import pytest

from backend.records.evaluation import TrialReport
from jobs.records import Failure, State
from tests.ui.conftest import answer, page_of
from tests.ui.fake_records import job, trial_report
from tests.ui.fake_services import FakeApp
from ui.services.selection import Choice
from ui.web.page import Page
from ui.web.try_it import prompt_card

CHOICE = Choice(data_id="data-1")


@pytest.fixture
def page() -> Page:
    return page_of(FakeApp())


def card_on(page: Page, tab: str) -> prompt_card.PromptCard:
    drawn = page.tabs[tab]
    found: prompt_card.PromptCard = drawn.planning.prompts if tab == "train" else drawn.prompts
    return found


@pytest.mark.parametrize("tab", ["data", "train"])
def test_a_click_tries_prompts_and_the_tick_shows_the_result(page: Page, tab: str) -> None:
    card, trials = card_on(page, tab), page.app.prompt_trials
    shown = page.tabs[tab].show(CHOICE)
    assert "8 questions" in shown[card.card]
    assert "1 to 2 min" in shown[card.card]
    assert shown[card.begin]["interactive"]
    before = page.signature_of(tab, CHOICE)
    trials.seconds = 1000  # type: ignore[attr-defined]
    shown = answer(page, card.begin, "click", CHOICE)
    assert 'role="progressbar"' in shown[card.card]
    assert (shown[card.begin]["visible"], shown[card.cancel]["visible"]) == (False, True)
    during = page.signature_of(tab, CHOICE)
    trials.seconds = 0  # type: ignore[attr-defined]
    assert len({before, during, page.signature_of(tab, CHOICE)}) == 3
    shown = page.tabs[tab].show(CHOICE)
    assert 'class="alert good"' in shown[card.card]
    assert "6 of 8 right" in shown[card.card]
    assert shown[card.answers].count("<article") == 8


def test_a_trial_can_be_cancelled(page: Page) -> None:
    card = card_on(page, "train")
    page.app.prompt_trials.seconds = 1000  # type: ignore[attr-defined]
    answer(page, card.begin, "click", CHOICE)
    shown = answer(page, card.cancel, "click", CHOICE)
    assert shown[card.begin]["interactive"]
    assert 'class="alert calm"' in shown[card.card]


def test_a_trial_is_never_called_a_check(page: Page) -> None:
    for state in (State.STOPPED, State.INTERRUPTED):
        page.app.prompt_trials.job = job("prompts-1", state)  # type: ignore[attr-defined]
        shown = str(card_on(page, "data").show(CHOICE)[card_on(page, "data").card])
        assert 'class="alert' in shown
        assert "trial" in shown
        assert "check" not in shown.lower()


def test_without_examples_the_button_says_why(page: Page) -> None:
    card = card_on(page, "train")
    shown = page.tabs["train"].show(Choice())
    assert card.begin not in shown or not shown[card.begin]["interactive"]


def test_a_result_of_other_examples_says_so(page: Page) -> None:
    card, trials = card_on(page, "data"), page.app.prompt_trials
    trials.seconds = 0  # type: ignore[attr-defined]
    answer(page, card.begin, "click", CHOICE)
    assert prompt_card.OLD not in card.show(CHOICE)[card.card]
    trials.current = False  # type: ignore[attr-defined]
    assert prompt_card.OLD in card.show(CHOICE)[card.card]


def test_a_failure_is_named(page: Page) -> None:
    card, failure = card_on(page, "data"), Failure(what="It failed.", why="No memory.", next="Close programs.")
    page.app.prompt_trials.job = job("prompts-1", State.FAILED, failure=failure)  # type: ignore[attr-defined]
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
