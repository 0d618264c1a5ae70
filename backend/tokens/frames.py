"""Messages between this process and a child: JSON, and bytes of what JSON would make
slow.
"""

import json
import struct
from collections.abc import Mapping
from typing import IO, Any

from backend.files.json_file import loads

_LENGTHS = struct.Struct("<QQ")  # bytes of the JSON, and of what follows it


class TooLong(ValueError):
    """A message has more bytes than it may have."""


def pack(value: Any) -> bytes:
    """`value` as JSON, which a message holds; records become lists of their fields.
    Lone surrogates survive.
    """
    return json.dumps(value, default=_plain).encode("ascii")


def _plain(value: Any) -> Any:
    if names := getattr(
        value, "__dataclass_fields__", None
    ):  # at hand, unlike what `fields` makes of them
        return [getattr(value, name) for name in names]
    return dict(value) if isinstance(value, Mapping) else list(value)


def write(out: IO[bytes], text: bytes, more: bytes = b"") -> None:
    """A message: JSON from `pack`, and bytes. Raises OSError."""
    out.write(_LENGTHS.pack(len(text), len(more)) + text)
    out.write(more)
    out.flush()


def read(source: IO[bytes], most: int = 1 << 62) -> tuple[Any, bytes]:
    """The next message. Raises EOFError at the end, TooLong if it has more than `most`
    bytes, or another ValueError.
    """
    head = source.read(_LENGTHS.size)
    if len(head) < _LENGTHS.size:
        raise EOFError
    lengths = _LENGTHS.unpack(head)
    if sum(lengths) > most:
        raise TooLong
    text, more = map(source.read, lengths)
    if (len(text), len(more)) != lengths:
        raise EOFError
    return loads(text), more
