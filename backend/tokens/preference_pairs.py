"""Preference pairs as tokens: the same conversation twice, ending in the better and in the worse answer.

Both are made by `Tokeniser.encode_rows`, the one way to tokens. Learned is only what comes after the question, as in
TRL: what both have in common is no difference to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backend.errors import ApprenticeError, BadInput
from backend.records.encoded import IGNORED, Encoded
from backend.records.rows import Row, rejected_side, shared_prompt

if TYPE_CHECKING:
    from backend.tokens.tokenizer import ChatTokenizer


def encode_pairs(
    tokenizer: ChatTokenizer, rows: Sequence[Row], max_length: int | None = None
) -> list[Encoded | ApprenticeError]:
    """Each of `rows` with its worse answer as `rejected`, both cut to `max_length` tokens.

    A row that is no usable pair gives its error in its place.
    """
    both = [tokenizer.encode_rows(side) for side in (rows, [rejected_side(row) for row in rows])]
    cut = [[one if isinstance(one, ApprenticeError) else _cut(one, max_length) for one in side] for side in both]
    return [_pair(tokenizer, *pair) for pair in zip(rows, *cut, strict=True)]


def _pair(
    tokenizer: ChatTokenizer, row: Row, better: Encoded | ApprenticeError, worse: Encoded | ApprenticeError
) -> Encoded | ApprenticeError:
    roles = [message["role"] for message in row.rejected or ()]
    if row.text is not None or not roles or roles != [message["role"] for message in row.messages[-len(roles) :]]:
        return BadInput(
            "It has no second, worse answer.",
            "To learn the difference, every example needs a good and a bad answer to the same question.",
            "Add the answers (columns prompt, chosen, rejected), or learn from the good answers only (trainer sft).",
        )
    for side in (better, worse):
        if isinstance(side, ApprenticeError):
            return side
    assert isinstance(better, Encoded)
    assert isinstance(worse, Encoded)
    if better.input_ids == worse.input_ids:
        return BadInput(
            "Its two answers are the same to the model.",
            "They differ only after the longest length." if better.truncated else "They become the same tokens.",
            "Change one of them, leave the row out, or raise the longest length (max_length).",
        )
    question = len(tokenizer.prompt_ids(shared_prompt(row), row.tools))
    better, worse = (_only_after(side, question) for side in (better, worse))
    if better.learned and not worse.learned:
        return BadInput(
            "Nothing of its worse answer is within the longest length.", "", "Raise the longest length (max_length)."
        )
    return replace(better, rejected=worse)


def _cut(side: Encoded, limit: int | None) -> Encoded:
    return replace(
        side,
        input_ids=side.input_ids[:limit],
        labels=side.labels[:limit],
        truncated=limit is not None and side.tokens > limit,
    )


def _only_after(side: Encoded, start: int) -> Encoded:
    """`side`, learning nothing of its first `start` tokens."""
    return replace(side, labels=[IGNORED] * min(start, side.tokens) + side.labels[start:])
