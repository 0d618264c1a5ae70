"""Rows of a table that are not examples: blank rows, totals and remarks. They are
skipped with a note.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import eq
from pathlib import Path

from backend.datasets.checks.issues import numbered
from backend.datasets.read.cells import Cells
from backend.files.json_file import read_json
from backend.records.reading import RowFault
from backend.records.rows import PassedOver
from backend.text.excerpt import excerpt

_TOTALS = re.compile(
    "|".join(read_json(Path(__file__).with_name("words.json"))["totals"]), re.IGNORECASE
)
_NUMBER = re.compile(r"[-\s\d.,%€$£]*")
_QUOTED = 200  # characters of a part that is passed over
END = "row below the table"
TITLE = "row above the table"
BESIDE = "cell beside the table"
_AGAIN = "repetition of the column names"


@dataclass
class Passed:
    """Skipped rows by their numbers. parts: totals, remarks and cells beside the table,
    with their texts.
    """

    parts: list[PassedOver] = field(default_factory=list)
    blank: list[int] = field(default_factory=list)
    single: list[int] = field(
        default_factory=list
    )  # these have one cell, and are not skipped

    def add(
        self, why: str, rows: Iterable[tuple[int, Sequence[str] | RowFault]]
    ) -> None:
        """Adds rows that are passed over, without blank ones."""
        for number, cells in rows:
            if (
                text := ""
                if isinstance(cells, RowFault)
                else " | ".join(filter(None, map(str.strip, cells)))
            ):
                self.parts.append(PassedOver(why, excerpt(text, width=_QUOTED), number))

    def notes(self) -> list[tuple[str, str, str]]:
        """(kind, message, fix) for totals and remarks, and for blank rows."""
        notes = []
        ends = [part.line for part in self.parts if part.why == END]
        for what, rows in (
            ("Totals and remarks below the table", ends),
            ("Blank rows", self.blank),
        ):
            if rows:
                notes.append(
                    (
                        "leftovers",
                        f"{what} were skipped: row {numbered(rows)}.",
                        "Nothing is missing.",
                    )
                )
        if self.single:
            what = f"Rows with one cell may go on with the row above: row {numbered(self.single)}."
            notes.append(("leftovers", what, "If they do, join them in the file."))
        return notes


def _is_leftover(cells: Sequence[str], width: int, apart: bool, result: str) -> bool:
    """Whether a row is a total, or a remark apart from the table: a gap, or another
    such row, is above it. result: what stands for a formula's result.
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    if filled and _TOTALS.fullmatch(filled[0].rstrip(":. ")):
        return all(_NUMBER.fullmatch(cell) or cell == result for cell in filled[1:])
    return len(filled) == 1 and width > 1 and apart


def without_leftovers(
    table: Iterable[Cells],
    header: Sequence[str],
    width: int,
    passed: Passed,
    result: str = "",
) -> Iterator[Cells]:
    """The rows of a table, without blank ones, its header again, totals and remarks at
    its end, and blank cells beyond `width`. result: as above.
    """
    held: list[Cells] = []  # rows that may be the end
    before = 0
    for line, cells in table:
        if isinstance(cells, RowFault):
            if cells.kind != "hidden_row":
                yield from held
                held = []
            yield line, cells
        elif not any(map(str.strip, cells)):
            passed.blank.append(line)
            continue
        elif (
            header
            and cells[0].strip() == header[0]
            and 2 * sum(map(eq, map(str.strip, cells), header)) > len(header)
        ):
            passed.add(_AGAIN, [(line, cells)])
            continue
        else:
            if len(cells) > width and not any(map(str.strip, cells[width:])):
                cells = cells[:width]
            only = (
                "".join(cells).strip()
                if width > 2 and not (held or cells[0].strip())
                else ""
            )
            passed.single += [line] * (
                only in map(str.strip, cells) and not _NUMBER.fullmatch(only)
            )
            if (
                len(cells) > 1
                and cells[1]
                and not held
                and not _TOTALS.match(cells[0].strip())
            ):
                yield line, cells
            elif _is_leftover(
                cells, width, (before > 0 and line - before > 1) or bool(held), result
            ):
                held.append((line, cells))
            else:
                yield from held
                held = []
                yield line, cells
        before = line
    passed.add(END, held)
