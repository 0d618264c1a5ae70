"""Length limits: a long conversation is cut; a long document is cut or split into
overlapping windows.

Each window is trained as a row of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from backend.records.encoded import Encoded, Span
from backend.records.rows import Row

if TYPE_CHECKING:  # a box, which needs lengths, starts twice as fast without pydantic
    from backend.records.specs import LongDocuments, TrainSettings

WINDOW_SIZE = 4096  # tokens (the guide's number)
WINDOW_OVERLAP = 512  # tokens (the guide's number)


@dataclass(frozen=True, slots=True)
class LengthLimits:
    """The longest allowed row, in tokens, and the treatment of longer ones. max_length:
    None until it is chosen; conversations then stay whole and windows have WINDOW_SIZE
    tokens.
    """

    max_length: int | None = None
    long_documents: LongDocuments = "windows"
    window_overlap: int = WINDOW_OVERLAP

    @classmethod
    def from_settings(cls, settings: TrainSettings) -> Self:
        return cls(
            settings.max_length, settings.long_documents, settings.window_overlap
        )

    @property
    def size(self) -> int:
        """Tokens in a window, at most."""
        return self.max_length or WINDOW_SIZE

    @property
    def overlap(self) -> int:
        """Tokens that a window shares with the one before: as chosen, at most half a
        window.
        """
        return min(self.window_overlap, self.size // 2)

    def windowed(self, row: Row) -> bool:
        """Whether the row becomes windows, even if it is only one."""
        return row.text is not None and self.long_documents == "windows"

    def spans(self, row: Row, tokens: int) -> list[Span]:
        """Start and end of each part of a row of `tokens` tokens; the trainer gets each
        part as a row.
        """
        if self.windowed(row):
            return spans(tokens, self.size, self.overlap)
        return [(0, min(tokens, self.max_length or tokens))]

    def pieces(self, row: Row, whole: Encoded) -> list[Encoded]:
        """The parts of a row that the trainer gets. whole: the row encoded without a
        limit.
        """
        parts = self.spans(row, whole.tokens)
        cut = bool(parts) and parts[-1][1] < whole.tokens
        ids, labels = whole.input_ids, whole.labels
        return [
            replace(whole, input_ids=ids[a:b], labels=labels[a:b], truncated=cut)
            for a, b in parts
        ]

    def sentence(self, documents: int, pieces: int) -> str:
        """Into how many pieces the documents are split; "" when none is split."""
        if pieces <= documents:
            return ""
        become = "1 document is" if documents == 1 else f"{documents:,} documents are"
        return (
            f"{become} split into {pieces:,} pieces of at most {self.size:,} tokens; each piece starts with the last "
            f"{self.overlap:,} tokens of the one before."
        )


UNLIMITED = LengthLimits()


def spans(
    length: int, size: int = WINDOW_SIZE, overlap: int = WINDOW_OVERLAP
) -> list[Span]:
    """Start and end of each window of `size` over `length` tokens, each sharing
    `overlap` with the one before, which is less than a window. Each token is in one;
    the last may be shorter but is longer than the overlap.
    """
    step = size - overlap
    count = 0 if length < 1 else 1 + max(0, -(-(length - size) // step))
    return [(i * step, min(i * step + size, length)) for i in range(count)]
