"""Reads rows of safetensors files as numpy arrays, bfloat16 included, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.models import safetensors_header
from backend.models.safetensors_header import Stored

_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


class Tensors:
    """The tensors in the safetensors files of a folder. Raises ValueError for a damaged file."""

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, tuple[Path, Stored]] = {}
        for file in sorted(folder.glob("*.safetensors")):
            self._places |= {name: (file, tensor) for name, tensor in safetensors_header.read(file)[0].items()}

    @property
    def names(self) -> set[str]:
        return set(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape. Raises KeyError."""
        return self._places[name][1].shape

    def read(self, name: str, rows: Any = slice(None)) -> Any:
        """A tensor, or some rows of it, as float32. Raises KeyError, and ValueError for another type."""
        import numpy

        file, place = self._places[name]
        if place.dtype not in _TYPES:
            raise ValueError(f"{name} is of type {place.dtype}")
        stored = numpy.memmap(file, _TYPES[place.dtype], "r", place.begin, place.shape)[rows]
        if place.dtype == "BF16":
            return (stored.astype("<u4") << 16).view("<f4")
        return numpy.asarray(stored, "<f4")
