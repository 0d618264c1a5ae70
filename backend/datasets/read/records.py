"""Collects the records of a file: usable ones become rows, the others problems, and every one is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.datasets.convert.convert import check_size, convert
from backend.datasets.convert.detect import Record
from backend.datasets.convert.mapping import Plan
from backend.datasets.read.encoding import NotUtf8
from backend.records.reading import Limits, RowFault
from backend.records.rows import Problem, Row
from backend.records.units import MIB, format_size
from backend.text.excerpt import excerpt

_ORIGINALS = 20  # rows also stored as they were read, to be shown next to the result


class RecordCollector:
    """Turns records into rows and problems by a plan, up to the limits.

    settled: the encoding is certain; otherwise the first undecodable byte raises NotUtf8.
    """

    def __init__(self, plan: Plan, limits: Limits, settled: bool) -> None:
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        self.originals: dict[int, Any] = {}
        self.total_rows = 0
        self._plan, self._limits, self._settled = plan, limits, settled
        self._stored = 0  # characters
        self._left_out = 0

    def note(self, kind: str, message: str, fix: str = "") -> None:
        """Adds a warning about the whole file."""
        self.problems.append(Problem(0, 0, kind, "warning", message, fix))

    @property
    def full(self) -> bool:
        """Whether a limit is reached; further rows are only counted."""
        return (
            self.total_rows >= self._limits.rows
            or self._stored > self._limits.stored_bytes
            or len(self.problems) >= self._limits.problems
        )

    def add_records(self, records: Sequence[Record]) -> None:
        """Adds records: a value and its line each."""
        for line, value in records:
            if self.full:
                self._left_out += 1
                continue
            self.total_rows += 1
            if self.total_rows <= _ORIGINALS and not isinstance(value, RowFault):
                self.originals[self.total_rows] = value
            try:
                row = self._row(line, value)
                self._stored += check_size(row, self._limits)
            except RowFault as fault:
                self._add_fault(line, fault)
            else:
                row.line, row.row = line, self.total_rows
                self.rows.append(row)

    def _row(self, line: int, value: Any) -> Row:
        if isinstance(value, RowFault):
            raise value
        if not isinstance(value, dict):
            raise RowFault(
                "not_an_object",
                "This example has no names for its parts, such as question and answer (it is not an object).",
                'Write it as {"messages": [...]}.',
                excerpt(str(value)),
            )
        if not value:
            raise RowFault("empty_row", "This example is empty.", "Leave this example out.")
        return convert(value, self._plan.mapping_for(value, line), self._plan)

    def _add_fault(self, line: int, fault: RowFault) -> None:
        if fault.kind == "bad_encoding" and not self._settled:
            raise NotUtf8
        self.problems.append(
            Problem(line, self.total_rows, fault.kind, "error", fault.message, fault.fix, fault.quote)
        )

    def finish(self, chosen: int | None = None) -> None:
        """Adds a warning when rows were left out because of a limit. chosen: how many rows the user wants."""
        if chosen and self.total_rows >= chosen:
            self.note("rows_left_out", f"Only the first {chosen:,} rows were read, as you chose.")
        elif self._left_out:
            if self.total_rows >= self._limits.rows:
                why = f"at most {self._limits.rows:,} rows are read"
            elif self._stored > self._limits.stored_bytes:
                why = f"at most {format_size(self._limits.stored_bytes / MIB)} of text is read"
            else:
                why = f"there are already {len(self.problems):,} problems"
            self.note(
                "rows_left_out",
                f"The last {self._left_out:,} rows were left out: {why}.",
                "A few thousand good examples teach better than a million; upload a part of the file.",
            )
            self.total_rows += self._left_out

    def ignored(self) -> tuple[str, ...]:
        """Columns, and keys inside messages, that were not used."""
        used = set(self._plan.used.values())
        columns = [column for column in self._plan.columns if column not in used]
        return (*columns, *(f"message.{key}" for key in sorted(self._plan.unused_keys)))
