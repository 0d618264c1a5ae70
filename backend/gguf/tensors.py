"""Reads rows of safetensors files as numpy arrays, bfloat16 included, without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LONGEST_HEADER = 100_000_000  # bytes, as the safetensors package allows


@dataclass(frozen=True)
class _Place:
    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int  # byte


class Tensors:
    """The tensors in the safetensors files of a folder. Raises ValueError for a damaged file."""

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, _Place] = {}
        for file in sorted(folder.glob("*.safetensors")):
            self._places |= _header(file)

    @property
    def names(self) -> set[str]:
        return set(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape. Raises KeyError."""
        return self._places[name].shape

    def read(self, name: str, rows: Any = slice(None)) -> Any:
        """A tensor, or some rows of it, as float32. Raises KeyError, and ValueError for another type."""
        import numpy

        place = self._places[name]
        if place.dtype not in _TYPES:
            raise ValueError(f"{name} is of type {place.dtype}")
        stored = numpy.memmap(place.file, _TYPES[place.dtype], "r", place.begin, place.shape)[rows]
        if place.dtype == "BF16":
            return (stored.astype("<u4") << 16).view("<f4")
        return numpy.asarray(stored, "<f4")


def _header(file: Path) -> dict[str, _Place]:
    with file.open("rb") as content:
        size = int.from_bytes(content.read(8), "little")
        if size > _LONGEST_HEADER:
            raise ValueError(f"{file.name} has no safetensors header")
        header = json.loads(content.read(size))
    return {
        name: _Place(file, entry["dtype"], tuple(entry["shape"]), 8 + size + entry["data_offsets"][0])
        for name, entry in header.items()
        if name != "__metadata__"
    }
