"""Options and limits for reading a file, and the errors of reading it."""

import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zipfile import BadZipFile, LargeZipFile

from backend.errors import BadInput
from backend.records.rows import Column
from backend.records.units import GIB, MIB, format_size

# What reading a damaged zip archive raises.
ZIP_ERRORS = (
    BadZipFile,
    LargeZipFile,
    zlib.error,
    struct.error,
    UnicodeDecodeError,
    OSError,
    EOFError,
    RuntimeError,
)


@dataclass(frozen=True)
class Limits:
    """Limits that keep any file from exhausting the machine. A row over a row limit is
    a problem of that row. `rows` and `stored_bytes` stop reading with a warning that
    says how many rows were skipped. Any other limit rejects the file, `rows_allowed` as
    soon as one row more is read.
    """

    file_bytes: int = 2 * GIB
    expanded_bytes: int = 1 * GIB  # unpacked size of a gzip, Excel or Parquet file
    # Unpacked to packed size, checked above `ratio_from_bytes`.
    expansion_ratio: int = 200
    parser_bytes: int = 2 * GIB  # memory that parsing a document may take
    # Smaller files do no harm, and repetitive data can pack 1000 to 1.
    ratio_from_bytes: int = 32 * MIB
    line_bytes: int = 32 * MIB  # one line, or one example of a JSON list
    field_chars: int = 8 * MIB  # one cell, or the content of one message
    row_chars: int = 16 * MIB  # all text of one example
    nesting: int = 64
    integer_digits: int = 100
    rows: int = 1_000_000
    rows_allowed: float = math.inf  # in a demo
    rows_before: int = 0  # in the other files of an archive, which count, too
    # Text of all rows together; it takes about 2.3 times as much memory.
    stored_bytes: int = 384 * MIB
    problems: int = 100_000
    columns: int = 1_000


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read: what the user chose. None, () and "" leave it to the file."""

    encoding: str | None = None
    """A codec name such as "cp1252"."""
    delimiter: str | None = None
    """One character, between the cells of a text table."""
    sheet: str | None = None
    """The name of a sheet of a workbook."""
    shape: str | None = None
    """A key of `shapes.SHAPES`."""
    mapping: Mapping[str, Column] | None = None
    """From the fields of that shape to columns of the file: {"question": "Frage",
    "answer": "Antwort"}. Several columns of an answer become the fields of a JSON
    object, several of any other field a line "Name: value" each.
    """
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Rows are examples only where these columns have one of these values."""
    marks: str = ""
    """What a question of a text is recognized by: a key of `questions.MARKS`."""
    imitate: Sequence[str] = ()
    """The people in a chat whom the model learns to write like."""
    task: str = ""
    """What the model is to do, as `recommend` has it; it ranks the proposals."""
    join_cells: bool = False
    """Join texts of a table that a comma without quotes divides."""
    drop_cells: bool = False
    """Drop the cells that a table has no column for."""
    pairs: bool = False
    """In a chat, each answer ends an example."""
    rows: int | None = None
    """Read only so many."""
    limits: Limits = field(default_factory=Limits)


class Cancelled(Exception):
    """The user cancelled; nothing was stored."""


class RowFault(Exception):
    """The reason why a row can't be used; `backend.datasets.read.load` turns it into a
    Problem with these fields.
    """

    def __init__(self, kind: str, message: str, fix: str = "", quote: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.fix, self.quote = kind, message, fix, quote


def row_too_large(limit: int, unit: str) -> RowFault:
    """The fault of a row that is over a limit as a whole. unit: such as "bytes"."""
    return RowFault(
        "row_too_large",
        f"This example has more than {limit:,} {unit}.",
        "Split it, or remove it.",
    )


def check_expansion(expanded: int, packed: int, limits: Limits) -> None:
    """Raises BadInput when an archive unpacks to more than the limits allow. Sizes in
    bytes.
    """
    bomb = (
        expanded > limits.ratio_from_bytes
        and expanded > limits.expansion_ratio * max(packed, 1)
    )
    if bomb or expanded > limits.expanded_bytes:
        raise BadInput(
            "This file unpacks to far more than is allowed.",
            f"It is {format_size(max(packed / MIB, 0.1))} and unpacks to {format_size(expanded / MIB)} or more.",
            "Unpack it yourself and upload the part that you need.",
        )
