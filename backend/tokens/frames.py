"""Messages between this process and a box: JSON, and beside it numbers, which JSON would make slow."""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import IO, Any

_LENGTHS = struct.Struct("<QQ")  # bytes of the JSON, and of the numbers


def pack(value: Any) -> bytes:
    """`value` as JSON, which a message holds; records become lists of their fields. Lone surrogates survive."""
    return json.dumps(value, default=_plain).encode("ascii")


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return dict(value) if isinstance(value, Mapping) else list(value)


def write(out: IO[bytes], text: bytes, numbers: bytes = b"") -> None:
    """A message: JSON from `pack`, and an array of "i" as bytes. Raises OSError."""
    out.write(_LENGTHS.pack(len(text), len(numbers)) + text + numbers)
    out.flush()


def read(source: IO[bytes], most: int = 1 << 62) -> tuple[Any, array[int]]:
    """The next message. Raises EOFError at the end, ValueError if it has more than `most` bytes or is none."""
    head = source.read(_LENGTHS.size)
    if len(head) < _LENGTHS.size:
        raise EOFError
    text, ids = _LENGTHS.unpack(head)
    if text + ids > most or ids % 4:
        raise ValueError("not a message")
    content, rest = source.read(text), source.read(ids)
    if len(content) + len(rest) < text + ids:
        raise EOFError
    numbers = array("i")
    numbers.frombytes(rest)
    try:
        return json.loads(content), numbers
    except RecursionError as error:
        raise ValueError("not a message") from error
