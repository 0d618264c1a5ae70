"""Finds the header of a table: below titles and blank rows, and also where its names are questions or long."""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median

from backend.datasets.checks.language import LANGUAGE_NAMES
from backend.datasets.convert.shapes import NAMES, Columns, plain_name

LOOKED_AT = 60  # rows
_DEEPEST = 30  # rows above which a header is looked for
_LONGEST = 60  # characters of a known name
_SETS = (("question", "answer"), ("instruction", "output"), ("prompt", "completion"), ("chosen", "rejected"))
_NUMBER = re.compile(r"[\s\d.,:/+%€$£¥()-]*\d[\s\d.,:/+%€$£¥()TZ-]*")
_FEW, _LABELLED = 3, 5  # rows; rows of one label
_SHORT = 0.6  # of the median length
_NAME = re.compile(r"\w+(?:[ _/-]\w+){0,2}")
_ASKS = ("?", "？", "؟")
_LANGUAGES = {name.casefold() for pair in LANGUAGE_NAMES.items() for name in pair}

Row = tuple[int, list[str]]  # its number, and its cells


def find_header(rows: Sequence[Row]) -> tuple[int | None, int]:
    """(the position of the header, or None; that of the first row of data) in the first rows that are not blank."""
    for position, (_, cells) in enumerate(rows[:_DEEPEST]):
        if known_columns(cells):
            return position, position + 1
    first = _after_titles(rows)
    cells = rows[first][1]
    data = [cells for _, cells in rows[first + 1 : LOOKED_AT]]
    named = [cell for cell in cells if cell.strip()]
    words = {word for cell in named for word in (plain_name(cell), *plain_name(cell).split("_")) if len(word) > 1}
    usual = any(not words.isdisjoint(names) for names in NAMES.values())  # a cell is, or contains, such a name
    usual |= sum(cell.strip().casefold() in _LANGUAGES for cell in named) > max(1, len(named) / 2)
    if (is_header(named) and (usual or _shorter(cells, data))) or _differs(cells, data):
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


def _shorter(cells: Sequence[str], data: Sequence[Sequence[str]]) -> bool:
    """Whether a column has a name that is much shorter than its texts, or, if all could be names, is none of the few
    labels below it. With few rows there is nothing to compare."""
    if len(data) < _FEW:
        return True
    names = all(_NAME.fullmatch(cell.strip()) for cell in cells if cell.strip())
    for place, cell in enumerate(cells):
        texts = [row[place] for row in data if place < len(row) and row[place].strip()]
        labelled = names and cell not in texts and len(texts) > _LABELLED * len({*texts})
        if texts and cell.strip() and (labelled or len(cell) <= _SHORT * median(map(len, texts))):
            return True
    return False


def _differs(cells: Sequence[str], data: Sequence[Sequence[str]]) -> bool:
    """Whether a first row is unlike the rows below it: words above numbers, or a question above answers."""
    names = [cell.strip() for cell in cells if cell.strip()]
    if len(set(names)) < len(names) or len(data) < 2:
        return False
    for place, cell in enumerate(cells):
        below = [row[place].strip() for row in data if place < len(row) and row[place].strip()]
        if not below or not cell.strip() or _NUMBER.fullmatch(cell.strip()):
            continue
        if sum(bool(_NUMBER.fullmatch(text)) for text in below) >= 0.8 * len(below):
            return True
    questions = [place for place, cell in enumerate(cells) if cell.strip().endswith(_ASKS)]
    if len(questions) < 2 or len(questions) < len(names) - 1:
        return False
    return any(
        sum(row[place].strip().endswith(_ASKS) for row in data if place < len(row)) < 0.3 * len(data)
        for place in questions
    )


def is_header(cells: Sequence[str]) -> bool:
    """Whether these can be column names: short, distinct, not sentences."""
    names = [cell.strip() for cell in cells]
    return len(set(names)) == len(names) and all(0 < len(n) <= 40 and n[-1] not in ".?!,;" for n in names)
