"""Rows measured in tokens for one model, each once, whatever length is then allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from backend.errors import ApprenticeError
from backend.records.encoded import IGNORED, Encoded, Span
from backend.records.rows import Row, worse_side


class Encoder(Protocol):
    """What is needed of backend.tokens.tokenizer.Tokeniser."""

    @property
    def control_markers(self) -> tuple[str, ...]: ...

    def encode_rows(self, rows: Sequence[Row]) -> list[Encoded | ApprenticeError]: ...


@dataclass(frozen=True)
class Model:
    """The model that rows are looked at for. languages: ISO 639-1 codes of those that it was made for."""

    tokenizer: Encoder
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """A whole row in tokens. runs: start and end of each run of learned ones. worse: of a preference pair, the same
    conversation with the worse answer."""

    tokens: int
    runs: tuple[Span, ...]
    skipped_turns: int = 0
    worse: Measure | None = None

    @classmethod
    def of(cls, encoded: Encoded) -> Measure:
        edges = np.flatnonzero(np.diff(np.array(encoded.labels) != IGNORED, prepend=False, append=False)).tolist()
        return cls(encoded.tokens, tuple(zip(edges[::2], edges[1::2], strict=True)), encoded.skipped_turns)

    def learned(self, start: int = 0, end: int | None = None) -> int:
        """Learned tokens from `start` up to `end` (None: all that follow)."""
        end = self.tokens if end is None else end
        return sum(max(0, min(b, end) - max(a, start)) for a, b in self.runs)


class Measurer:
    """Measures rows, and remembers them: the same row (the same object) is never encoded twice."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[int, tuple[Row, Measure | ApprenticeError]] = {}  # the row is held, so that its id is

    @property
    def control_markers(self) -> tuple[str, ...]:
        return self._encoder.control_markers

    def measure(self, rows: Sequence[Row]) -> list[Measure | ApprenticeError]:
        """Each row's measure, or why the model's template does not take it."""
        new = [row for row in rows if id(row) not in self._known]
        for row, found in zip(new, self._measured(new), strict=True):
            self._known[id(row)] = row, found
        pairs = [row for row in new if row.rejected]
        for row, worse in zip(pairs, self._measured([worse_side(row) for row in pairs]), strict=True):
            better = self._known[id(row)][1]
            if isinstance(better, Measure):
                self._known[id(row)] = row, replace(better, worse=worse) if isinstance(worse, Measure) else worse
        return [self._known[id(row)][1] for row in rows]

    def forget_all_but(self, rows: Sequence[Row]) -> None:
        """Remembers only what it knows of `rows`."""
        self._known = {id(row): self._known[id(row)] for row in rows if id(row) in self._known}

    def _measured(self, rows: Sequence[Row]) -> list[Measure | ApprenticeError]:
        found = self._encoder.encode_rows(rows)
        return [encoded if isinstance(encoded, ApprenticeError) else Measure.of(encoded) for encoded in found]
