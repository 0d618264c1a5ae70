"""Strict JSON: faults that other readers pass over silently are errors here, explained
in plain words.

Python's own reader with hooks for objects, numbers and constants, so that repeated
keys, NaN and endless numbers are found; nesting and lone surrogates are checked
separately.
"""

import json
import math
import re
from functools import lru_cache
from typing import Any

from backend.records.reading import Limits, RowFault, row_too_large
from backend.text.excerpt import excerpt

MOST_PARTS = 1_000_000  # texts and brackets, each of which takes up to a hundred bytes
_TOKEN = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL
)  # also a text without its end


def parse(line: bytes, limits: Limits, first_line: int = 0) -> Any:
    """The value of JSON in UTF-8. first_line: the line of the file where it starts, 0
    for one line. Raises RowFault: bad_json, bad_encoding, duplicate_key, not_a_number,
    number_too_long, too_deep, lone_surrogate, row_too_large.
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _undecodable(line, error) from error
    return parse_text(text, limits, first_line)


def parse_text(text: str, limits: Limits, first_line: int = 0) -> Any:
    """The value of a JSON text. Arguments and errors as for `parse`."""
    check_size(text, limits.nesting)
    try:
        value = _decoder(limits.integer_digits).decode(text)
    except json.JSONDecodeError as error:
        raise _bad_json(error, first_line) from error
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise _lone_surrogate(str(error.object)) from error
    return value


@lru_cache
def _decoder(max_digits: int) -> json.JSONDecoder:
    def number(digits: str) -> Any:
        if len(digits) > max_digits:
            raise RowFault(
                "number_too_long",
                f"This example contains a number with {len(digits):,} digits.",
                "Shorten it, or put it in quotes to make it text.",
                excerpt(digits),
            )
        if digits.lstrip("-").isdigit():
            return int(digits)
        value = float(digits)
        return value if math.isfinite(value) else _no_number(digits)

    return json.JSONDecoder(
        object_pairs_hook=_unique,
        parse_constant=_no_number,
        parse_int=number,
        parse_float=number,
    )


def _undecodable(line: bytes, error: UnicodeDecodeError) -> RowFault:
    if re.match(
        rb"\xed[\xa0-\xbf][\x80-\xbf]", line[error.start :]
    ):  # a lone surrogate, encoded as if it were valid
        try:
            text = line.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:  # there are other faults too
            text = line.decode("utf-8", "replace")
        return _lone_surrogate(text)
    return RowFault(
        "bad_encoding",
        "This example contains letters that can't be read the way this file was saved (encoding).",
        "Save the file again as UTF-8, or choose its encoding.",
        excerpt(
            line[max(0, error.start - 30) : error.start + 30].decode(
                "utf-8", "backslashreplace"
            )
        ),
    )


def check_size(text: str, nesting: int = Limits.nesting) -> None:
    """Raises RowFault for JSON whose values would take far more memory than the text:
    too_deep, row_too_large.
    """
    if text.count("[") + text.count("{") <= nesting and text.count(",") <= MOST_PARTS:
        return
    depth = 0
    for number, match in enumerate(_TOKEN.finditer(text)):
        if number > MOST_PARTS:
            raise row_too_large(MOST_PARTS, "texts and brackets")
        token = match.group()
        if token in ("[", "{"):
            depth += 1
            if depth > nesting:
                raise RowFault(
                    "too_deep",
                    f"It holds lists inside lists, more than {nesting} levels deep (nesting).",
                )
        elif token in ("]", "}"):
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        key = next(k for k, _ in pairs if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        raise RowFault(
            "duplicate_key",
            f"The name {excerpt(key, width=40)!r} appears twice (duplicate key), so it "
            "is unclear which of the two counts.",
            "Remove one of the two.",
            excerpt(json.dumps(key, ensure_ascii=False)),
        )
    return value


def _no_number(word: str) -> Any:
    raise RowFault(
        "not_a_number",
        f"{excerpt(word, width=30)} is not a number that JSON allows.",
        "Replace it with a number, nothing (null), or text in quotes.",
        excerpt(word),
    )


def _bad_json(error: json.JSONDecodeError, first_line: int) -> RowFault:
    where = (
        f"line {first_line + error.lineno - 1}, column {error.colno}"
        if first_line
        else f"column {error.colno}"
    )
    return RowFault(
        "bad_json",
        f"This is not valid JSON: {_in_words(error)} at {where}.",
        "Correct the file at this place.",
        excerpt(error.doc, error.pos, min(error.pos + 1, len(error.doc))),
    )


def _in_words(error: json.JSONDecodeError) -> str:
    rest = error.doc[error.pos :].lstrip()
    if not rest:
        return "it ends too early"
    if rest[0] == "'":
        return "text needs double quotes, not single ones"
    if rest.startswith(("None", "True", "False")):
        return f"{rest[: 4 if rest[0] != 'F' else 5]} is Python; JSON has null, true and false"
    if rest[0] in "]}" and "quotes" in error.msg:
        return "there is an extra comma"
    return {
        "Extra data": "there is more text after its end",
        "Unterminated string starting at": "a quote is never closed",
        "Expecting ',' delimiter": "a comma is missing",
        "Expecting ':' delimiter": "a colon is missing",
        "Expecting property name enclosed in double quotes": "a name in double quotes is missing",
        "Illegal trailing comma before end of object": "there is an extra comma",
        "Illegal trailing comma before end of array": "there is an extra comma",
        "Expecting value": "a value is missing",
        "Invalid control character at": "a text contains a raw control character or line break",
        "Invalid \\escape": "a backslash is followed by the wrong letter",
        "Invalid \\uXXXX escape": "\\u is not followed by four digits",
    }.get(error.msg, "it can't be read")


def _lone_surrogate(text: str) -> RowFault:
    match = re.search("[\ud800-\udfff]", text)
    at = match.start() if match else 0
    return RowFault(
        "lone_surrogate",
        "This example contains a broken character, half of one (lone surrogate), which no model can read.",
        "Remove it or write the whole character.",
        excerpt(text, at, at + 1),
    )
