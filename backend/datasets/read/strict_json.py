"""JSON read quickly and strictly: what other readers let pass in silence is a fault here, told in plain words.

orjson reads; it refuses NaN and half surrogate pairs, but takes the last of repeated keys, rounds long integers
and allows a thousand levels. Cheap measures show when one of these may be the case, and then Python's own reader
goes over the line with hooks that look at every key and number.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any

import orjson

from backend.datasets.excerpt import excerpt
from backend.datasets.options import Limits, RowFault

_SPACED_KEY = re.compile(rb'"\s+:')
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_EXACT = 2.0**63  # from here on orjson makes a rounded float of an integer


class _Unsure(Exception):
    """The quick measures can't vouch for this value."""


def parse(line: bytes, limits: Limits, first_line: int = 0) -> Any:
    """The value of one JSON text. first_line: the line of the file it begins on, 0 when it is one line itself.

    Raises RowFault: bad_json, bad_encoding, duplicate_key, not_a_number, number_too_long, too_deep, lone_surrogate.
    """
    try:
        value = orjson.loads(line)
        keys = _count_keys(value, limits.nesting)
    except (orjson.JSONDecodeError, _Unsure):
        return _exact(line, limits, first_line)
    return value if all_different(line, keys) else _exact(line, limits, first_line)


def all_different(line: bytes, keys: int) -> bool:
    """Whether counting proves that valid JSON with `keys` keys, as read, repeats none of them.

    A quote and a colon end a key, unless the quote is part of a text: then a backslash stands before it. Two
    cases would spoil the count, and nothing is proved: space before the colon, a key that ends in a backslash.
    """
    if keys == 0:
        return True
    written = line.count(b'":')
    if written != keys:
        written -= line.count(b'\\":')
        if b'\\\\":' in line:
            return False
    return written == keys and not _SPACED_KEY.search(line)


def _count_keys(value: Any, depth: int) -> int:
    if isinstance(value, dict):
        if not depth:
            raise _Unsure
        return len(value) + sum([_count_keys(v, depth - 1) for v in value.values() if not isinstance(v, str)])
    if isinstance(value, list):
        if not depth:
            raise _Unsure
        return sum([_count_keys(v, depth - 1) for v in value if not isinstance(v, str)])
    if isinstance(value, float) and abs(value) >= _EXACT:
        raise _Unsure
    return 0


def _exact(line: bytes, limits: Limits, first_line: int) -> Any:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _undecodable(line, error) from error
    _check_depth(line, limits.nesting)

    try:
        value = _decoder(limits.integer_digits).decode(text)
    except json.JSONDecodeError as error:
        raise _bad_json(error, first_line) from error
    if re.search(r"\\u[dD][89a-fA-F]", text):
        _check_surrogates(value)
    return value


@lru_cache
def _decoder(most_digits: int) -> json.JSONDecoder:
    """Python's own reader, which lets us look at every object and number."""

    def number(digits: str) -> Any:
        if len(digits) > most_digits:
            raise RowFault(
                "number_too_long",
                f"This row holds a number of {len(digits):,} digits.",
                "Shorten it, or put it in quotes to make it text.",
                excerpt(digits),
            )
        return int(digits) if digits.lstrip("-").isdigit() else _finite(digits)

    return json.JSONDecoder(
        object_pairs_hook=_unique, parse_constant=_not_a_number, parse_int=number, parse_float=number
    )


def _undecodable(line: bytes, error: UnicodeDecodeError) -> RowFault:
    if re.match(rb"\xed[\xa0-\xbf][\x80-\xbf]", line[error.start :]):  # half a surrogate pair, written as UTF-8
        return _lone_surrogate(line.decode("utf-8", "surrogatepass" if _only_surrogates(line) else "replace"))
    return RowFault(
        "bad_encoding",
        "This row holds bytes that are no letters in this file's encoding.",
        "Save the file again as UTF-8, or name its encoding.",
        excerpt(line[max(0, error.start - 30) : error.start + 30].decode("utf-8", "backslashreplace")),
    )


def _only_surrogates(line: bytes) -> bool:
    try:
        line.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _check_depth(line: bytes, limit: int) -> None:
    if line.count(b"[") + line.count(b"{") <= limit:
        return
    depth = 0
    for match in _TOKEN.finditer(line):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
            if depth > limit:
                raise RowFault("too_deep", f"Lists or objects lie more than {limit} deep in each other here.")
        elif token in (b"]", b"}"):
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        key = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        raise RowFault(
            "duplicate_key",
            f"The name {excerpt(key, width=40)!r} stands twice in one object, so it is unclear which value counts.",
            "Remove one of the two.",
            excerpt(json.dumps(key, ensure_ascii=False)),
        )
    return value


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _not_a_number(digits)


def _not_a_number(word: str) -> Any:
    raise RowFault(
        "not_a_number",
        f"{excerpt(word, width=30)} is not a number that JSON knows.",
        "Replace it by a number, by null or by text in quotes.",
        excerpt(word),
    )


def _bad_json(error: json.JSONDecodeError, first_line: int) -> RowFault:
    where = f"line {first_line + error.lineno - 1}, column {error.colno}" if first_line else f"column {error.colno}"
    return RowFault(
        "bad_json",
        f"This is not valid JSON: {_in_words(error)}, at {where}.",
        "Correct it at the place shown.",
        excerpt(error.doc, error.pos, min(error.pos + 1, len(error.doc))),
    )


def _in_words(error: json.JSONDecodeError) -> str:
    rest = error.doc[error.pos :].lstrip()
    if not rest:
        return "it breaks off before its end"
    if rest[0] == "'":
        return "texts need double quotes, not single ones"
    if rest.startswith(("None", "True", "False")):
        return f"{rest[: 4 if rest[0] != 'F' else 5]} is written the way of Python; JSON has null, true and false"
    if rest[0] in "]}" and "quotes" in error.msg:
        return "there is a comma too many"
    return {
        "Extra data": "something stands after its end",
        "Unterminated string starting at": "a text in quotes is never closed",
        "Expecting ',' delimiter": "a comma is missing",
        "Expecting ':' delimiter": "a colon is missing",
        "Expecting property name enclosed in double quotes": "a name in double quotes is missing",
        "Illegal trailing comma before end of object": "there is a comma too many",
        "Illegal trailing comma before end of array": "there is a comma too many",
        "Expecting value": "a value is missing",
        "Invalid control character at": "a text holds a raw control character or line end",
        "Invalid \\escape": "a backslash stands before a letter that it does not go with",
        "Invalid \\uXXXX escape": "a \\u is not followed by four digits",
    }.get(error.msg, "it can't be read")


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _lone_surrogate(str(error.object), error.start) from error


def _lone_surrogate(text: str, at: int | None = None) -> RowFault:
    if at is None:
        found = re.search("[\ud800-\udfff]", text)
        at = found.start() if found else 0
    return RowFault(
        "lone_surrogate",
        "This row holds half of a character (a lone surrogate), which no model can read.",
        "Remove it or put the whole character there.",
        excerpt(text, at, at + 1),
    )
