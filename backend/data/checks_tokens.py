"""The rows as the chosen model sees them: does its template take them, how long are they, what is learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from backend.data.kinds import problem
from backend.data.rows import Problem, Row
from backend.encoded import IGNORED, Encoded
from backend.errors import ApprenticeError

VERY_LONG = 8192  # tokens (the guide's number)
_BATCH = 512  # rows tokenised at a time


class Encoder(Protocol):
    """What the checks need of backend.template.Tokeniser."""

    @property
    def control_markers(self) -> tuple[str, ...]: ...

    def encode_rows(self, rows: Sequence[Row], max_length: int | None = None) -> list[Encoded | ApprenticeError]: ...


@dataclass(slots=True)
class Tokens:
    """Counts over the usable rows. total and learned: as trained, so cut to max_length; longest: uncut.
    truncated: rows that are cut. lengths: row number to its uncut length."""

    total: int = 0
    learned: int = 0
    longest: int = 0
    truncated: int = 0
    lengths: dict[int, int] = field(default_factory=dict)

    def add(self, row: Row, encoded: Encoded, max_length: int | None) -> None:
        """Count one usable row."""
        limit = max_length or encoded.tokens
        self.total += min(encoded.tokens, limit)
        self.learned += _learned(encoded, limit)
        self.longest = max(self.longest, encoded.tokens)
        self.truncated += encoded.tokens > limit
        self.lengths[row.row] = encoded.tokens


def find(
    rows: Sequence[Row],
    tokeniser: Encoder,
    max_length: int | None,
    tokens: Tokens,
    tick: Callable[[int], None] = lambda done: None,
) -> Iterator[Problem]:
    """Problems of `rows` against the model; the usable ones are counted into `tokens`. tick: rows done so far."""
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        for row, encoded in zip(batch, tokeniser.encode_rows(batch), strict=True):
            if isinstance(encoded, ApprenticeError):
                yield problem(row, "template_refuses", " ".join(filter(None, (encoded.what, encoded.why))))
                continue
            found = list(_of_row(row, encoded, max_length))
            if all(p.severity != "error" for p in found):
                tokens.add(row, encoded, max_length)
            yield from found
        tick(min(start + _BATCH, len(rows)))


def _of_row(row: Row, encoded: Encoded, max_length: int | None) -> Iterator[Problem]:
    limit = max_length or encoded.tokens
    learned, kept = encoded.learned, _learned(encoded, limit)
    if not learned:
        yield problem(
            row, "nothing_to_learn", "The model's template marks nothing in this row as an answer to learn."
        )
        return
    if encoded.skipped_turns:
        message = (
            f"{encoded.skipped_turns} of the answers are only read: the template writes earlier turns differently."
        )
        yield problem(row, "turn_not_learned", message)
    if not kept:
        message = f"The row has {encoded.tokens:,} tokens; cut at {limit:,} nothing of its answer is left."
        yield problem(row, "answer_vanishes", message)
    elif encoded.tokens > limit:
        lost = (
            f"{learned - kept:,} of the {learned:,} learned tokens are cut off"
            if kept < learned
            else "the end is cut off"
        )
        message = f"The row has {encoded.tokens:,} tokens, more than the {limit:,} allowed: {lost}."
        yield problem(row, "too_long", message)
    if encoded.tokens > VERY_LONG:
        message = f"The row has {encoded.tokens:,} tokens. Beyond {VERY_LONG:,} training needs much memory and time."
        yield problem(row, "very_long", message)


def _learned(encoded: Encoded, limit: int) -> int:
    return sum(label != IGNORED for label in encoded.labels[:limit])
