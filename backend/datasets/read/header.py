"""Finds the header of a table: below titles and blank rows, and also where its names
are questions or long.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from math import log
from statistics import mean

from backend.datasets.checks.language import LANGUAGE_NAMES
from backend.datasets.convert.shapes import NAMES, Columns, plain_name
from backend.text.normalize import QUESTION_MARKS

LOOKED_AT = 60  # rows
_DEEPEST = 30  # rows above which a header is looked for
_LONGEST = 60  # characters of a name
_SETS = (
    ("question", "answer"),
    ("instruction", "output"),
    ("prompt", "completion"),
    ("chosen", "rejected"),
)
_NUMBER = re.compile(r"[\s\d.,:/+%€$£¥()-]*\d[\s\d.,:/+%€$£¥()TZ-]*")
_FEW = 3  # rows; with fewer there is nothing to compare
# Of names, which are that unlike the rows below, or unlike most of a few.
_UNLIKE, _OF_ALL = 2.0, 0.7
_AS_OTHERS, _IS_NUMBER = -2.0, "number"
KNOWN = frozenset(name for names in NAMES.values() for name in names)
_LANGUAGES = {name.casefold() for pair in LANGUAGE_NAMES.items() for name in pair}

Row = tuple[int, list[str]]  # its number, and its cells


def find_header(rows: Sequence[Row]) -> tuple[int | None, int]:
    """(the position of the header, or None; that of the first row of data) in the first
    rows that are not blank.
    """
    for position, (_, cells) in enumerate(rows[:_DEEPEST]):
        if known_columns(cells):
            return position, position + 1
    first = _after_titles(rows)
    cells = rows[first][1]
    data = [
        row for _, row in rows[first + 1 : LOOKED_AT] if row != cells
    ]  # some files repeat their header
    named = [cell for cell in cells if cell.strip()]
    names = [
        name for cell in named if len(name := plain_name(cell)) > 1
    ]  # a letter may be that of an option
    usual = not KNOWN.isdisjoint(names) or sum(
        name in _LANGUAGES for name in names
    ) > max(1, len(names) / 2)
    least = 0 if usual else min(_UNLIKE, _OF_ALL * log(len(data) + 1))
    likely = is_header(named, _LONGEST) and (
        len(data) < _FEW or _unlike(cells, data) >= least
    )
    if likely or _differs(cells, data):
        return first, first + 1
    return None, first


def known_columns(cells: Sequence[str]) -> bool:
    """Whether these are the usual column names of examples."""
    columns = Columns(cell for cell in cells if 0 < len(cell) <= _LONGEST)
    return any(len(set(columns.find(*fields).values())) == 2 for fields in _SETS)


def _filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _after_titles(rows: Sequence[Row]) -> int:
    """The position of the first row of the table itself."""
    widths = Counter(_filled(cells) for _, cells in rows)
    usual = max(widths, key=lambda width: (widths[width], width))
    if usual < 2:
        return 0
    for position, (number, cells) in enumerate(rows[:_DEEPEST]):
        followed = position + 1 < len(rows) and rows[position + 1][0] == number + 1
        if _filled(cells) >= usual or (_filled(cells) > 1 and followed):
            return position
    return 0


def _columns(
    cells: Sequence[str], data: Sequence[Sequence[str]]
) -> Iterator[tuple[str, list[str]]]:
    """Each cell that is not blank, and those below it that are not."""
    for place, cell in enumerate(map(str.strip, cells)):
        if cell:
            yield (
                cell,
                [
                    text
                    for row in data
                    if place < len(row) and (text := row[place].strip())
                ],
            )


def _unlike(cells: Sequence[str], data: Sequence[Sequence[str]]) -> float:
    """How unlike the rows below it a row is: on average over its cells, minus the
    logarithm of the least likely of what a cell would be in a row of data: filled where
    most are blank, new where few are, as short, of its kind.
    """
    surprises = []
    for cell, texts in _columns(cells, data):
        if cell in texts or _kind(cell) == _IS_NUMBER:
            surprises.append(_AS_OTHERS)
            continue
        once = sum(count == 1 for count in Counter(texts).values())
        shorter = sum(len(text) <= len(cell) for text in texts)
        alike = Counter(map(_kind, texts))[_kind(cell)]
        shares = [
            (len(texts) + 1) / (len(data) + 1),
            *((n + 1) / (len(texts) + 1) for n in (once, shorter, alike)),
        ]
        surprises.append(-log(min(shares)))
    return mean(surprises)


def _kind(text: str) -> Hashable:
    return (
        _IS_NUMBER if _NUMBER.fullmatch(text) else (text.isascii(), text[0].islower())
    )


def _differs(cells: Sequence[str], data: Sequence[Sequence[str]]) -> bool:
    """Whether a first row is unlike the rows below it: words above numbers, or a
    question above answers.
    """
    columns = [*_columns(cells, data)]
    if len(dict(columns)) < len(columns) or len(data) < 2:
        return False
    words = [
        [*map(_kind, texts)]
        for cell, texts in columns
        if texts and _kind(cell) != _IS_NUMBER
    ]
    asked = [texts for cell, texts in columns if cell.endswith(QUESTION_MARKS)]
    asks = len(asked) >= max(2, len(columns) - 1)
    return any(kinds.count(_IS_NUMBER) >= 0.8 * len(kinds) for kinds in words) or (
        asks
        and any(
            sum(text.endswith(QUESTION_MARKS) for text in texts) < 0.3 * len(data)
            for texts in asked
        )
    )


def is_header(cells: Sequence[str], longest: int = 40) -> bool:
    """Whether these can be column names: short, distinct, not sentences."""
    names = [cell.strip() for cell in cells]
    return len(set(names)) == len(names) and all(
        0 < len(n) <= longest and (len(n) < 4 or n[-1] not in ".?!,;") for n in names
    )
