"""Each check of an export by itself: its tokens, its answers, and its score on held-out
examples.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.chat.client import Chat
from backend.chat.engine import Messages, Tools
from backend.errors import BadInput
from backend.evaluation.items import items_from
from backend.evaluation.measures import choose_measure
from backend.export import checks as export_checks
from backend.export import gguf_files
from backend.export.source import Source
from backend.records.chat import AnswerScore, Chunk, EngineReport
from backend.records.exports import TaskScore
from backend.tokens.tokenizer import ChatTokenizer
from ui.text.format import task_score as in_words


def test_the_first_differing_token_is_named_also_where_the_end_is_missing(
    bundled_model: Path,
) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)

    def other(chat: Messages, tools: Tools) -> list[int]:
        return tokenizer.prompt_ids(
            [{**m, "content": m["content"].replace("France", "Spain")} for m in chat]
        )

    same = export_checks.check_tokens(
        tokenizer, {"it": lambda chat, tools: tokenizer.prompt_ids(chat, tools)}
    )
    assert same.ok
    assert same.conversations >= 4
    found = export_checks.check_tokens(tokenizer, {"it": other})
    assert not found.ok
    difference = found.first_difference
    assert (difference.conversation, difference.training, difference.other) == (
        1,
        " France",
        " Spain",
    )
    cut = export_checks.check_tokens(
        tokenizer, {"it": lambda chat, tools: tokenizer.prompt_ids(chat, tools)[:-1]}
    )
    assert not cut.ok
    assert cut.first_difference.other == ""


@dataclass
class Answering:
    """Replaces an open GGUF file."""

    finish: str = "end"
    nll: float = 0.5
    end_ids: tuple[int, ...] = (0, 2)
    ids: tuple[int, ...] = (5, 6)
    tops: tuple[int, ...] = (5, 6)

    @property
    def report(self) -> EngineReport:
        return EngineReport(end_ids=self.end_ids)

    def ask(self, messages: Messages, max_new_tokens: int) -> list[Chunk]:
        return [Chunk("tuned", "Hi", len(self.ids), 9.0, self.finish, self.ids)]

    def score(self, rows: list[dict[str, list[int]]]) -> list[AnswerScore]:
        return [AnswerScore(nll=self.nll, top=self.tops)]


@pytest.mark.parametrize(
    ("answering", "merged_ends", "ok", "stops"),
    [
        (Answering(), True, True, True), (Answering(finish="length"), True, False, False),
        (Answering(finish="length"), False, True, False), (Answering(end_ids=(0,)), True, False, False),
        (Answering(end_ids=(0, 2, 28)), True, False, False), (Answering(tops=(6, 6)), True, False, True),
        (Answering(nll=0.56), True, False, True), (Answering(nll=0.44), True, False, True),
        (Answering(nll=0.54), True, True, True), (Answering(ids=()), True, False, True),
        (Answering(tops=(8, 6)), True, True, True),
    ],
)  # fmt: skip
def test_a_file_passes_if_it_ends_and_agrees(
    answering: Any, merged_ends: bool, ok: bool, stops: bool
) -> None:
    near = ((5, 8), (9,))
    merged = export_checks.Reference(
        [5, 7], merged_ends, [AnswerScore(nll=0.5, top=(5, 9), near=near)], {2}, {0, 2}
    )
    result = export_checks.check_gguf(
        answering, "Q8_0", merged, [[{"role": "user", "content": "Hi"}]], []
    )
    assert (result.ok, result.stops) == (ok, stops)
    assert result.same_choice == (0.0 if answering.tops[0] == 6 else 0.5)
    assert (result.same_tokens, "ends its answers" in result.sentence) == (
        min(1, len(answering.ids)),
        ok and stops,
    )


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
        return [
            {"role": "user", "content": question},
            {"role": "assistant", "content": "Yes"},
        ]

    items = items_from(
        [chat(question) for question in ("one", "two", "three", "a book")]
    )
    source = SimpleNamespace(rows=[{"labels": [-100, 5, 6]}])
    measure = choose_measure([item.expected for item in items])
    found = gguf_files._scores(
        cast(Source, source), cast(Chat, FakeChat()), items, measure, lambda: None
    )
    assert found == {0: 1.0, 1: 0.0, 2: 1.0}
    assert in_words(TaskScore(measure="exact", score=2 / 3, items=3)).startswith(
        "2 of 3 "
    )
    assert in_words(None) == ""


@pytest.mark.parametrize(
    ("wrong", "ok"), [(0, True), (5, True), (6, True), (8, False), (16, False)]
)
def test_a_size_fails_that_does_the_task_worse_by_more_than_chance(
    wrong: int, ok: bool
) -> None:
    """Of two others, so that 2.5 % decide: 2 / 2**6 is more, 2 / 2**8 less."""
    right = dict.fromkeys(range(16), 1.0)
    found = gguf_files.compare_tasks(
        {"F16": right, "Q8_0": right, "Q4_K_M": {n: float(n >= wrong) for n in right}}
    )
    assert found.ok is ok
    assert ("Q4_K_M clearly worse than F16" in found.sentence) is not ok
    assert found.scores["Q4_K_M"] == (16 - wrong) / 16
