"""What can be said about how a file is read, and how much of it is taken in at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True)
class Limits:
    """How much is taken in, so that no file can exhaust the machine.

    What goes beyond the limit of a row is a problem of that row; `rows` and `kept_bytes` end the taking of rows
    with a warning that says how many were left out; the other limits refuse the file.
    """

    file_bytes: int = 2 * GIB
    expanded_bytes: int = 1 * GIB  # what a gzip, Excel or Parquet file may unpack to
    expansion_ratio: int = 200  # unpacked to packed, looked at from `ratio_from_bytes` on
    ratio_from_bytes: int = 32 * MIB  # below this no archive does harm, and dull test data packs 1000 to 1
    line_bytes: int = 32 * MIB  # one line, or one example of a JSON list
    field_chars: int = 8 * MIB  # one cell, or the content of one message
    row_chars: int = 16 * MIB  # all text of one example
    nesting: int = 64
    integer_digits: int = 100
    rows: int = 1_000_000
    kept_bytes: int = 384 * MIB  # text of all rows together; in memory it takes about 2.3 times as much
    problems: int = 100_000
    columns: int = 1_000


@dataclass(frozen=True)
class ReadOptions:
    """What the person says about a file; None everywhere lets the content decide.

    encoding: a codec name such as "cp1252". delimiter: one character. sheet: the name of an Excel sheet.
    shape: a key of `shapes.SHAPES`. mapping: from the fields of that shape to columns of the file,
    such as {"question": "Frage", "answer": "Antwort"}.
    """

    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    shape: str | None = None
    mapping: Mapping[str, str] | None = None
    limits: Limits = field(default_factory=Limits)


class Cancelled(Exception):
    """The person cancelled; nothing was kept."""


class RowFault(Exception):
    """Why one row can't be used; `backend.datasets.read.load` makes a Problem of it. Fields as in Problem."""

    def __init__(self, kind: str, message: str, fix: str = "", quote: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.fix, self.quote = kind, message, fix, quote


def too_large_a_row(limit: int, unit: str) -> RowFault:
    """The fault of a row that is over a limit as a whole. unit: "bytes" or "characters"."""
    return RowFault("row_too_large", f"This row has more than {limit:,} {unit}.", "Split it, or leave this row out.")
