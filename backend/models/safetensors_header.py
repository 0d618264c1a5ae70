"""Which tensors a safetensors file holds, and where, without reading them.

Format: https://huggingface.co/docs/safetensors, 8 bytes with the length of a JSON header, the header, the tensors.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

_LONGEST = 100_000_000  # bytes, as the safetensors package allows


class Stored(NamedTuple):
    """A tensor in a file. dtype: as safetensors names it, such as "BF16". begin, end: bytes from the file's start."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def numbers(self) -> int:
        return prod(self.shape)


def read(file: Path) -> tuple[dict[str, Stored], dict[str, Any]]:
    """The tensors in `file` by their names, and its metadata. Raises ValueError for a damaged file, OSError."""
    try:
        with file.open("rb") as content:
            length = int.from_bytes(content.read(8), "little")
            if length > _LONGEST:
                raise ValueError("the header is too long")
            header = json.loads(content.read(length))
        about = header.pop("__metadata__", None) or {}
        start = 8 + length
        return {
            name: Stored(
                tensor["dtype"], tuple(tensor["shape"]), *(start + offset for offset in tensor["data_offsets"])
            )
            for name, tensor in header.items()
        }, about
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{file.name} has no safetensors header") from error
