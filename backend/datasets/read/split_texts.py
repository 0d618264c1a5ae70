"""Texts of a table that a comma without quotes divides into several cells: offered to be joined again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from backend.datasets.read.delimited import Cells
from backend.records.reading import RowFault
from backend.text.excerpt import excerpt

DIVIDERS = (",", ";")


@dataclass
class SplitTexts:
    """join: whether the user chose to join them. lines: of the rows; first: what the first of them is when joined."""

    width: int
    delimiter: str
    join: bool
    lines: list[int] = field(default_factory=list)
    first: str = ""

    def rows(self, found: Iterable[Cells]) -> Iterator[Cells]:
        """The rows, those with too many cells joined where that is wanted and leaves one for each column."""
        for line, cells in found:
            if not isinstance(cells, RowFault) and len(cells) > self.width and self.delimiter in DIVIDERS:
                joined = self._joined(cells)
                if len(joined) == self.width and all(map(str.strip, joined)):
                    self.lines.append(line)
                    self.first = self.first or " | ".join(excerpt(cell.strip(), width=60) for cell in joined)
                    cells = joined if self.join else cells
            yield line, cells

    def _joined(self, cells: list[str]) -> list[str]:
        """A cell that begins with a space goes on with the text before it: people write a space after a comma."""
        joined = cells[:1]
        for cell in cells[1:]:
            if cell[:1] == " ":
                joined[-1] += self.delimiter + cell
            else:
                joined.append(cell)
        return joined

    def notes(self) -> list[tuple[str, str, str]]:
        """(kind, message, fix): the offer, or what was done."""
        if not self.lines:
            return []
        where = f"line {self.lines[0]}" + (f" and {len(self.lines) - 1:,} more" if len(self.lines) > 1 else "")
        sign = "comma" if self.delimiter == "," else "semicolon"
        if self.join:
            message = (
                f"Texts that had been split at a {sign} were joined: {where}. The first row is now: {self.first}"
            )
            return [("split_texts", message, "Check that the joined rows are right.")]
        message = (
            f"A {sign} without quotes seems to have split a text into several cells: {where}. "
            f"Joined, the first row would be: {self.first}"
        )
        return [("split_texts", message, "Join the cells, or leave these rows out.")]
