"""Which tensors safetensors files hold, and where, and rows of them as numpy arrays
(also bfloat16), without torch.

Format: https://huggingface.co/docs/safetensors, 8 bytes with the length of a JSON
    header, the header, the tensors.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from backend.records.reading import RowFault
from backend.text.strict_json import check_size

_LONGEST = 100_000_000  # bytes, as the safetensors package allows
_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
SIZES = {"F32": 4, "F16": 2, "BF16": 2}  # bytes of a number


class Stored(NamedTuple):
    """A tensor in a file. dtype: as safetensors names it, such as "BF16". begin, end:
    bytes from the file's start.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def numbers(self) -> int:
        return prod(self.shape)


def read(file: Path) -> tuple[dict[str, Stored], dict[str, Any]]:
    """The tensors in `file` by their names, and its metadata. Raises ValueError for a
    damaged file, OSError.
    """
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
            name: Stored(
                file,
                tensor["dtype"],
                tuple(tensor["shape"]),
                *(start + at for at in tensor["data_offsets"]),
            )
            for name, tensor in header.items()
        }, about
    except (ValueError, KeyError, TypeError, AttributeError, RowFault) as error:
        raise ValueError(f"{file.name} has no safetensors header") from error


def read_all(files: Iterable[Path]) -> dict[str, Stored]:
    """The tensors in all `files` by their names. Raises as `read`."""
    return {name: tensor for file in files for name, tensor in read(file)[0].items()}


def write(
    new: BinaryIO,
    tensors: Mapping[str, tuple[str, Sequence[int], int]],
    about: Mapping[str, Any],
) -> int:
    """Write the header of a file; the tensors must follow in this order. Returns their
    bytes. tensors: the dtype, the shape and the bytes of each, by name. about: the
    file's metadata, besides its format.
    """
    header, end = {"__metadata__": {"format": "pt", **about}}, 0
    for name, (dtype, shape, length) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": (end, end + length),
        }
        end += length
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    new.write(len(text).to_bytes(8, "little") + text)
    return end


def values(tensor: Stored, rows: Any = slice(None)) -> Any:
    """The numbers of a tensor, or of some of its rows, as float32. Raises ValueError
    for another type.
    """
    import numpy

    if tensor.dtype not in _TYPES:
        raise ValueError(f"{tensor.file.name} has a tensor of type {tensor.dtype}")
    stored = numpy.memmap(
        tensor.file, _TYPES[tensor.dtype], "r", tensor.begin, tensor.shape
    )[rows]
    if tensor.dtype == "BF16":
        return (stored.astype("<u4") << 16).view("<f4")
    return numpy.asarray(stored, "<f4")
