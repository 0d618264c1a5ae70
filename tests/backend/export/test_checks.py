"""The checks of an exported model, by themselves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.chat.engine import Messages, Tools
from backend.export import checks as export_checks
from backend.records.chat import AnswerScore, Chunk, EngineReport
from backend.tokens.tokenizer import ChatTokenizer


def test_the_first_differing_token_is_named(bundled_model: Path) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)

    def other(chat: Messages, tools: Tools) -> list[int]:
        return tokenizer.prompt_ids([{**m, "content": m["content"].replace("France", "Spain")} for m in chat])

    same = export_checks.check_tokens(tokenizer, {"it": lambda chat, tools: tokenizer.prompt_ids(chat, tools)})
    assert same.ok
    assert same.conversations >= 4
    found = export_checks.check_tokens(tokenizer, {"it": other})
    assert not found.ok
    difference = found.first_difference
    assert (difference.conversation, difference.training, difference.other) == (1, " France", " Spain")


def test_a_missing_end_is_a_difference(bundled_model: Path) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)
    cut = export_checks.check_tokens(tokenizer, {"it": lambda chat, tools: tokenizer.prompt_ids(chat, tools)[:-1]})
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
    ],
)  # fmt: skip
def test_a_file_passes_if_it_ends_and_agrees(answering: Any, merged_ends: bool, ok: bool, stops: bool) -> None:
    merged = export_checks.Reference([5, 7], merged_ends, [AnswerScore(nll=0.5, top=(5, 9))], {2}, {0, 2})
    result = export_checks.check_gguf(answering, "Q8_0", merged, [[{"role": "user", "content": "Hi"}]], [])
    assert (result.ok, result.stops) == (ok, stops)
    assert result.same_choice == (0.0 if answering.tops[0] == 6 else 0.5)
    assert result.same_tokens == min(1, len(answering.ids))
    assert ("ends its answers" in result.sentence) == (ok and stops)
