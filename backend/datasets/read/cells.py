"""Reads delimited tables: quoted cells may span lines, and rows of the wrong width are
reported.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Self

from backend.datasets.convert.detect import Record
from backend.datasets.read.header import LOOKED_AT, find_header
from backend.errors import BadInput
from backend.records.reading import Limits, RowFault, row_too_large
from backend.text.excerpt import excerpt

Cells = tuple[int, list[str] | RowFault]  # line, and the cells or the fault
DROP = "Drop the"  # what the fix of a row with spare cells begins with
_BATCH = 500
_TOO_LONG = "\ue001\n"  # replaces a line over the limit


class _Lines:
    """The lines of a text with their numbers. After a fault, all but the record's first
    line can be read again.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._again = lines, list[str]()
        self.record: list[str] = []  # lines read since `begin`
        self.number = 1  # of the record's first line

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._lines)
        self.record.append(line)
        return line

    def begin(self) -> None:
        """Starts a new record with the next line."""
        self.number += len(self.record)
        self.record = []

    def push_back(self) -> None:
        """Returns all but the record's first line, to be read again."""
        self._again += reversed(self.record[1:])
        del self.record[1:]


def read_cells(
    blocks: Iterable[list[bytes | None]], delimiter: str, limits: Limits
) -> Iterator[Cells]:
    """(line, cells or RowFault) of each record that is not blank. blocks: lines, None
    for one over the limit. Bytes that are not UTF-8 become surrogates.
    """
    csv.field_size_limit(limits.field_chars + 1)
    lines = chain.from_iterable(blocks)
    source = _Lines(
        _TOO_LONG if line is None else line.decode("utf-8", "surrogateescape") + "\n"
        for line in lines
    )
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        source.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if (
                delimiter == "\t"
                and "expected after" in str(error)
                and len(source.record) == 1
            ):
                yield (
                    source.number,
                    source.record[0].rstrip("\r\n").split(delimiter),
                )  # written without quoting
                continue
            fault = _fault(str(error), source, limits)
            source.push_back()
            yield source.number, fault
            continue
        if source.record == [_TOO_LONG]:
            yield source.number, row_too_large(limits.line_bytes, "bytes")
        elif len(cells) > limits.columns:
            yield (
                source.number,
                RowFault("ragged_row", f"This row has {len(cells):,} cells."),
            )
        elif cells:
            yield source.number, cells


def _fault(error: str, source: _Lines, limits: Limits) -> RowFault:
    if "field larger" in error and len(source.record[0]) > limits.field_chars:
        return RowFault(
            "field_too_large",
            f"A cell has more than {limits.field_chars:,} characters.",
            "Split it.",
        )
    if "field larger" in error or "unexpected end" in error:
        message = "This row opens a quote that is never closed."
    else:
        message = (
            "A quote in the middle of a cell makes it unclear where the cell ends."
        )
    fix = 'Close the quote, or write it twice ("") if it belongs to the text.'
    return RowFault(
        "bad_quotes", message, fix, excerpt(source.record[0].rstrip("\r\n"))
    )


def as_records(
    rows: Iterable[Cells],
    header: list[str] | None,
    pad: bool = False,
    can_drop: bool = False,
) -> Iterator[list[Record]]:
    """Batches of records as {column: cell}. A record with the wrong number of cells
    becomes the fault ragged_row.

    header: the columns; None when every record is data
    pad: fill missing cells instead (for sheets, which omit empty cells at the end)
    can_drop: whether the person can have spare cells dropped
    """

    def record(cells: list[str] | RowFault) -> dict[str, str] | RowFault:
        nonlocal header
        if isinstance(cells, RowFault):
            return cells
        header = header or [f"column {number}" for number in range(1, len(cells) + 1)]
        return _record(
            header,
            [*cells, *[""] * (len(header) - len(cells))] if pad else cells,
            can_drop,
        )

    records = ((line, record(cells)) for line, cells in rows)
    while batch := list[Record](islice(records, _BATCH)):
        yield batch


def _record(
    header: list[str], cells: Sequence[str], can_drop: bool
) -> dict[str, str] | RowFault:
    if len(cells) != len(header):
        fix = "Add or remove delimiters, or put quotes around a cell that contains one."
        if can_drop and (spare := len(cells) - len(header)) > 0:
            fix = f"{DROP} {spare} spare cells." if spare > 1 else f"{DROP} spare cell."
        return RowFault(
            "ragged_row",
            f"This row has {len(cells)} cell{'s' * (len(cells) != 1)}, but the table has {len(header)} columns.",
            fix,
            excerpt(" | ".join(cells), width=400),
        )
    if any(
        "\udc80" <= c <= "\udcff" for cell in cells if not cell.isascii() for c in cell
    ):
        return RowFault(
            "bad_encoding",
            "This row contains bytes that can't be read in this file's encoding.",
            "Save the file again as UTF-8, or choose its encoding.",
            excerpt(" | ".join(cells)),
        )
    return dict(zip(header, cells, strict=True))


def split_header(
    table: Iterator[Cells],
) -> tuple[list[str] | None, Iterator[Cells], list[Cells]]:
    """(the column names, the records below them, those above them, which were passed
    over). None and all records when the first record is data. Raises BadInput when
    there is no data.
    """
    first: list[Cells] = list(islice(table, LOOKED_AT))
    if not first:
        raise BadInput("This file is empty.", "It has no rows.", "Choose another file.")
    if isinstance(fault := first[0][1], RowFault):
        raise BadInput(
            "The first row of this table can't be read.", fault.message, fault.fix
        )
    rows = [
        (line, cells)
        for line, cells in first
        if not isinstance(cells, RowFault) and any(map(str.strip, cells))
    ]
    if not rows:
        return None, chain(first, table), []
    header, data = find_header(rows)
    line, cells = rows[data if header is None else header]
    above = next(n for n, row in enumerate(first) if row[0] == line)
    if header is None:
        return None, chain(first[above:], table), first[:above]
    below = chain(first[above + 1 :], table)
    if (second := next(below, None)) is None:
        raise BadInput(
            "This table has no rows.",
            f"It has only a header: {excerpt(', '.join(cells), width=200)}.",
            "Add examples below the header, or choose another file.",
        )
    return unique_names(cells), chain([second], below), first[:above]


def unique_names(cells: Sequence[str]) -> list[str]:
    """Column names, with blank ones numbered and repeated ones made unique."""
    names: list[str] = []
    for number, cell in enumerate(cells, 1):
        name = cell.strip() or f"column {number}"
        while name in names:
            name += " (2)"
        names.append(name)
    return names
