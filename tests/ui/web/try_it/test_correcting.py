"""A wrong answer on Try is corrected and added to the examples."""

from __future__ import annotations

import json
import re
from typing import Any

import gradio as gr
import pytest
from markupsafe import escape

from backend.records.rows import Message
from tests.ui.conftest import answer, page_of
from tests.ui.fake_records import ASKED, DATA, ORDER, report
from tests.ui.made_up_app import MadeUpApp
from tests.ui.made_up_workspace import ROWS
from ui.records.data import Correction
from ui.services.selection import Choice
from ui.web.page import Page
from ui.web.try_it import correcting
from ui.web.try_it.talk import Turn, stored_talk

DONE = Choice(run_id="run-a")
RIGHT = json.dumps({"answer": "We do, love."})


@pytest.fixture
def page(app: MadeUpApp) -> Page:
    app.evaluations.start("run-a")
    app.work()
    return page_of(app)


@pytest.fixture
def added(app: MadeUpApp) -> list[tuple[list[Message], str, str]]:
    """The corrections that are added, as they are asked for: the conversation, the right and the wrong answer."""
    asked: list[tuple[list[Message], str, str]] = []
    add = app.corrections.add

    def spy(run_id: str, messages: list[Message], answer: str, wrong: str, *given: Any, **named: Any) -> Correction:
        asked.append((messages, answer, wrong))
        return add(run_id, messages, answer, wrong, *given, **named)

    app.corrections.add = spy  # type: ignore[assignment,method-assign]
    return asked


def forms(drawn: str) -> list[str]:
    return re.findall(r'data-send="([^"]+)"', drawn)


def report_answers(page: Page) -> str:
    card = page.tabs["try"].evaluation
    return str(card.show(DONE)[card.answers])


def correct_report(page: Page, do: str, value: str = RIGHT) -> str:
    card = page.tabs["try"].evaluation
    return str(answer(page, card.answers, "click", DONE, clicked=(do, value))[card.answers])


def turns(*asked: tuple[str, bool]) -> list[Turn]:
    return [
        Turn(words, "Sorry.", f"To {words}", alone=alone, finish={"base": "end", "tuned": "end"})
        for words, alone in asked
    ]


def chat_form(page: Page, said: list[Turn]) -> str:
    tab = page.tabs["try"]
    inputs = page.state.inputs(DONE, talk=stored_talk("run-a", said))
    return str(tab.restore(DONE, inputs).get(tab.correction.card, ""))


def correct_chat(page: Page, said: list[Turn], do: str, value: str = RIGHT) -> str:
    card = page.tabs["try"].correction.card
    inputs = {page.state.talk: stored_talk("run-a", said)}
    return str(answer(page, card, "click", DONE, inputs, clicked=(do, value))[card])


def test_each_answer_of_a_report_can_be_corrected(page: Page, added: Any) -> None:
    sent = forms(report_answers(page))
    assert len(sent) == len(report().answers) == len({*sent})
    shown = correct_report(page, sent[1])
    ((messages, right, wrong),) = added
    given = report().answers[1]
    assert (messages[-1]["content"], right, wrong) == (given.question, "We do, love.", given.texts["tuned"])
    assert str(ROWS + 1) in shown
    assert shown.count("You corrected this answer") == 1
    assert "We do, love." in shown


def test_an_answer_of_another_check_is_not_corrected(page: Page, added: Any) -> None:
    first, second = forms(report_answers(page))[:2]
    for other in (first.replace("0-", "1-"), "correct:99-0", "correct:x", second.rpartition("-")[0]):
        with pytest.raises(gr.Error):
            correct_report(page, other)
    assert added == []


def test_an_empty_correction_is_refused_and_the_form_stays(page: Page) -> None:
    for value in (json.dumps({"answer": " "}), "{}", "no form"):
        with pytest.raises(gr.Error):
            correct_report(page, forms(report_answers(page))[0], value)


def test_the_last_answer_of_the_chat_is_corrected_after_its_history(page: Page, added: Any) -> None:
    said = turns(("One?", False), ("By itself?", True), ("Two?", False))
    (sent,) = forms(chat_form(page, said))
    shown = correct_chat(page, said, sent)
    ((messages, right, wrong),) = added
    assert [message["content"] for message in messages] == ["One?", "To One?", "Two?"]
    assert (right, wrong) == ("We do, love.", "To Two?")
    assert "You corrected this answer" in shown


def test_a_validation_example_is_corrected_with_its_own_history(page: Page, added: Any) -> None:
    said = turns((ASKED, True))
    correct_chat(page, said, forms(chat_form(page, said))[0])
    ((messages, _, _),) = added
    assert [message["content"] for message in messages] == [ASKED]


def test_only_the_last_answer_of_the_chat_is_corrected(page: Page) -> None:
    said = turns(("One?", True), ("Two?", True))
    (sent,) = forms(chat_form(page, said[:1]))
    with pytest.raises(gr.Error):
        correct_chat(page, said, sent)
    assert chat_form(page, []) == ""
    assert chat_form(page, [Turn("One?", "Sorry.", "")]) == ""


def test_the_form_begins_with_what_the_examples_say(page: Page) -> None:
    (turn,) = turns((ASKED, True))
    turn.expected = ORDER
    assert str(escape(ORDER)) in chat_form(page, [turn])
    turn.expected = ""
    assert str(escape(turn.tuned)) in chat_form(page, [turn])


def test_deleted_examples_can_be_made_again(page: Page) -> None:
    page.app.datasets.delete(DATA)
    said = turns(("One?", True))
    (sent,) = forms(chat_form(page, said))
    assert sent.startswith("restore:")
    with pytest.raises(gr.Error):
        correct_chat(page, said, sent.replace("restore", "correct"))
    assert "back" in correct_chat(page, said, sent)
    assert forms(chat_form(page, said))[0].startswith("correct:")


def test_what_was_corrected_is_escaped() -> None:
    shown = correcting.form("1", "<key>", "</textarea><script>", None, False)
    shown += correcting.added(Correction("data", "<script>", 1))
    assert "<script" not in shown
