"""The conversation on Try; a wrong answer is corrected and added to the examples."""

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
from ui.services.results.chat import Answer
from ui.services.selection import Choice
from ui.web.page import Page
from ui.web.try_it import correcting
from ui.web.try_it.talk import (
    LONGEST_ANSWER,
    LONGEST_QUESTION,
    TURNS_STORED,
    Turn,
    messages,
    stored_talk,
    turns_with,
)

DONE = Choice(run_id="run-a")
RIGHT = json.dumps({"answer": "We do, love."})


@pytest.fixture
def page(app: MadeUpApp) -> Page:
    app.evaluations.start("run-a")
    app.work()
    return page_of(app)


@pytest.fixture
def added(app: MadeUpApp) -> list[tuple[list[Message], str, str]]:
    """The corrections that are added, as they are asked for: the conversation, the
    right and the wrong answer.
    """
    asked: list[tuple[list[Message], str, str]] = []
    add = app.corrections.add

    def spy(
        run_id: str,
        messages: list[Message],
        answer: str,
        wrong: str,
        *given: Any,
        **named: Any,
    ) -> Correction:
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
    return str(
        answer(page, card.answers, "click", DONE, clicked=(do, value))[card.answers]
    )


def turns(*asked: tuple[str, bool]) -> list[Turn]:
    return [
        Turn(
            words,
            "Sorry.",
            f"To {words}",
            alone=alone,
            finish={"base": "end", "tuned": "end"},
        )
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
    assert (messages[-1]["content"], right, wrong) == (
        given.question,
        "We do, love.",
        given.texts["tuned"],
    )
    assert str(ROWS + 1) in shown
    assert shown.count("You corrected this answer") == 1
    assert "We do, love." in shown


def test_an_answer_of_another_check_is_not_corrected(page: Page, added: Any) -> None:
    first, second = forms(report_answers(page))[:2]
    for other in (
        first.replace("0-", "1-"),
        "correct:99-0",
        "correct:x",
        second.rpartition("-")[0],
    ):
        with pytest.raises(gr.Error):
            correct_report(page, other)
    assert added == []


def test_an_empty_correction_is_refused_and_the_form_stays(page: Page) -> None:
    for value in (json.dumps({"answer": " "}), "{}", "no form"):
        with pytest.raises(gr.Error):
            correct_report(page, forms(report_answers(page))[0], value)


def test_the_last_answer_of_the_chat_is_corrected_after_its_history(
    page: Page, added: Any
) -> None:
    said = turns(("One?", False), ("By itself?", True), ("Two?", False))
    (sent,) = forms(chat_form(page, said))
    shown = correct_chat(page, said, sent)
    ((messages, right, wrong),) = added
    assert [message["content"] for message in messages] == ["One?", "To One?", "Two?"]
    assert (right, wrong) == ("We do, love.", "To Two?")
    assert "You corrected this answer" in shown
    said = turns((ASKED, True))  # a validation example, with its own history
    correct_chat(page, said, forms(chat_form(page, said))[0])
    assert [message["content"] for message in added[-1][0]] == [ASKED]


def test_the_last_answer_is_corrected_from_what_the_examples_say(page: Page) -> None:
    said = turns(("One?", True), ("Two?", True))
    (sent,) = forms(chat_form(page, said[:1]))
    with pytest.raises(gr.Error):
        correct_chat(page, said, sent)
    assert (chat_form(page, []), chat_form(page, [Turn("One?", "Sorry.", "")])) == (
        "",
        "",
    )
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


def turn(question: str, **changes: Any) -> Turn:
    return Turn(
        question,
        "old",
        "new",
        **{"finish": {"base": "end", "tuned": "length"}, **changes},
    )


def test_a_conversation_survives_a_reload_with_its_latest_turns_but_no_other_model() -> (
    None
):
    turns = [
        turn("Where is my order?"),
        turn("And when does it come?", alone=False, expected="Soon."),
    ]
    assert turns_with("run-1", stored_talk("run-1", turns)) == turns
    assert turns_with("run-2", stored_talk("run-1", turns)) == []
    kept = turns_with(
        "run-1",
        stored_talk("run-1", [turn(str(number)) for number in range(TURNS_STORED + 3)]),
    )
    assert [kept[0].question, kept[-1].question] == ["3", str(TURNS_STORED + 2)]


@pytest.mark.parametrize(
    "kept",
    [
        None,
        [],
        "talk",
        {},
        {"run": "run-1"},
        {"run": "run-1", "turns": "x"},
        {"run": "run-1", "turns": [1, {}, None]},
    ],
)
def test_malformed_browser_state_is_ignored(kept: object) -> None:
    assert turns_with("run-1", kept) == []


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("question", LONGEST_QUESTION),
        ("base", LONGEST_ANSWER),
        ("tuned", LONGEST_ANSWER),
    ],
)
def test_a_text_that_the_page_would_not_accept_is_left_out(
    name: str, most: int
) -> None:
    talk = stored_talk("run-1", [turn("Where?"), turn("And when?")])
    talk["turns"][0][name] = "x" * most
    assert len(turns_with("run-1", talk)) == 2
    talk["turns"][0][name] += "x"
    assert [one.question for one in turns_with("run-1", talk)] == ["And when?"]


def test_long_and_endless_answers_are_stored() -> None:
    new = Turn("What is it about?", document="letters.txt")
    for pane, text in (("base", "Short."), ("tuned", "x" * (LONGEST_ANSWER + 1))):
        new.add_part(Answer(pane, text, "end", "Joined."))
    (stored,) = turns_with("run-1", stored_talk("run-1", [new]))
    assert stored.tuned == "x" * LONGEST_ANSWER
    assert (stored.how["base"], "100,000" in stored.how["tuned"]) == ("Joined.", True)
    talk = stored_talk(
        "run-1", [turn("Where?", finish={"base": "<b>", "other": "end"})]
    )
    assert turns_with("run-1", talk)[0].finish == {
        "base": "stopped",
        "tuned": "stopped",
    }


def said(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in found]


def test_the_messages_of_a_conversation() -> None:
    before = [turn("One", alone=False), turn("Two")]
    new = Turn("Three", alone=False)
    assert said(messages("base", before, new, "")) == [
        ("user", "One"),
        ("assistant", "old"),
        ("user", "Three"),
    ]
    assert said(messages("tuned", before, new, ""))[1] == ("assistant", "new")
    assert said(messages("base", [turn("One", alone=False)], Turn("Two"), " ")) == [
        ("user", "Two")
    ]
    history = [{"role": "system", "content": "Old"}, {"role": "user", "content": "Hi"}]
    found = messages("tuned", [], Turn("Now"), "New", history)
    assert said(found) == [("system", "New"), ("user", "Hi"), ("user", "Now")]
