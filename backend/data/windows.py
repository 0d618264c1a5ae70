"""Long documents: cut to what the model is given, or taken as windows that overlap, each trained by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from backend.errors import BadSetting

SIZE = 4096  # tokens (the guide's number)
OVERLAP = 512  # tokens (the guide's number)

Item = TypeVar("Item")


def windows(tokens: Sequence[Item], size: int = SIZE, overlap: int = OVERLAP) -> Iterator[Sequence[Item]]:
    """`tokens` (ids, or labels beside them) in windows of `size` that share `overlap` with the one before.

    Every token is in a window; the last window may be shorter but always has more than the overlap. An empty
    document has none. Raises BadSetting unless 0 <= overlap < size.
    """
    for start, end in spans(len(tokens), size, overlap):
        yield tokens[start:end]


def spans(length: int, size: int = SIZE, overlap: int = OVERLAP) -> list[tuple[int, int]]:
    """Start and end of each window over `length` tokens. Raises BadSetting unless 0 <= overlap < size."""
    if size < 1 or not 0 <= overlap < size:
        raise BadSetting(
            f"Windows of {size:,} tokens can't overlap by {overlap:,}.",
            "The overlap must be smaller than the window.",
            f"The usual values are {SIZE:,} and {OVERLAP}.",
        )
    step = size - overlap
    count = 0 if length < 1 else 1 + max(0, -(-(length - size) // step))
    return [(i * step, min(i * step + size, length)) for i in range(count)]


def count(length: int, size: int = SIZE, overlap: int = OVERLAP) -> int:
    """How many windows `length` tokens make. Raises BadSetting unless 0 <= overlap < size."""
    return len(spans(length, size, overlap))


def truncate(tokens: Sequence[Item], size: int = SIZE) -> Sequence[Item]:
    """The first `size` tokens."""
    return tokens[:size]
