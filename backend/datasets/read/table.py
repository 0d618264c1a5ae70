"""A spreadsheet as a table of texts, read as examples are, to be filled and written
again.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.read.cells import unique_names
from backend.datasets.read.file import File, decoded
from backend.datasets.read.readers import open_file, reader_of
from backend.datasets.read.source import open_path
from backend.errors import BadInput
from backend.records.reading import ReadOptions, RowFault
from backend.text.excerpt import excerpt

_FORMULA = re.compile(
    r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]"
)  # what a spreadsheet reads as the start of a formula
_NUMBER = re.compile(
    r"[-+]?\d{1,3}(?:[,.\s]?\d{3})*(?:[.,]\d+)?\s*[%€$£]?|\+\d[\d\s()/-]{5,}|[-+]"
)
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_LONGEST_CELL = 32_767  # characters, in Excel


@dataclass(frozen=True)
class Table:
    """rows: of texts by column. delimiter: of a text file, "" for an Excel file.
    skipped: sentences on what is
    no part of the table, such as totals and other sheets.
    """

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    delimiter: str
    skipped: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """Of the file as it is written."""
        return {"": ".xlsx", "\t": ".tsv"}.get(self.delimiter, ".csv")

    def with_column(self, name: str, cells: list[str]) -> "Table":
        """The table with one more column, whose name is made unique."""
        *_, name = unique_names([*self.columns, name])
        rows = tuple(
            {**row, name: cell} for row, cell in zip(self.rows, cells, strict=True)
        )
        return Table((*self.columns, name), rows, self.delimiter, self.skipped)

    def write(self, path: Path) -> None:
        """Writes the file. Cells that a spreadsheet would run as a formula stay text.
        Raises OSError.
        """
        lines = [
            list(self.columns),
            *([row[name] for name in self.columns] for row in self.rows),
        ]
        if self.delimiter:
            with path.open(
                "w", newline="", encoding="utf-8-sig"
            ) as file:  # by its mark Excel knows the encoding
                writer = csv.writer(file, delimiter=self.delimiter)
                for line in (
                    lines
                ):  # an apostrophe before what a spreadsheet would run as a formula
                    runs = [
                        _FORMULA.match(cell) and not _NUMBER.fullmatch(cell.strip())
                        for cell in line
                    ]
                    writer.writerow(
                        f"'{cell}" if run else cell
                        for run, cell in zip(runs, line, strict=True)
                    )
            return
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell

        book = Workbook(write_only=True)
        sheet = book.create_sheet("Answers")
        for line in lines:
            cells = [
                WriteOnlyCell(sheet, _NOT_IN_XML.sub("", text)[:_LONGEST_CELL])
                for text in line
            ]
            for cell in cells:
                cell.data_type = "s"  # text, also where it begins with "="
            sheet.append(cells)
        book.save(path)


def read_table(path: Path, name: str, most: int) -> Table:
    """Reads a spreadsheet: CSV and the like, Excel, OpenDocument.
    name: of the file; its extension only decides unclear formats. most: rows that it
    may have. Raises BadInput for another kind of file, for too many rows, and for rows
    that can't be read: none is lost. Hidden ones are skipped.
    """
    options = ReadOptions(shape="question_answer")  # it need not look like examples
    with open_path(path, options.limits, None, None) as source:
        return decoded(source, name, options, lambda file: _read(file, most))


def _read(file: File, most: int) -> Table:
    reader = reader_of(file)
    if not reader.table:
        raise BadInput(
            "This is not a spreadsheet.",
            f"It is {reader.title}.",
            "Save it as XLSX or CSV.",
        )
    opened = open_file(file)
    rows: list[dict[str, str]] = []
    hidden: list[str] = []
    for line, record in (pair for batch in opened.records for pair in batch):
        if not isinstance(record, RowFault):
            rows.append(record)
        elif record.kind == "hidden_row":
            hidden.append(str(line))
        else:
            raise BadInput(
                f"Row {line} of this table can't be read.", record.message, record.fix
            )
        if len(rows) > most:
            raise BadInput(
                "This table is too long.",
                f"It has more than {most:,} rows.",
                "Divide it into parts.",
            )
    if not rows:
        raise BadInput(
            "This table has no rows.", "It has only a header.", "Choose another file."
        )
    notes = tuple(
        message for kind, message, _ in opened.late_notes() if kind == "leftovers"
    )
    notes += (
        (f"Hidden rows were skipped: row {excerpt(', '.join(hidden), width=99)}.",)
        if hidden
        else ()
    )
    if unread := [
        sheet for sheet in opened.details.sheets if sheet != opened.details.sheet
    ]:
        listed = excerpt(", ".join(unread), width=300)
        notes += (
            f"Only the sheet “{opened.details.sheet}” is in the new file, without: {listed}.",
        )
    delimiter = "" if reader.binary else opened.details.delimiter or ","
    return Table(tuple(rows[0]), tuple(rows), delimiter, notes)
