"""Reads the time of a message, whatever way the program that exported it writes dates.

Whether 3/4 is in March or in April is decided by the other dates of the file: a first
number above 12 must be a day.
"""

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

_NUMBERS = re.compile(r"\d+")
_EPOCH = re.compile(r"\d{9,13}(\.\d+)?$")
_PLACE = re.compile(r"\d{1,7}$")  # not a time, but a position in the order
# "PM" in the languages in which clocks count to twelve (CLDR, day periods)
_AFTERNOON = re.compile(
    r"p\.?\s?m|م|下午|오후|午後|μμ|μ\.μ|apasdite|ip\.|du\b|ch\b|odp\b", re.IGNORECASE
)
_MORNING = re.compile(
    r"a\.?\s?m|ص|上午|오전|午前|πμ|π\.μ|de\b|sa\b|dop\b", re.IGNORECASE
)


def month_first(dates: Iterable[str]) -> bool:
    """Whether dates such as 3/4/2024 have the month first. Where no number decides:
    only with AM or PM and a "/".
    """
    clock12 = slashes = 0
    for date in dates:
        numbers = [int(number) for number in _NUMBERS.findall(digits(date))[:2]]
        if len(numbers) < 2 or numbers[0] > 31:
            continue
        if numbers[0] > 12:
            return False
        if numbers[1] > 12:
            return True
        clock12 += bool(re.search(r"[ap]\.?\s?m", date, re.IGNORECASE))
        slashes += "/" in date
    return bool(clock12 and slashes)


def seconds(value: Any, months_first: bool = False) -> float | None:
    """The time of a message in seconds; None when it can't be read. Times without a
    zone count as UTC: only pauses matter.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) / (1000 if value > 1e11 else 1)
    if not isinstance(value, str) or not value.strip():
        return None
    text = digits(value.strip())
    if _EPOCH.match(text):
        return seconds(float(text))
    if _PLACE.match(text):
        return float(text)
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return _written(text, months_first)


def _written(text: str, months_first: bool) -> float | None:
    numbers = [int(number) for number in _NUMBERS.findall(text)[:6]]
    if len(numbers) < 3:
        return None
    if numbers[0] > 31:
        year, month, day = numbers[:3]
    elif months_first:
        month, day, year = numbers[:3]
    else:
        day, month, year = numbers[:3]
    hour, minute, second = (*numbers[3:], 0, 0, 0)[:3]
    if _AFTERNOON.search(text) and hour < 12:
        hour += 12
    elif _MORNING.search(text) and hour == 12:
        hour = 0
    if year < 100:
        year += 2000
    elif 2400 < year < 2700:
        year -= 543  # the Buddhist calendar of a Thai phone
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def digits(text: str) -> str:
    """`text` with 0 to 9 for the digits of any script."""
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text
    )
