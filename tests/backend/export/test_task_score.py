"""The score of a GGUF file on held-out examples: right answers count, what is too long is left out."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

from backend.chat.client import Chat
from backend.errors import BadInput
from backend.evaluation.items import items_from
from backend.evaluation.measures import choose_measure
from backend.export import task_score
from backend.export.request import ExportRequest
from ui.text.format import task_score as in_words

ANSWERS = {"one": "Yes", "two": "No", "three": "yes "}


class FakeChat:
    def ask(self, messages: list[dict[str, Any]], max_new_tokens: int) -> Iterator[Any]:
        assert max_new_tokens == 16 + 2 * 2
        question = messages[-1]["content"]
        if question not in ANSWERS:
            raise BadInput("The conversation has become too long.")
        yield from (SimpleNamespace(text=part) for part in ANSWERS[question])


def test_right_answers_count_and_what_is_too_long_is_left_out() -> None:
    def chat(question: str) -> list[dict[str, Any]]:
        return [{"role": "user", "content": question}, {"role": "assistant", "content": "Yes"}]

    items = items_from([chat(question) for question in ("one", "two", "three", "a book")])
    request = SimpleNamespace(rows=lambda: [{"labels": [-100, 5, 6]}], raise_if_stopped=lambda: None)
    measure = choose_measure([item.expected for item in items])
    found = task_score._score(cast(ExportRequest, request), cast(Chat, FakeChat()), items, measure)
    assert found == {"measure": "exact", "score": 2 / 3, "items": 3}
    assert in_words(found).startswith("2 of 3 ")
    assert in_words(None) == ""
