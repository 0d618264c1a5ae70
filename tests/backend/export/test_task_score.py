"""The score of a GGUF file on held-out examples: right answers count, what is too long is left out."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.chat.client import Chat
from backend.errors import BadInput
from backend.evaluation.items import items_from
from backend.evaluation.measures import choose_measure
from backend.export import task_score
from backend.export.source import Source
from backend.records.exports import TaskScore
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
    source = SimpleNamespace(rows=[{"labels": [-100, 5, 6]}])
    measure = choose_measure([item.expected for item in items])
    found = task_score._scores(cast(Source, source), cast(Chat, FakeChat()), items, measure, lambda: None)
    assert found == {0: 1.0, 1: 0.0, 2: 1.0}
    assert in_words(TaskScore(measure="exact", score=2 / 3, items=3)).startswith("2 of 3 ")
    assert in_words(None) == ""


@pytest.mark.parametrize(("wrong", "ok"), [(0, True), (5, True), (6, True), (8, False), (16, False)])
def test_a_size_fails_that_does_the_task_worse_by_more_than_chance(wrong: int, ok: bool) -> None:
    """Of two others, so that 2.5 % decide: 2 / 2**6 is more, 2 / 2**8 less."""
    right = dict.fromkeys(range(16), 1.0)
    found = task_score.compare({"F16": right, "Q8_0": right, "Q4_K_M": {n: float(n >= wrong) for n in right}})
    assert found.ok is ok
    assert ("Q4_K_M clearly worse than F16" in found.sentence) is not ok
    assert found.scores["Q4_K_M"] == (16 - wrong) / 16
