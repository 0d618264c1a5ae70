"""Reads Excel and Parquet tables, after checking how large they unpack."""

from __future__ import annotations

import datetime
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from backend.datasets.convert.detect import Record
from backend.datasets.excerpt import excerpt
from backend.datasets.options import Limits
from backend.datasets.read.delimited import unique_names
from backend.datasets.read.source import ByteSource, check_expansion
from backend.errors import BadInput

_DAMAGED = (
    "This file is damaged, or not of the type that its first bytes indicate.",
    "",
    "Save or download it again.",
)
_BATCH = 200  # rows; each may be large


class Workbook:
    """An Excel file, values only. sheets: the sheet names. sheet: the sheet to read, by default the first with rows.

    Raises BadInput when the file is not Excel, is damaged, unpacks to too much, or lacks the chosen sheet.
    """

    def __init__(self, source: ByteSource, sheet: str | None) -> None:
        from openpyxl import load_workbook

        self._source = source
        file = source.seekable()
        _check_zip(file, source.limits)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about styles and extensions, which are ignored
                self._book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        except Exception as error:  # openpyxl lets any error of its XML parser through
            raise BadInput(*_DAMAGED) from error
        self.sheets = [s.title for s in self._book.worksheets]
        if sheet is not None and sheet not in self.sheets:
            raise BadInput(
                f"There is no sheet {sheet[:60]!r} in this file.",
                "",
                f"Its sheets are: {excerpt(', '.join(self.sheets), width=300)}.",
            )
        filled = (name for name in self.sheets if next(self._cells(name), None))
        self.sheet = sheet or next(filled, None) or self.sheets[0]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(row in the sheet, cells as text) of each row that is not blank, without blank cells at the end."""
        for number, cells in self._cells(self.sheet):
            if number % 1000 == 0:
                self._source.advance(0.5)
            yield number, cells

    def _cells(self, name: str) -> Iterator[tuple[int, list[str]]]:
        sheet = self._book[name]
        sheet.reset_dimensions()  # the file's own dimensions are often wrong
        try:
            for number, values in enumerate(
                sheet.iter_rows(values_only=True, max_col=self._source.limits.columns), 1
            ):
                cells = [_as_text(value) for value in values]
                while cells and not cells[-1].strip():
                    cells.pop()
                if cells:
                    yield number, cells
        except BadInput:
            raise
        except Exception as error:  # as above
            raise BadInput(*_DAMAGED) from error


def _check_zip(file: BinaryIO, limits: Limits) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" not in names:
                raise BadInput(
                    f"This file is {_describe(names)}, not an Excel table.", "", "Upload text, CSV or .xlsx."
                )
            for part in archive.infolist():
                check_expansion(part.file_size, part.compress_size, limits)
            check_expansion(sum(part.file_size for part in archive.infolist()), _length(file), limits)
            for name in names:
                if name.endswith((".xml", ".rels")):
                    with archive.open(name) as opened:
                        if b"<!DOCTYPE" in opened.read(4096):
                            raise BadInput("This Excel file was not written by Excel.", "", _DAMAGED[2])
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadInput(*_DAMAGED) from error
    finally:
        file.seek(0)


def _length(file: BinaryIO) -> int:
    return file.seek(0, 2)


def _describe(names: set[str]) -> str:
    if "word/document.xml" in names:
        return "a Word document"
    if any(name.startswith("ppt/") for name in names):
        return "a presentation"
    if "content.xml" in names:
        return "an OpenDocument file"
    if any(name.endswith("data.pkl") for name in names):
        return "a PyTorch file, which can run code when it is opened and is never opened here"
    return "a zip archive"


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else str(value)


def parquet_records(source: ByteSource) -> Iterator[list[Record]]:
    """Batches of the rows of a Parquet file, after checking its row count and unpacked size.

    Raises BadInput when the file is damaged, has no rows, or unpacks to too much.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(source.seekable())
        total = table.metadata.num_rows
        groups = range(table.metadata.num_row_groups)
        check_expansion(sum(table.metadata.row_group(g).total_byte_size for g in groups), source.size, source.limits)
        if total == 0:
            raise BadInput("This table has no rows.", f"Its columns are: {', '.join(table.schema_arrow.names)}.", "")
        names = unique_names(table.schema_arrow.names)
        row = 0
        for batch in table.iter_batches(batch_size=_BATCH):
            columns = [column.to_pylist() for column in batch.columns]
            values = zip(*columns, strict=True)
            yield [(row + n, dict(zip(names, cells, strict=True))) for n, cells in enumerate(values, 1)]
            row += batch.num_rows
            source.advance(row / total)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInput(*_DAMAGED) from error
