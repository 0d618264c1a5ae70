"""The body of an event that a page sends, read within limits: whoever sends it may want to stop the server."""

import json
from itertools import accumulate
from typing import Any

from starlette.types import Receive

from backend.records.units import KIB

LONGEST_EVENT = 256 * KIB  # bytes; only events that are nearly all text are longer
_VALUES, _VALUES_IN_TEXT, _DEPTH = 20_000, 1_000, 100  # in the JSON of an event
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


async def read_body(receive: Receive, most: float) -> bytes | None:
    """A request's body; None if it has more than `most` bytes."""
    content = bytearray()
    while len(content) <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        content += message.get("body", b"")
        if not message.get("more_body") and len(content) <= most:
            return bytes(content)
    return None


def parsed(content: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else, and for more values or deeper ones than the page sends. They are counted
    before it is parsed: a list takes twenty times as much memory as its two brackets."""
    most = _VALUES_IN_TEXT if len(content) > LONGEST_EVENT else _VALUES
    bare = content.replace(rb"\\", b"").replace(rb"\"", b"")  # every quote now begins or ends a text
    if bare.count(b'"') > 4 * most:
        return None
    bare = b"".join(bare.split(b'"')[::2])
    if sum(map(bare.count, (b"[", b"{", b","))) > most or _depth(bare) > _DEPTH:
        return None
    try:
        body = json.loads(content.decode())  # not in UTF-16, whose quotes are counted wrongly
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _depth(bare: bytes) -> int:
    steps = (1 if bracket in b"[{" else -1 for bracket in bare.translate(None, _NO_BRACKETS))
    return max(accumulate(steps, initial=0))
