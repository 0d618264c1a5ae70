"""Which tensors safetensors files hold, and where, and rows of them as numpy arrays (also bfloat16), without torch.

Format: https://huggingface.co/docs/safetensors, 8 bytes with the length of a JSON header, the header, the tensors.
"""

import json
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from backend.records.reading import RowFault
from backend.text.strict_json import check_size

_LONGEST = 100_000_000  # bytes, as the safetensors package allows
_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
SIZES = {"F32": 4, "F16": 2, "BF16": 2}  # bytes of a number


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
            text = content.read(length).decode("utf-8")
            check_size(text)
            header = json.loads(text)
        about = header.pop("__metadata__", None) or {}
        start = 8 + length
        return {
            name: Stored(tensor["dtype"], tuple(tensor["shape"]), *(start + at for at in tensor["data_offsets"]))
            for name, tensor in header.items()
        }, about
    except (ValueError, KeyError, TypeError, AttributeError, RowFault) as error:
        raise ValueError(f"{file.name} has no safetensors header") from error


def write(new: BinaryIO, tensors: Mapping[str, tuple[str, Sequence[int], int]], about: Mapping[str, Any]) -> int:
    """Write the header of a file; the tensors must follow in this order. Returns their bytes. tensors: the dtype, the
    shape and the bytes of each, by name. about: the file's metadata, besides its format."""
    header, end = {"__metadata__": {"format": "pt", **about}}, 0
    for name, (dtype, shape, length) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": (end, end + length)}
        end += length
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    new.write(len(text).to_bytes(8, "little") + text)
    return end


class Tensors:
    """The tensors in the safetensors files of a folder. Raises ValueError for a damaged file."""

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, tuple[Path, Stored]] = {}
        for file in sorted(folder.glob("*.safetensors")):
            self._places |= {name: (file, tensor) for name, tensor in read(file)[0].items()}

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
