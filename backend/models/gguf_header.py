"""The metadata of a GGUF file and where its tensors are, read in one pass: the gguf
package takes seconds to read a vocabulary.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

import mmap
import struct
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

_NUMBERS = dict(
    zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True)
)  # codes of `struct` by type
_STRING, _ARRAY = 8, 9  # types


class Packed(NamedTuple):
    """A tensor in a file. kind: of its numbers, by ggml's list. shape: rows first.
    begin: bytes from the start.
    """

    kind: int
    shape: tuple[int, ...]
    begin: int

    @property
    def numbers(self) -> int:
        return prod(self.shape)


def read(file: Path) -> tuple[dict[str, Any], dict[str, Packed]]:
    """The values and the tensors in `file` by their names. Raises ValueError for a
    damaged file, OSError.
    """
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        try:
            return _Reader(content).header()
        except (
            struct.error,
            KeyError,
            TypeError,
            ZeroDivisionError,
            RecursionError,
        ) as error:
            raise ValueError(f"{file.name} has no GGUF header") from error


class _Reader:
    def __init__(self, content: mmap.mmap) -> None:
        self._content, self._at = content, 0

    def header(self) -> tuple[dict[str, Any], dict[str, Packed]]:
        magic, version, tensors, values = self._numbers("4sIQQ")
        if magic != b"GGUF" or version not in (2, 3):
            raise ValueError(f"version {version} of GGUF is not known")
        about = {self._text(): self._value(self._number("I")) for _ in range(values)}
        packed = {}
        for _ in range(tensors):
            name = self._text()
            shape = self._numbers(f"{self._number('I')}Q")
            packed[name] = Packed(self._number("I"), shape[::-1], self._number("Q"))
        aligned = int(about.get("general.alignment", 32))
        start = -(-self._at // aligned) * aligned
        return about, {
            name: tensor._replace(begin=start + tensor.begin)
            for name, tensor in packed.items()
        }

    def _numbers(self, form: str) -> tuple[Any, ...]:
        read = struct.unpack_from("<" + form, self._content, self._at)
        self._at += struct.calcsize("<" + form)
        return read

    def _number(self, form: str) -> Any:
        return self._numbers(form)[0]

    def _text(self) -> str:
        return str(self._number(f"{self._number('Q')}s"), "utf-8")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return self._number(_NUMBERS[kind])
        inner, count = self._numbers("IQ")
        if inner in _NUMBERS:
            return list(self._numbers(f"{count}{_NUMBERS[inner]}"))
        return [self._value(inner) for _ in range(count)]
