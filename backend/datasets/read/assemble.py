"""Assembles a dataset: usable records become rows, the others problems, and every one
is counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

from backend.datasets.checks.report import FIELDS
from backend.datasets.convert.convert import check_size, convert
from backend.datasets.convert.detect import Record
from backend.datasets.convert.mapping import NoExamples, Plan, make_plan
from backend.datasets.convert.messages import WEIGHT_KEYS
from backend.datasets.convert.propose import beside
from backend.datasets.convert.shapes import listed, plain_name
from backend.datasets.read.encoding import Encoding, NotUtf8
from backend.datasets.read.file import File, OpenSource
from backend.errors import BadInput
from backend.hosting.policy import require_rows
from backend.records.reading import ReadOptions, RowFault
from backend.records.rows import (
    Dataset,
    PassedOver,
    Problem,
    Row,
    Source,
    columns_of,
)
from backend.records.units import MIB, format_size
from backend.text.excerpt import excerpt

FIRST_ROWS = 20  # passed to `on_first_rows`
_PASSED = 1_000  # parts of a file that are named, though in no example
_MEDIA = ("image", "picture", "video", "audio", "sound")
_VALUES, _LONGEST_VALUE = range(2, 13), 60  # different cells to choose rows by
_ORIGINALS = 20  # rows also stored as they were read, to be shown next to the result


class _Collector:
    """Turns records into rows and problems by a plan, up to the limits. settled: or
    else bad bytes raise NotUtf8. beside: columns that examples may be about.
    """

    def __init__(
        self, plan: Plan, options: ReadOptions, settled: bool, beside: Sequence[str]
    ) -> None:
        self.rows: list[Row] = []
        self.problems: list[Problem] = []
        self.originals: dict[int, Any] = {}
        self.passed: list[PassedOver] = []
        self.total_rows = 0
        self.unlisted = 0  # parts beyond those in `passed`
        self._plan = plan
        self._limits = options.limits
        self._only = options.only
        self._settled = settled
        self._beside = beside
        self._stored = 0  # characters
        self._skipped = 0

    def note(self, kind: str, message: str, fix: str = "") -> None:
        """Adds a warning about the whole file."""
        self.problems.append(Problem(0, 0, kind, "warning", message, fix))

    @property
    def limit_reached(self) -> str:
        """The limit that is reached, in words, so that further rows are only counted;
        "" for none.
        """
        if self.total_rows >= self._limits.rows:
            return f"at most {self._limits.rows:,} rows are read"
        if self._stored > self._limits.stored_bytes:
            return f"at most {format_size(self._limits.stored_bytes / MIB)} of text is read"
        many = len(self.problems) >= self._limits.problems
        return f"there are already {len(self.problems):,} problems" if many else ""

    def add_records(self, records: Sequence[Record]) -> None:
        """Adds records: a value and its line each."""
        for line, value in records:
            if self.limit_reached:
                self._skipped += 1
                continue
            self.total_rows += 1
            require_rows(
                self._limits.rows_before + self.total_rows, self._limits.rows_allowed
            )
            if self.total_rows <= _ORIGINALS and not isinstance(value, RowFault):
                self.originals[self.total_rows] = value
            self._plan.others.clear()
            if other := self._other(value):
                if len(self.passed) < _PASSED:
                    self.passed.append(PassedOver(*other, line))
                else:
                    self.unlisted += 1
                continue
            try:
                row = self._row(line, value)
                self._stored += check_size(row, self._limits)
            except RowFault as fault:
                if fault.kind == "bad_encoding" and not self._settled:
                    raise NotUtf8 from fault
                number, message = self.total_rows, fault.message
                self.problems.append(
                    Problem(
                        line,
                        number,
                        fault.kind,
                        "error",
                        message,
                        fault.fix,
                        fault.quote,
                    )
                )
            else:
                row.line, row.row = line, self.total_rows
                self.rows.append(row)
                others = self._plan.others[: max(0, _PASSED - len(self.passed))]
                self.unlisted += len(self._plan.others) - len(others)
                self.passed += [
                    PassedOver(why, excerpt(text, width=200), line)
                    for why, text in others
                ]

    def _other(self, value: Any) -> tuple[str, str] | None:
        """Why a row is not one of those that the user wants, and its text; None for one
        of them.
        """
        for column, wanted in self._only.items() if isinstance(value, dict) else ():
            cell = _as_value(value.get(column))
            if cell.casefold() not in {own.strip().casefold() for own in wanted}:
                why = f"row with another {excerpt(column, width=40)}"
                return why, excerpt(" | ".join(map(str, value.values())), width=200)
        return None

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
            raise RowFault(
                "empty_row", "This example is empty.", "Remove this example."
            )
        row = convert(value, self._plan.mapping_for(value, line), self._plan)
        cells = [cell for name in self._beside if (cell := value.get(name))]
        texts = [
            str(sorted(map(str, cell)) if isinstance(cell, list) else cell)
            for cell in cells
        ]
        row.beside = (
            crc32("\n".join(texts).encode("utf-8", "surrogatepass")) if texts else 0
        )
        if (
            isinstance(draft := value.get("draft"), dict)
            and {"kept", "made"} <= draft.keys()
        ):
            if draft.get("kept") is not True:
                keep = 'Set "kept" to true if it is a good example, or remove it.'
                raise RowFault(
                    "not_kept", "This is a draft that nobody has kept.", keep
                )
            number, made = draft.get("passage"), draft.get("made")
            row.passage = number if isinstance(number, int) else 0
            row.made = made if isinstance(made, str) else ""
        return row

    def finish(self, chosen: int | None = None) -> None:
        """Adds a warning when rows were skipped because of a limit. chosen: how many
        rows the user wants.
        """
        if chosen and self.total_rows >= chosen:
            self.note(
                "rows_left_out",
                f"Only the first {chosen:,} rows were read, as you chose.",
            )
        elif self._skipped:
            so = "A few thousand good examples teach better than a million; upload a part of the file."
            self.note(
                "rows_left_out",
                f"The last {self._skipped:,} rows were skipped: {self.limit_reached}.",
                so,
            )
            self.total_rows += self._skipped

    def ignored(self) -> tuple[str, ...]:
        """Columns, and keys inside messages, that were not used."""
        used = {*self._only}
        used |= {name for own in self._plan.used for name in columns_of(dict([own]))}
        columns = [column for column in self._plan.columns if column not in used]
        return (*columns, *(f"message.{key}" for key in sorted(self._plan.unused_keys)))


def assemble(
    opened: OpenSource,
    file: File,
    on_first_rows: Callable[[Dataset], None] | None = None,
) -> Dataset:
    """The rows and problems of an open file. on_first_rows: receives the first rows,
    once read. Raises BadInput when it is not a dataset, NotUtf8 when it is text in
    another encoding.
    """
    options = file.options
    sample = opened.sample()
    if not sample:
        raise BadInput("This file is empty.", "It has no rows.", "Choose another file.")
    try:
        plan = make_plan(sample, options)
    except NoExamples as error:
        if others := [
            sheet for sheet in opened.details.sheets if sheet != opened.details.sheet
        ]:
            error.why += f" Only the sheet {opened.details.sheet!r} was looked at. If the examples are in another, save"
            error.why += f" that one as a file of its own (on the command line: --sheet NAME): {listed(others)}."
        raise
    records = [value for _, value in sample if isinstance(value, dict)]
    about = beside(records, plan.mapping)
    values = _few_values(records)
    collector = _Collector(plan, options, file.encoding.settled, about)
    _note_guesses(collector, plan, file.encoding)
    if opened.guess:
        how = "If not, choose another way to read it."
        collector.note("mapping_guessed", opened.guess, how)
    for note in opened.notes:
        collector.note(*note)

    def collected() -> Dataset:
        passed = [*opened.passed, *collector.passed]
        if more := len(passed[_PASSED:]) + collector.unlisted:
            passed[_PASSED:] = [
                PassedOver(f"note that {more:,} more are not listed", "")
            ]
        used = dict(plan.used.keys()) | {
            name: c for name, c in plan.mapping.items() if (name, c) in plan.used
        }
        source = Source(
            name=file.name,
            format=opened.format,
            shape=plan.shape,
            encoding=file.encoding.name,
            sha256="",
            mapping=used or plan.mapping,
            also=tuple(pair for pair in plan.used if pair not in used.items()),
            ignored=collector.ignored(),
            details=opened.details,
            passed=tuple(passed),
            proposals=tuple(opened.proposals or plan.proposals),
        )
        return Dataset(
            source,
            collector.rows,
            collector.problems,
            collector.total_rows,
            collector.originals,
            values=values,
        )

    read = 0
    for batch in opened.records:
        collector.add_records(batch)
        read += len(batch)
        if on_first_rows is not None and read >= len(sample):
            first = collected()
            on_first_rows(
                replace(
                    first, rows=first.rows[:FIRST_ROWS], originals=dict(first.originals)
                )
            )
            on_first_rows = None
        if options.rows and collector.limit_reached and on_first_rows is None:
            break
    for note in opened.late_notes():
        collector.note(*note)
    collector.finish(options.rows)
    ignored = collector.ignored()
    if media := [
        column for column in ignored if plain_name(column).rstrip("s") in _MEDIA
    ]:
        collector.note(
            "media_ignored",
            f"Only text is used for training; the content of {' and '.join(map(repr, media))} is ignored.",
            "Remove examples that make no sense without it.",
        )
    if any(f"message.{key}" in ignored for key in WEIGHT_KEYS):
        collector.note(
            "weights_ignored",
            "Some answers have a weight other than 0 or 1. They are learned like all others.",
            "Write 0 for answers that are only read, and 1 for those that are learned.",
        )
    return collected()


def _as_value(cell: Any) -> str:
    """A cell as `ReadOptions.only` has it."""
    return "" if cell is None else str(cell).strip()


def _few_values(records: Sequence[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    """The different cells of the columns that have few, as `ReadOptions.only` has them."""
    cells: dict[str, dict[str, None]] = {}
    for record in records:
        for column, value in record.items():
            own = cells.setdefault(column, {})
            if len(own) <= _VALUES.stop:
                own[_as_value(value)] = None
    return {
        column: tuple(own)
        for column, own in cells.items()
        if len(own) in _VALUES and max(map(len, own)) <= _LONGEST_VALUE
    }


def _note_guesses(collector: _Collector, plan: Plan, encoding: Encoding) -> None:
    if encoding.guess:
        collector.note(
            "encoding",
            f"The letters of this file were read as {encoding.name} (encoding), which is a guess: {encoding.guess}.",
            "Look at a few accented letters, and choose another encoding if they are wrong.",
        )
    if plan.guessed:
        which = ", ".join(
            f"{listed(columns_of({field: own}))} is the {FIELDS.get(field, field)}"
            for field, own in plan.mapping.items()
        )
        collector.note(
            "mapping_guessed",
            f"The columns were guessed: {which}.",
            "If not, choose other columns.",
        )
    if plan.shape == "preference":
        what = "Each example has a better (chosen) and a worse (rejected) answer. The better ones are used as examples"
        collector.note(
            "preference_pairs",
            f"{what}; only preference training (DPO) also uses the worse ones.",
        )
    if plan.shape == "kto":
        what = "The answers in this file are marked as good or bad (KTO). The good ones are used as examples."
        fix = "To learn from the bad ones too, use pairs: a good (chosen) and a bad (rejected) answer per question."
        collector.note("kto_labels", what, fix)
