"""Shows a cell of Excel as Excel does: dates, percentages, decimals and currencies by
the cell's number format.

The codes are those of ECMA-376, part 1, 18.8.31. What depends on the computer's region
(the order of a short date, the decimal sign) is written as ISO dates and with a point.
A format that is not understood shows the plain value.
"""

import datetime
import re
from typing import Any

_CODE = re.compile(r'"([^"]*)"|\\(.)|\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]|_.|\*.')
_NUMBER = re.compile(r"[#0?][#0?,]*(?:\.(?P<decimals>[#0?]+))?")
_REGIONAL = ("mm-dd-yy", "m/d/yy h:mm", "general", "@", "[$-f800]", "[$-f400]")
_DATE_CODES = re.compile(
    r"AM/PM|A/P|y+|m+|d+|h+|s+(?:\.0+)?|.", re.IGNORECASE | re.DOTALL
)
_ESCAPED = re.compile(
    r"_x(000[9AD]|005F)_", re.IGNORECASE
)  # what Excel writes for a tab, the ends of a line, and _
_FIRST_LITERAL = 0xE100  # characters for private use stand in for quoted texts
_FIELDS = {"y": "year", "m": "month", "d": "day", "h": "hour", "s": "second"}


def shown(value: Any, code: str) -> str:
    """The text of a cell. value: as openpyxl reads it; code: its number format."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return _date(value, code)
    if isinstance(value, (int, float)):
        return _number(value, code)
    return (
        _ESCAPED.sub(lambda code: chr(int(code[1], 16)), str(value))
        .replace("\r\n", "\n")
        .replace("\r", "\n")
    )


def _plain(value: float) -> str:
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    short = f"{value:.11g}"  # as many digits as Excel shows
    return str(value) if "e" in short else short


def _number(value: float, code: str) -> str:
    sections = _sections(code)
    if value < 0 and len(sections) > 1:
        value, section = -value, sections[1]
    else:
        section = sections[2] if value == 0 and len(sections) > 2 else sections[0]
    if section.strip().lower() in ("", *_REGIONAL):
        return _plain(value)
    literals: list[str] = []
    bare = _CODE.sub(lambda part: _literal(part, literals), section)
    digits = _NUMBER.search(bare)
    if digits is None or re.search(r"[eE/?dmyhs]", bare):
        return _plain(value)
    percent = "%" in bare
    decimals = digits["decimals"] or ""
    number = round(value * 100 if percent else value, len(decimals))
    grouping = "," if "," in digits.group().split(".")[0].rstrip(",") else ""
    text = f"{number:{grouping}.{len(decimals)}f}"
    if "#" in decimals:
        text = text.rstrip("0").rstrip(".")
    whole, _, rest = text.partition(".")
    zeros = digits.group().split(".")[0].replace(",", "").count("0")
    if not grouping and zeros > 1:
        whole = whole.zfill(zeros)
    text = f"{whole}.{rest}" if rest else whole
    filled = bare[: digits.start()] + text + bare[digits.end() :]
    return _with(literals, filled)


def _sections(code: str) -> list[str]:
    return re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', code)


def _literal(code: re.Match[str], literals: list[str]) -> str:
    text = next((group for group in code.groups() if group is not None), None)
    if text is None:
        return ""
    literals.append(text)
    return chr(_FIRST_LITERAL + len(literals) - 1)


def _with(literals: list[str], text: str) -> str:
    """`text` with the literals in their places."""
    return text.translate(
        {_FIRST_LITERAL + n: literal for n, literal in enumerate(literals)}
    ).strip()


def _date(value: Any, code: str) -> str:
    section = _sections(code)[0]
    if section.lower().startswith(_REGIONAL) or section.lower() in _REGIONAL:
        return _iso(value)
    literals: list[str] = []
    bare = _CODE.sub(lambda match: _literal(match, literals), section)
    codes = [match.group() for match in _DATE_CODES.finditer(bare)]
    if not any(part[0] in "ymdhsYMDHS" for part in codes):
        return _iso(value)
    noon = any(part.upper() in ("AM/PM", "A/P") for part in codes)
    units = [part[0].lower() for part in codes]
    written = []
    for place, part in enumerate(codes):
        before = next((unit for unit in reversed(units[:place]) if unit in "ymdhs"), "")
        after = next((unit for unit in units[place + 1 :] if unit in "ymdhs"), "")
        minute = units[place] == "m" and (
            before == "h" or after == "s"
        )  # any other m is a month
        try:
            written.append(_piece(value, part, noon, minute))
        except AttributeError:  # a time has no day
            return _iso(value)
    return _with(literals, "".join(written))


def _iso(value: Any) -> str:
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return (
        value.isoformat(sep=" ")
        if isinstance(value, datetime.datetime)
        else str(value.isoformat())
    )


def _piece(value: Any, part: str, noon: bool, minute: bool) -> str:
    if part.upper() in ("AM/PM", "A/P"):
        return "PM" if value.hour >= 12 else "AM"
    field = "minute" if minute else _FIELDS.get(part[0].lower())
    if field is None:
        return part
    number, count = getattr(value, field), len(part)
    if field == "year":
        return f"{number:04d}" if count > 2 else f"{number % 100:02d}"
    if field in ("month", "day") and count > 2:
        name = f"{value:%B}" if field == "month" else f"{value:%A}"
        return name[: {3: 3, 5: 1}.get(count)]
    if field == "hour" and noon:
        number = number % 12 or 12
    return f"{number:02d}" if count > 1 else str(number)
