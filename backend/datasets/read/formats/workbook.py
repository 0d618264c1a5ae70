"""Reads Excel files and OpenDocument spreadsheets: the sheets that hold examples, from
below their header.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from operator import itemgetter

from backend.datasets.convert.detect import Record, match
from backend.datasets.convert.propose import propose
from backend.datasets.documents.blocks import Rows
from backend.datasets.documents.workbook import FORMULA, HIDDEN
from backend.datasets.read.cells import Cells, as_records, unique_names
from backend.datasets.read.file import File, OpenSource, Reader
from backend.datasets.read.formats.documents import matches
from backend.datasets.read.header import find_header, known_columns
from backend.datasets.read.leftovers import BESIDE, TITLE, Passed, without_leftovers
from backend.datasets.read.parse import Parser
from backend.errors import BadInput
from backend.records.reading import RowFault
from backend.records.rows import FileDetails
from backend.text.excerpt import excerpt

TOGETHER = (
    "/"  # separates the names of sheets that are read together; no name can contain it
)
_SURE, _MAYBE = 2, 1  # how likely a sheet holds examples


@dataclass
class _Sheet:
    """One sheet by its first rows. columns: of its header; () when all rows are
    examples. start: the first row of data, as numbered in the sheet. likely: 2 with the
    usual columns, 1 with columns that may fit, else 0. rows: looked at.
    """

    number: int
    name: str
    columns: tuple[str, ...] = ()
    start: int = 1
    likely: int = 0
    empty: bool = True
    rows: int = 0


def _open(kind: str, file: File) -> OpenSource:
    parser = Parser(file.source, kind)
    try:
        outlines = parser.outlines()
        sheets = [
            replace(_look(number, *outline), rows=len(outline[1]))
            for number, outline in enumerate(outlines)
        ]
        chosen = _choose(sheets, file.options.sheet)
        if chosen[0].empty:
            raise BadInput(
                "This file is empty.", "It has no rows.", "Choose another file."
            )
    except BaseException:
        parser.close()
        raise
    columns = chosen[0].columns
    alike = [
        sheet.name
        for sheet in sheets
        if sheet.likely and sheet.columns and sheet.columns == columns
    ]
    details = FileDetails(
        sheet=TOGETHER.join(sheet.name for sheet in chosen),
        sheets=tuple(sheet.name for sheet in sheets),
        together=TOGETHER.join(alike) if len(alike) > 1 else "",
    )
    width = len(columns) or max(
        len(cells) for _, cells in outlines[chosen[0].number][1]
    )
    passed = Passed()
    for sheet in sheets:
        first = sheet.start - bool(sheet.columns)
        above = [
            row
            for row in outlines[sheet.number][1]
            if sheet not in chosen or row[0] < first
        ]
        passed.add(
            TITLE if sheet in chosen else f"row of the sheet {sheet.name!r}", above
        )
    passed.parts += parser.asides
    records = _records(parser, chosen, width, passed)
    opened = OpenSource(records, details, passed=passed.parts, late_notes=passed.notes)
    likely = ", ".join(
        sheet.name for sheet in sheets if sheet not in chosen and sheet.likely
    )[:200]
    if likely and file.options.sheet is None:
        message = f"Only the sheet {chosen[0].name!r} was read; these may hold examples, too: {likely}."
        more = (
            ", or read those with the same columns together" if details.together else ""
        )
        opened.notes.append(("other_sheets", message, f"Choose another sheet{more}."))
    return opened


def _look(number: int, name: str, rows: Rows) -> _Sheet:
    if not rows:
        return _Sheet(number, name)
    header, data = find_header(rows)
    columns = tuple(unique_names(rows[header][1])) if header is not None else ()
    if data >= len(rows):
        return _Sheet(number, name, columns, rows[-1][0] + 1, 0, empty=header is None)
    start = rows[header][0] + 1 if header is not None else rows[data][0]
    width = max(len(cells) for _, cells in rows[data:])
    names = columns or unique_names([""] * width)
    records = [
        dict(zip(names, [*cells, *[""] * (width - len(cells))], strict=False))
        for _, cells in rows[data:]
    ]
    if known_columns(columns) or any(map(match, records[:3])):
        return _Sheet(number, name, columns, start, _SURE, empty=False)
    guessed = propose(records)[:1] if len(records) > 1 else None
    likely = _MAYBE if guessed and "question" in guessed[0] else 0
    return _Sheet(number, name, columns, start, likely, empty=False)


def _choose(sheets: Sequence[_Sheet], wanted: str | None) -> list[_Sheet]:
    """The sheets to read: those that the user chose, else the likeliest one. wanted: a
    name, or several with TOGETHER between them. Raises BadInput for one that does not
    exist.
    """
    if wanted is None:
        return [
            max(
                sheets,
                key=lambda sheet: (
                    sheet.likely,
                    not sheet.empty,
                    sheet.rows,
                    -sheet.number,
                ),
            )
        ]
    by_name = {sheet.name: sheet for sheet in sheets}
    names = [wanted] if wanted in by_name else wanted.split(TOGETHER)
    for name in names:
        if name not in by_name:
            listed = excerpt(", ".join(by_name), width=300)
            raise BadInput(
                f"There is no sheet {name[:60]!r} in this file.",
                "",
                f"Its sheets are: {listed}.",
            )
    chosen = [by_name[name] for name in names]
    if any(sheet.columns != chosen[0].columns for sheet in chosen):
        raise BadInput(
            "These sheets have different columns.",
            "",
            "Read one of them, or give them the same header.",
        )
    return chosen


def _records(
    parser: Parser, sheets: Sequence[_Sheet], width: int, passed: Passed
) -> Iterator[list[Record]]:
    """The rows of `sheets` below their headers as records. passed: receives what was
    passed over.
    """
    columns = list(sheets[0].columns) or None
    starts = {sheet.number: sheet.start for sheet in sheets}
    rows = (
        (n, number, cells)
        for n, number, cells in parser.rows([*starts])
        if number >= starts[n]
    )
    try:
        yield from as_records(
            _without_leftovers(rows, columns, width, passed), columns, pad=True
        )
    finally:
        parser.close()


def _without_leftovers(
    rows: Iterator[tuple[int, int, list[str]]],
    columns: list[str] | None,
    width: int,
    passed: Passed,
) -> Iterator[Cells]:
    """Rows, without totals and remarks at the end of a sheet and without cells beyond
    the columns that are blank.
    """
    for _, sheet in groupby(rows, key=itemgetter(0)):
        table = ((number, _unless_hidden(cells)) for _, number, cells in sheet)
        for number, cells in without_leftovers(
            table, columns or (), width, passed, FORMULA
        ):
            if not isinstance(cells, RowFault):
                passed.add(BESIDE, [(number, cells[width:])])
                cells = _checked(cells[:width])
            yield number, cells


def _unless_hidden(cells: list[str]) -> list[str] | RowFault:
    if cells[0] != HIDDEN:
        return cells
    shown = excerpt(" | ".join(cells[1:]), width=200)
    fix = "Show it there, or remove this example."
    return RowFault("hidden_row", "This row is hidden in the spreadsheet.", fix, shown)


def _checked(cells: list[str]) -> list[str] | RowFault:
    if FORMULA not in cells:
        return cells
    return RowFault(
        "formula_without_value",
        "This row has a formula whose result is not stored in the file.",
        "Open the file in Excel or LibreOffice and save it, or remove this example.",
        excerpt(
            " | ".join("(formula)" if cell == FORMULA else cell for cell in cells),
            width=200,
        ),
    )


READERS = tuple(
    Reader(
        kind,
        title,
        partial(matches, kind),
        partial(_open, kind),
        table=True,
        binary=True,
    )
    for kind, title in (
        ("xlsx", "an Excel file"),
        ("ods", "an OpenDocument spreadsheet"),
    )
)
