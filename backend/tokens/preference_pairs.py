"""Preference pairs as tokens: the same conversation twice, ending in the better and in the worse answer. Both are
encoded by `ChatTokenizer.encode_rows`, like all rows. Only the tokens after the question are learned, as in TRL:
there is nothing to learn from the part that both answers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backend.errors import ApprenticeError, BadInput
from backend.records.encoded import Encoded, unlearned
from backend.records.lengths import LengthLimits
from backend.records.rows import Row, rejected_side, shared_prompt

if TYPE_CHECKING:
    from backend.tokens.tokenizer import ChatTokenizer

_Side = Encoded | ApprenticeError


def encode_pairs(tokenizer: ChatTokenizer, rows: Sequence[Row], max_length: int | None = None) -> list[_Side]:
    """Each of `rows` with its worse answer as `rejected`, both cut to `max_length` tokens. A row that is not a usable
    pair gives its error in its place."""
    both = [tokenizer.encode_rows(side) for side in (rows, [rejected_side(row) for row in rows])]
    return [_pair(tokenizer, LengthLimits(max_length), *pair) for pair in zip(rows, *both, strict=True)]


def _pair(tokenizer: ChatTokenizer, lengths: LengthLimits, row: Row, better: _Side, worse: _Side) -> _Side:
    roles = [message["role"] for message in row.rejected or ()]
    if row.text is not None or not roles or roles != [message["role"] for message in row.messages[-len(roles) :]]:
        return BadInput(
            "It has no second, worse answer.",
            "To learn the difference, every example needs a better and a worse answer to the same question.",
            "Add both answers (columns prompt, chosen, rejected), or train on the good answers only (trainer sft).",
        )
    if isinstance(better, ApprenticeError):
        return better
    if isinstance(worse, ApprenticeError):
        return worse
    (better,), (worse,) = lengths.pieces(row, better), lengths.pieces(row, worse)
    if better.input_ids == worse.input_ids:
        return BadInput(
            "Its two answers are the same to the model.",
            "They differ only beyond the maximum length." if better.truncated else "They become the same tokens.",
            "Change one of them, remove the row, or raise the maximum length (max_length).",
        )
    question = len(tokenizer.prompt_ids(shared_prompt(row), row.tools))
    better, worse = (  # the question is not learned
        replace(side, labels=unlearned(min(question, side.tokens)) + side.labels[question:]) for side in (better, worse)
    )
    if better.learned and not worse.learned:
        return BadInput(
            "Its worse answer starts beyond the maximum length.", "", "Raise the maximum length (max_length)."
        )
    return replace(better, rejected=worse)
