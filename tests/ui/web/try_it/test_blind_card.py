"""The card of the blind test: names only at the end, and nothing from a model becomes
markup.
"""

from contextlib import suppress
from typing import Any

import gradio as gr
import pytest

from backend.evaluation.blind_test import OTHER, Outcome, Question, Revealed
from tests.ui.conftest import answer, page_of
from tests.ui.fake_records import DATA
from tests.ui.made_up_app import MadeUpApp
from ui.services.selection import Choice
from ui.text import verdicts
from ui.web.page import Page
from ui.web.try_it import blind_card, evaluation_card

DONE = Choice(data_id=DATA, run_id="run-a")
EVIL = '"><img src=x onerror=alert(1)>'
PANES = '{"first": "tuned", "second": "base"}'


@pytest.fixture
def page(app: MadeUpApp) -> Page:
    app.evaluations.start("run-a")
    app.work()
    return page_of(app)


def updates(
    page: Page, do: str, value: str = "", choice: Choice = DONE
) -> dict[Any, Any]:
    return answer(
        page, page.tabs["try"].blind.card, "click", choice, clicked=(do, value)
    )


def clicked(page: Page, do: str, value: str = "", choice: Choice = DONE) -> str:
    shown: str = updates(page, do, value, choice)[page.tabs["try"].blind.card]
    return shown


def names(html: str) -> list[str]:
    return [name for name in verdicts.SYSTEMS.values() if name in html]


class TestTab:
    def card(self, page: Page, choice: Choice = DONE) -> str:
        card = page.tabs["try"].blind
        shown: str = card.show(choice)[card.card]
        return shown

    @pytest.mark.parametrize("choice", [Choice(), Choice(run_id="run-b")])
    def test_without_a_model_there_is_none(self, page: Page, choice: Choice) -> None:
        assert self.card(page, choice) == ""

    def test_without_an_evaluation_it_says_what_to_do(
        self, app: MadeUpApp, page: Page
    ) -> None:
        app.runner.delete(app.runner.jobs(kind="evaluate")[0].id)
        assert blind_card.NO_ANSWERS in self.card(page)
        assert "<form" not in self.card(page)

    def test_it_offers_the_systems_that_answered(self, page: Page) -> None:
        offered = {
            name
            for name in verdicts.SYSTEMS
            if self.card(page).count(f'value="{name}"') == 2
        }
        assert offered == {"base", "tuned"}

    def test_from_the_first_question_to_the_last(self, page: Page) -> None:
        before = page.signature_of("try", DONE)
        shown = clicked(page, "start-blind", PANES)
        at = 1
        while "Question" in shown and 'role="status"' in shown:
            assert f"Question {at} of" in shown
            assert names(shown) == []
            assert "tuned" not in shown
            shown = clicked(page, "vote", f"{at} same")
            at += 1
        assert at > 8
        assert names(shown) == ["The base model", "Your model"]
        assert 'class="alert calm"' in shown
        assert shown.count("<article") == 8
        assert page.signature_of("try", DONE) != before

    def test_while_a_person_chooses_the_report_shows_no_answers(
        self, page: Page
    ) -> None:
        card = page.tabs["try"].evaluation
        assert "<article" in card.show(DONE)[card.answers]
        for hidden in (updates(page, "start-blind", PANES), card.show(DONE)):
            assert evaluation_card.HIDDEN in hidden[card.answers]
            assert "<article" not in hidden[card.answers]
        for again in (updates(page, "end-blind"), card.show(DONE)):
            assert "<article" in again[card.answers]

    def test_undo_goes_back_and_an_early_end_reveals(self, page: Page) -> None:
        shown = clicked(page, "start-blind", PANES)
        assert "undo-vote" not in shown
        shown = clicked(page, "vote", "1 left")
        assert "undo-vote" in shown
        assert "Question 1 of" in clicked(page, "undo-vote", "2")
        clicked(page, "vote", "1 left")
        assert len(names(clicked(page, "end-blind"))) == 2

    @pytest.mark.parametrize(
        "value",
        ["", "x left", "² left", "-1 left", "2 left", "left", "1" * 5000 + " left"],
    )
    def test_other_values_change_nothing(self, page: Page, value: str) -> None:
        clicked(page, "start-blind", PANES)
        with suppress(gr.Error):
            clicked(page, "vote", value)
        assert "Question 1 of" in self.card(page)


def ended(**changes: Any) -> Outcome:
    shown = (Revealed("Q", ("a", "b"), 0), Revealed("Q", ("", "b"), None))
    values: dict[str, Any] = {
        "systems": ("tuned", "base"), "wins": (8, 0), "same": 1, "e_value": 28.4, "better": 0, "repeated": 2,
        "consistent": 1, "questions": shown, **changes,
    }  # fmt: skip
    return Outcome(**values)


@pytest.mark.parametrize(
    ("systems", "better", "tone"),
    [
        (("tuned", "base"), 0, "good"), (("tuned", "base"), 1, "bad"), (("prompt", "tuned"), 0, "bad"),
        (("prompt", "base"), 1, "good"), (("tuned", "base"), None, "calm"),
    ],
)  # fmt: skip
def test_the_verdict_has_its_tone(
    systems: tuple[str, str], better: int | None, tone: str
) -> None:
    html = blind_card.outcome(ended(systems=systems, better=better), [])
    assert f'class="alert {tone}"' in html
    assert "<form" not in html


def test_counts_and_choices_are_shown() -> None:
    html = blind_card.outcome(ended(), ["base", "tuned"])
    assert all(part in html for part in ("8 times", "28.4", "1 of 2"))
    assert html.count(">your choice<") == 1
    assert "No answer." in html
    assert "<form" in html
    assert 'value="base" selected' in blind_card.before(["base", "tuned"])


def test_verdicts_have_names_and_texts_are_escaped() -> None:
    found = ended(
        systems=("tuned", OTHER), other="Orders (version 1)", better=1, wins=(0, 8)
    )
    assert "Orders (version 1) is better" in blind_card.outcome(found, [])
    assert (
        verdicts.blind_test(found)
        == "Blind test: Orders (version 1) is better, by your choices (8 to 0)."
    )
    shown = blind_card.question(Question(1, 3, EVIL, EVIL, EVIL, True))
    shown += blind_card.outcome(
        ended(questions=(Revealed(EVIL, (EVIL, EVIL), 1),)), ["tuned"]
    )
    assert "<img" not in shown
    assert shown.count("&lt;img") == 6
