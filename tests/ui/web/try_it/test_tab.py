"""The conversation in Try, as the browser stores it."""

from __future__ import annotations

import pytest

from ui.web.try_it.tab import TURNS_STORED, stored_talk, turns_with


def turn(question: str) -> dict[str, object]:
    return {"question": question, "base": "old", "tuned": "new", "done": ["base", "tuned"], "expected": ""}


def test_a_conversation_survives_a_reload() -> None:
    turns = [turn("Where is my order?"), turn("And when does it come?")]
    assert turns_with("run-1", stored_talk("run-1", turns)) == turns


def test_another_model_starts_a_new_conversation() -> None:
    assert turns_with("run-2", stored_talk("run-1", [turn("Where is my order?")])) == []


def test_a_long_conversation_is_cut_to_its_latest_turns() -> None:
    kept = turns_with("run-1", stored_talk("run-1", [turn(str(number)) for number in range(TURNS_STORED + 3)]))
    assert [kept[0]["question"], kept[-1]["question"]] == ["3", str(TURNS_STORED + 2)]


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
