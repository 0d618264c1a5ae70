"""Reads the sheets of Excel files and OpenDocument spreadsheets as they are shown.

python-calamine reads values. What it leaves out is written into a copy of the file
before: numbers as their format shows them, errors, and formulas whose results are not
stored.
"""

import re
from collections.abc import Iterator
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import Any

from backend.datasets.documents.archive import rewritten
from backend.datasets.documents.number_format import Formats, plain

HIDDEN = "\ue003"  # stands before the cells of a row that is hidden
FORMULA = "\ue002"  # stands in for a formula whose result is not stored in the file
_NO_RESULT = re.compile(
    rb'(<c r="\w+")[^<>]*>\s*<f(?:\s[^<>]*)?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>'
)
_HIDDEN = re.compile(
    rb'<row (?=[^<>]*\bhidden="(?:1|true)")(?:[^<>]*/>|.*?</row>)', re.DOTALL
)
_ODS_CHANGES = (
    (re.compile(rb"<office:annotation\b.*?</office:annotation>", re.DOTALL), b""),
    # calamine takes the text of a string, which for a number is how it is shown
    (re.compile(rb'office:(?:\w+-)?value="[^"<>]*"(?=[^<>]*>\s*<text:p)'), b""),
    (
        re.compile(rb'office:value-type="\w+"(?=[^<>]*>\s*<text:p)'),
        b'office:value-type="string"',
    ),
    (
        re.compile(
            rb"<table:table-cell\b(?=[^<>]*table:formula=)(?![^<>]*value-type=)[^<>]*/>"
        ),
        b'<table:table-cell office:value-type="string"><text:p>%s</text:p></table:table-cell>'
        % FORMULA.encode(),
    ),
)
_ODS_HIDDEN = re.compile(
    rb'(<table:table-row [^<>]*)table:visibility="(?:collapse|filter)"([^<>]*>).*?(</table:table-row>)',
    re.DOTALL,
)


class Sheets:
    """The sheets of a file. names: of those with cells. limit: columns read at most."""

    def __init__(self, path: Path, limit: int) -> None:
        from python_calamine import SheetTypeEnum, load_workbook

        self._limit = limit
        book = as_shown(path)
        self._book = load_workbook(book)
        visible = rewritten(book, _without_hidden)
        self._visible = load_workbook(visible) if visible is not book else self._book
        self.names = [
            sheet.name
            for sheet in self._book.sheets_metadata
            if sheet.typ is SheetTypeEnum.WorkSheet
        ]

    def rows(self, name: str) -> Iterator[tuple[int, list[str]]]:
        """(row in the sheet, cells) of each row that is not blank, without blank cells
        at the end.
        """
        blank: list[str] = []
        rows = zip_longest(
            self._table(self._book, name),
            self._table(self._visible, name),
            fillvalue=blank,
        )
        for number, (cells, seen) in enumerate(rows, 1):
            while cells and not cells[-1].strip():
                cells.pop()
            if cells:
                yield number, cells if any(seen) else [HIDDEN, *cells]

    def _table(self, book: Any, name: str) -> list[list[str]]:
        """Every row from the first one. Cells below the first one of a merged range get
        its text.
        """
        sheet = book.get_sheet_by_name(name)
        left = [""] * (sheet.start[1] if sheet.start else 0)
        rows = [[*left, *map(_text, row)][: self._limit] for row in sheet.iter_rows()]
        for (top, column), (bottom, _) in sheet.merged_cell_ranges or ():
            for row in rows[top + 1 : bottom + 1]:
                if column < len(row) and not row[column]:
                    row[column] = rows[top][column]
        return rows


def as_shown(path: Path) -> BytesIO:
    """A copy of a file in which every cell that calamine would read as another text
    than a person sees is that text.
    """
    formats = Formats(path)

    def shown(name: str, content: bytes) -> bytes:
        if name == "content.xml":
            for pattern, by in _ODS_CHANGES:
                content = pattern.sub(by, content)
        elif name.startswith("xl/worksheets/"):
            content = content.replace(b' t="e"', b' t="str"')  # an error, such as #N/A
            content = _NO_RESULT.sub(
                rb'\1 t="str"><v>%s</v></c>' % FORMULA.encode(), content
            )
            content = formats.applied(content)
        return content

    return rewritten(path, shown)


def _without_hidden(name: str, content: bytes) -> bytes:
    if name == "content.xml":
        return _ODS_HIDDEN.sub(rb"\1\2<table:table-cell/>\3", content)
    return _HIDDEN.sub(b"", content) if name.startswith("xl/worksheets/") else content


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return plain(value)
    return str(value).replace("\r\n", "\n").replace("\r", "\n")
