"""Token counts of rows for one model. Each row is tokenized once; any length limit is
applied to the count.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from backend.errors import ApprenticeError
from backend.records.encoded import IGNORED, Encoded, Span
from backend.records.rows import Row, rejected_side

MANY = 10_000  # rows; further ones are counted in a process of their own, beside the other checks


class Encoder(Protocol):
    """The part of backend.tokens.tokenizer.ChatTokenizer that counting needs."""

    @property
    def control_markers(self) -> tuple[str, ...]: ...

    @property
    def boxed(self) -> Encoder: ...

    def count_rows(self, rows: Sequence[Row]) -> list[TokenCount | ApprenticeError]: ...


@dataclass(frozen=True)
class TargetModel:
    """The model that a dataset is checked for. languages: ISO 639-1 codes of the
    languages it supports.
    """

    tokenizer: Encoder
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenCount:
    """The tokens of a whole row. runs: start and end of each run of learned tokens.
    rejected: for a preference pair, the count of the same conversation with the
    rejected answer.
    """

    tokens: int
    runs: tuple[Span, ...]
    skipped_turns: int = 0
    rejected: TokenCount | None = None

    @classmethod
    def of(cls, encoded: Encoded) -> TokenCount:
        import numpy as np

        is_learned = (np.asarray(encoded.labels, np.int32) != IGNORED).tobytes() + b"\0"
        runs: list[Span] = []
        end = 0
        while (
            start := is_learned.find(1, end)
        ) >= 0:  # several times as fast as numpy's diff
            runs.append((start, end := is_learned.find(0, start)))
        return cls(encoded.tokens, tuple(runs), encoded.skipped_turns)

    def learned(self, start: int = 0, end: int | None = None) -> int:
        """Learned tokens from `start` to `end` (None: to the end of the row)."""
        end = self.tokens if end is None else end
        return sum(max(0, min(b, end) - max(a, start)) for a, b in self.runs)


class TokenCounter:
    """Counts the tokens of rows and remembers the counts: the same Row object is never
    encoded twice.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[
            int, tuple[Row, TokenCount | ApprenticeError]
        ] = {}  # holds the row, so its id stays taken

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self._encoder,
        )  # in another process, the rows have other ids

    @property
    def control_markers(self) -> tuple[str, ...]:
        return self._encoder.control_markers

    def count(self, rows: Sequence[Row]) -> list[TokenCount | ApprenticeError]:
        """Each row's token count, or the reason why the model's template rejects the
        row.
        """
        new = [row for row in rows if id(row) not in self._known]
        for row, count in zip(new, self._count(new), strict=True):
            self._known[id(row)] = row, count
        pairs = [row for row in new if row.rejected]
        for row, rejected in zip(
            pairs, self._count([rejected_side(row) for row in pairs]), strict=True
        ):
            chosen = self._known[id(row)][1]
            if isinstance(chosen, TokenCount):
                both = (
                    replace(chosen, rejected=rejected)
                    if isinstance(rejected, TokenCount)
                    else rejected
                )
                self._known[id(row)] = row, both
        return [self._known[id(row)][1] for row in rows]

    def _count(self, rows: Sequence[Row]) -> list[TokenCount | ApprenticeError]:
        """Of a long file in a box, but here what the box can't do within its limits."""
        with suppress(ApprenticeError, OSError):
            box = self._encoder if len(self._known) < MANY else self._encoder.boxed
            if box is not self._encoder:
                counts = zip(rows, box.count_rows(rows), strict=True)
                return [
                    c
                    if isinstance(c, TokenCount)
                    else self._encoder.count_rows([row])[0]
                    for row, c in counts
                ]
        return self._encoder.count_rows(rows)

    def keep_only(self, rows: Sequence[Row]) -> None:
        """Forgets the counts of all other rows."""
        self._known = {
            id(row): self._known[id(row)] for row in rows if id(row) in self._known
        }
