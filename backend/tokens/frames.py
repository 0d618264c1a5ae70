"""Messages between this process and a box: JSON."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import IO, Any

_LENGTH = struct.Struct("<Q")  # bytes of the JSON


def pack(value: Any) -> bytes:
    """`value` as JSON, which a message holds; records become lists of their fields. Lone surrogates survive."""
    return json.dumps(value, default=_plain).encode("ascii")


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return dict(value) if isinstance(value, Mapping) else list(value)


def write(out: IO[bytes], text: bytes) -> None:
    """A message: JSON from `pack`. Raises OSError."""
    out.write(_LENGTH.pack(len(text)) + text)
    out.flush()


def read(source: IO[bytes], most: int = 1 << 62) -> Any:
    """The next message. Raises EOFError at the end, ValueError if it has more than `most` bytes or is none."""
    head = source.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    if length > most:
        raise ValueError("not a message")
    text = source.read(length)
    if len(text) < length:
        raise EOFError
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("not a message") from error
