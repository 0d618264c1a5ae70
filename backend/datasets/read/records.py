"""The rows of a file gathered: the good ones kept, the others named, and none of them lost from the count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from backend.datasets.convert.convert import convert
from backend.datasets.convert.detect import Record
from backend.datasets.convert.mapping import Plan
from backend.datasets.convert.messages import ROLES
from backend.datasets.excerpt import excerpt
from backend.datasets.options import MIB, Limits, RowFault, too_large_a_row
from backend.datasets.read.encoding import NotUtf8
from backend.datasets.read.source import BLOCK
from backend.datasets.read.strict_json import all_different, parse
from backend.records.rows import Problem, Row

_ORIGINALS = 20  # rows kept as they were read, to be shown beside what became of them
_SIMPLE: frozenset[type] = frozenset({str, int, bool, type(None)})


class Collector:
    """Takes records and makes rows and problems of them by a plan, up to the limits.

    settled: the encoding is certain; otherwise the first broken byte raises NotUtf8.
    """

    def __init__(self, plan: Plan, limits: Limits, settled: bool) -> None:
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        self.originals: dict[int, Any] = {}
        self.total_rows = 0
        self._plan, self._limits, self._settled = plan, limits, settled
        self._line = 0
        self._kept = 0  # bytes
        self._left_out = 0
        self._plain: set[tuple[str, ...]] = set()  # columns of rows in which only "messages" is read

    def note(self, kind: str, message: str, fix: str = "") -> None:
        """A warning about the file as a whole."""
        self.problems.append(Problem(0, 0, kind, "warning", message, fix))

    @property
    def full(self) -> bool:
        """Whether a limit is reached: what comes now is only counted."""
        return (
            self.total_rows >= self._limits.rows
            or self._kept > self._limits.kept_bytes
            or len(self.problems) >= self._limits.problems
        )

    def take(self, records: Sequence[Record]) -> None:
        """Take rows that are read already."""
        for line, value in records:
            if self.full:
                self._left_out += 1
            else:
                self._take(line, value)

    def take_lines(self, lines: Sequence[bytes | None]) -> None:
        """Take the next JSON lines, None for one over the limit.

        Most rows of most files are plain chats: only texts, only known roles. They pass by the shortest way,
        which accepts nothing that the long way would not; whatever looks different goes the long way.
        """
        at_a_limit = self.full or self.total_rows + len(lines) > self._limits.rows
        if at_a_limit or not self._plan.only_messages or self._limits.field_chars < BLOCK:
            self._take_slowly(lines)
            return
        self._kept += sum([len(line) for line in lines if line is not None])
        begin = 1 if self.total_rows >= _ORIGINALS else _ORIGINALS  # the first line may be longer than a block
        self._take_slowly(lines[:begin])
        self._take_chats(lines[begin:])

    def _take_chats(self, lines: Sequence[Any]) -> None:
        loads, roles, keep = orjson.loads, ROLES, self.rows.append
        at, row = self._line, self.total_rows
        for line in lines:
            try:
                record = loads(line)
                messages = record["messages"]
                for message in messages:
                    if message["role"] not in roles or type(message["content"]) is not str or len(message) != 2:
                        break
                else:
                    # Each key and each text has two quotes; if there are no more, no key stands twice.
                    if messages and (
                        (len(record) == 1 and line.count(b'"') == 2 + 8 * len(messages))
                        or self._is_plain(record, line)
                    ):
                        at += 1
                        row += 1
                        keep(Row(at, row, messages))
                        continue
            except (ValueError, TypeError, LookupError):
                pass
            self._line, self.total_rows = at, row
            self._take_slowly([line])
            at, row = self._line, self.total_rows
        self._line, self.total_rows = at, row

    def _is_plain(self, record: dict[str, Any], line: bytes) -> bool:
        """Whether a row of plain messages holds nothing else that is read, and repeats no key."""
        if len(record) > 1 and tuple(record) not in self._plain:
            return False
        simple = all(type(value) in _SIMPLE for key, value in record.items() if key != "messages")
        return simple and all_different(line, len(record) + 2 * len(record["messages"]))

    def _take_slowly(self, lines: Sequence[bytes | None]) -> None:
        for line in lines:
            self._line += 1
            if line is not None and (not line or line.isspace()):
                continue
            if self.full:
                self._left_out += 1
            else:
                self._take(self._line, read_line(line, self._limits))

    def _take(self, line: int, value: Any) -> None:
        self.total_rows += 1
        if self.total_rows <= _ORIGINALS and not isinstance(value, RowFault):
            self.originals[self.total_rows] = value
        if isinstance(value, RowFault):
            self._add(line, value)
            return
        try:
            row = self._row(line, value)
        except RowFault as fault:
            self._add(line, fault)
        else:
            row.line, row.row = line, self.total_rows
            self.rows.append(row)
            self._kept += sum([len(m["content"]) for m in row.messages]) + len(row.text or "")

    def _row(self, line: int, value: Any) -> Row:
        if not isinstance(value, dict):
            raise RowFault(
                "not_an_object",
                "This row is not an object with named parts.",
                'Write it as {"messages": [...]}.',
                excerpt(str(value)),
            )
        if not value:
            raise RowFault("empty_row", "This row is empty.", "Leave this row out.")
        mapping = self._plan.mapping_for(value, line)
        if mapping == {"messages": "messages"}:
            self._plain.add(tuple(value))
        return convert(value, mapping, self._plan, self._limits)

    def _add(self, line: int, fault: RowFault) -> None:
        if fault.kind == "bad_encoding" and not self._settled:
            raise NotUtf8
        self.problems.append(
            Problem(line, self.total_rows, fault.kind, "error", fault.message, fault.fix, fault.quote)
        )

    def finish(self) -> None:
        """Say what was left out."""
        if self._left_out:
            if self.total_rows >= self._limits.rows:
                why = f"{self._limits.rows:,} rows are taken at most"
            elif self._kept > self._limits.kept_bytes:
                why = f"{self._limits.kept_bytes // MIB:,} MiB of text are taken at most"
            else:
                why = f"there are already {len(self.problems):,} problems"
            self.note(
                "rows_left_out",
                f"The last {self._left_out:,} rows were left out: {why}.",
                "A few thousand good examples teach better than a million; bring a part of the file.",
            )
            self.total_rows += self._left_out

    def ignored(self) -> tuple[str, ...]:
        """Columns, and keys inside messages, that nothing was taken from."""
        used = set(self._plan.used.values())
        columns = [column for column in self._plan.columns if column not in used]
        return (*columns, *(f"message.{key}" for key in sorted(self._plan.unread)))


def read_line(line: bytes | None, limits: Limits) -> Any:
    """The value of one JSON line, or the RowFault that keeps it from being read."""
    if line is None:
        return too_large_a_row(limits.line_bytes, "bytes")
    try:
        return parse(line, limits)
    except RowFault as fault:
        return fault
