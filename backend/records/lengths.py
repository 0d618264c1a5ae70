"""Rows longer than the model is given: a conversation is cut; a document is cut, or taken as windows that overlap.

Each window is trained by itself, as a row of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from backend.errors import BadSetting
from backend.records.encoded import Encoded, Span
from backend.records.rows import Row
from backend.records.specs import LongDocuments, TrainSettings

SIZE = 4096  # tokens (the guide's number)
OVERLAP = 512  # tokens (the guide's number)


@dataclass(frozen=True, slots=True)
class LengthLimits:
    """How long a row may be, in tokens, and what becomes of a longer one.

    max_length: None as long as nobody chose it; then conversations stay whole and windows have SIZE tokens.
    """

    max_length: int | None = None
    long_documents: LongDocuments = "windows"
    window_overlap: int = OVERLAP

    @classmethod
    def from_settings(cls, settings: TrainSettings) -> LengthLimits:
        return cls(settings.max_length, settings.long_documents, settings.window_overlap)

    @property
    def size(self) -> int:
        """TokenTotals in a window, at most."""
        return self.max_length or SIZE

    @property
    def overlap(self) -> int:
        """TokenTotals that a window shares with the one before: as chosen, at most half of it."""
        return min(self.window_overlap, self.size // 2)

    def windowed(self, row: Row) -> bool:
        """Whether the row is taken as windows, however many they are."""
        return row.text is not None and self.long_documents == "windows"

    def spans(self, row: Row, tokens: int) -> list[Span]:
        """The parts of a row of so many tokens that are trained, each as a row of its own: start and end."""
        if self.windowed(row):
            return spans(tokens, self.size, self.overlap)
        return [(0, min(tokens, self.max_length or tokens))]

    def pieces(self, row: Row, whole: Encoded) -> list[Encoded]:
        """What the trainer gets of a row. whole: the row encoded without a limit."""
        parts = self.spans(row, whole.tokens)
        cut = bool(parts) and parts[-1][1] < whole.tokens
        return [
            replace(whole, input_ids=whole.input_ids[a:b], labels=whole.labels[a:b], truncated=cut) for a, b in parts
        ]

    def sentence(self, documents: int, pieces: int) -> str:
        """How many documents become how many pieces; "" when none had to be divided."""
        if pieces <= documents:
            return ""
        become = "1 document becomes" if documents == 1 else f"{documents:,} documents become"
        return (
            f"{become} {pieces:,} pieces of at most {self.size:,} tokens, each beginning with the last "
            f"{self.overlap:,} of the one before."
        )


UNLIMITED = LengthLimits()


def spans(length: int, size: int = SIZE, overlap: int = OVERLAP) -> list[Span]:
    """Start and end of each window of `size` over `length` tokens, each sharing `overlap` with the one before.

    Every token is in a window; the last may be shorter but always has more than the overlap; nothing has none.
    Raises BadSetting unless 0 <= overlap < size.
    """
    if size < 1 or not 0 <= overlap < size:
        raise BadSetting(
            f"Windows of {size:,} tokens can't overlap by {overlap:,}.",
            "The overlap must be smaller than the window.",
            f"The usual values are {SIZE:,} and {OVERLAP}.",
        )
    step = size - overlap
    count = 0 if length < 1 else 1 + max(0, -(-(length - size) // step))
    return [(i * step, min(i * step + size, length)) for i in range(count)]
