"""Reads the sheets of an Excel file as text, as Excel shows it."""

import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.datasets.documents.number_format import shown
from backend.errors import BadInput
from backend.records.units import MIB

_LARGEST = (
    16 * MIB
)  # unpacked bytes of the sheets; of larger files merged cells are not filled
_NO_RESULT = re.compile(
    rb"<f(?:\s[^>]*)?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>"
)
_HIDDEN_ROW = re.compile(rb'<row (?=[^>]*?\bhidden="(?:1|true)")[^>]*?\br="(\d+)"')
_AREA = re.compile(
    rb'<mergeCell [^>]*?ref="([A-Z]{1,3}[0-9]{1,7}:[A-Z]{1,3}[0-9]{1,7})"'
)
_MOST_CELLS = 5_000_000  # of a sheet that is read as a whole
HIDDEN = "\ue003"  # stands before the cells of a row that is hidden
FORMULA = "\ue002"  # stands in for a formula whose result is not stored in the file


class ExcelSheets:
    """names: of the sheets with cells. limit: columns read at most."""

    def __init__(self, path: Path, limit: int) -> None:
        from openpyxl.utils.cell import range_boundaries

        with zipfile.ZipFile(path) as archive:
            sheets = [
                part
                for part in archive.infolist()
                if part.filename.startswith("xl/worksheets/")
            ]
            small = sum(part.file_size for part in sheets) <= _LARGEST
            texts = [archive.read(part) for part in sheets] if small else []
        without_results = any(_NO_RESULT.search(text) for text in texts)
        areas = (
            area.decode("ascii", "replace")
            for text in texts
            for area in _AREA.findall(text)
        )
        edges = ([edge or 0 for edge in range_boundaries(area)] for area in areas)
        if (
            sum(
                (right - left + 1) * (bottom - top + 1)
                for left, top, right, bottom in edges
            )
            > _MOST_CELLS
        ):
            raise _too_sparse()
        self._by_row = not without_results and not any(
            b"<mergeCell " in text for text in texts
        )
        self._limit = limit
        self._book = self._load(path, values=True)
        self._written = self._load(path, values=False) if without_results else None
        self._path = path
        self.names = [sheet.title for sheet in self._book.worksheets]

    def _load(self, path: Path, values: bool) -> Any:
        from openpyxl import load_workbook

        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about styles and extensions, which are ignored
            return load_workbook(
                path, read_only=self._by_row, data_only=values, keep_links=False
            )

    def rows(self, name: str) -> Iterator[tuple[int, list[str]]]:
        """(row in the sheet, cells) of each row that is not blank, without blank cells
        at the end.
        """
        sheet = self._book[name]
        if self._by_row:
            with zipfile.ZipFile(self._path) as archive:
                hidden = set(
                    map(
                        int,
                        _HIDDEN_ROW.findall(
                            archive.read(sheet._worksheet_path.lstrip("/"))
                        ),
                    )
                )
            sheet.reset_dimensions()  # the file's own dimensions are often wrong
        else:
            hidden = {
                number for number, row in sheet.row_dimensions.items() if row.hidden
            }
            if sheet.max_row * min(sheet.max_column, self._limit) > _MOST_CELLS:
                raise _too_sparse()
        merged = {} if self._by_row else _merged(sheet)
        written = self._written[name] if self._written is not None else None
        last = None if self._by_row else min(sheet.max_column, self._limit)
        for number, row in enumerate(sheet.iter_rows(max_col=last), 1):
            cells = [
                shown(cell.value, getattr(cell, "number_format", "General"))
                for cell in row[: self._limit]
            ]
            for place, cell in enumerate(cells):
                if not cell and (number, place + 1) in merged:
                    cells[place] = merged[number, place + 1]
                elif not cell and written is not None:
                    value = written.cell(number, place + 1).value
                    if (
                        str(value).startswith("=")
                        or type(value).__name__ == "ArrayFormula"
                    ):
                        cells[place] = FORMULA
            while cells and not cells[-1].strip():
                cells.pop()
            if cells:
                yield number, [HIDDEN, *cells] if number in hidden else cells


def _too_sparse() -> BadInput:
    return BadInput(
        "This spreadsheet has cells that are very far apart.",
        "One stands in a row or column far away from the others, or is merged with many.",
        "Copy the table into a new spreadsheet, then save that.",
    )


def _merged(sheet: Any) -> dict[tuple[int, int], str]:
    """{(row, column): text} of the cells below the first one of a merged range."""
    texts = {}
    for area in sheet.merged_cells.ranges:
        first = sheet.cell(area.min_row, area.min_col)
        text = shown(first.value, first.number_format)
        if area.max_row - area.min_row < 10_000:
            texts.update(
                {
                    (row, area.min_col): text
                    for row in range(area.min_row + 1, area.max_row + 1)
                }
            )
    return texts
