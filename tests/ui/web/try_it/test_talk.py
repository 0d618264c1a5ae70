"""The conversation in Try: what the browser stores of it, and what each model reads next."""

from __future__ import annotations

from typing import Any

import pytest

from ui.services.results.documents import Whole
from ui.web.try_it.talk import LONGEST_ANSWER, LONGEST_QUESTION, TURNS_STORED, Turn, messages, stored_talk, turns_with


def turn(question: str, **changes: Any) -> Turn:
    return Turn(question, "old", "new", **{"finish": {"base": "end", "tuned": "length"}, **changes})


def test_a_conversation_survives_a_reload() -> None:
    turns = [turn("Where is my order?"), turn("And when does it come?", alone=False, expected="Soon.")]
    assert turns_with("run-1", stored_talk("run-1", turns)) == turns


def test_another_model_starts_a_new_conversation() -> None:
    assert turns_with("run-2", stored_talk("run-1", [turn("Where is my order?")])) == []


def test_a_long_conversation_is_cut_to_its_latest_turns() -> None:
    kept = turns_with("run-1", stored_talk("run-1", [turn(str(number)) for number in range(TURNS_STORED + 3)]))
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
    ("name", "most"), [("question", LONGEST_QUESTION), ("base", LONGEST_ANSWER), ("tuned", LONGEST_ANSWER)]
)
def test_a_text_that_the_page_would_not_accept_is_left_out(name: str, most: int) -> None:
    talk = stored_talk("run-1", [turn("Where?"), turn("And when?")])
    talk["turns"][0][name] = "x" * most
    assert len(turns_with("run-1", talk)) == 2
    talk["turns"][0][name] += "x"
    assert [one.question for one in turns_with("run-1", talk)] == ["And when?"]


def test_the_beginning_of_a_very_long_answer_stays() -> None:
    new = Turn("What is it about?", document="letters.txt")
    for pane, text in (("base", "Short."), ("tuned", "x" * (LONGEST_ANSWER + 1))):
        new.add_part(Whole(pane, text, "end", "Joined."))
    (stored,) = turns_with("run-1", stored_talk("run-1", [new]))
    assert stored.tuned == "x" * LONGEST_ANSWER
    assert (stored.how["base"], "100,000" in stored.how["tuned"]) == ("Joined.", True)


def test_an_answer_without_a_valid_end_counts_as_stopped() -> None:
    talk = stored_talk("run-1", [turn("Where?", finish={"base": "<b>", "other": "end"})])
    assert turns_with("run-1", talk)[0].finish == {"base": "stopped", "tuned": "stopped"}


def said(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in found]


def test_a_conversation_continues_with_the_own_answers_of_each_model() -> None:
    before = [turn("One", alone=False), turn("Two")]
    new = Turn("Three", alone=False)
    assert said(messages("base", before, new, "")) == [("user", "One"), ("assistant", "old"), ("user", "Three")]
    assert said(messages("tuned", before, new, ""))[1] == ("assistant", "new")


def test_a_question_by_itself_reads_nothing_that_came_before() -> None:
    assert said(messages("base", [turn("One", alone=False)], Turn("Two"), " ")) == [("user", "Two")]


def test_the_instruction_comes_first_and_replaces_that_of_an_example() -> None:
    history = [{"role": "system", "content": "Old"}, {"role": "user", "content": "Hi"}]
    found = messages("tuned", [], Turn("Now"), "New", history)
    assert said(found) == [("system", "New"), ("user", "Hi"), ("user", "Now")]
