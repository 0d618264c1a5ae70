"""Every check on every row: what is wrong with the data, what it holds twice, how it will be split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from backend.datasets.checks import answers as answer_checks
from backend.datasets.checks import content as content_checks
from backend.datasets.checks import dataset as dataset_checks
from backend.datasets.checks import duplicates
from backend.datasets.checks import structure as structure_checks
from backend.datasets.checks import tokens as token_checks
from backend.datasets.checks.duplicates import Duplicates
from backend.datasets.checks.issues import problem
from backend.datasets.checks.report import DuplicateRows, Report, SplitRows, ValidationFile
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.options import Cancelled
from backend.datasets.read.gc_pause import without_gc
from backend.datasets.split import Split, split, split_with
from backend.datasets.token_counts import TokenCounter
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.rows import Dataset, Problem, Row

_SLICE = 4096  # rows between two looks at `cancelled`
_LINES = 8  # named at most


def check(
    dataset: Dataset,
    *,
    counter: TokenCounter | None = None,
    lengths: LengthLimits = UNLIMITED,
    model_languages: tuple[str, ...] | None = None,
    validation: ValidationFile | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Report:
    """The report on `dataset`: every row, every check.

    counter: of the chosen model; without it nothing about tokens or its template is said. lengths: how long a row
    may be, and what becomes of a longer one. model_languages: ISO 639-1 codes. validation: the test file that the
    person brought. progress: told how far we are, 0 to 1. Raises Cancelled soon after `cancelled` says so.
    """
    tick = _Ticker(progress, cancelled)
    with without_gc():
        return _check(dataset, counter, lengths, model_languages, validation, tick)


def _check(
    dataset: Dataset,
    counter: TokenCounter | None,
    lengths: LengthLimits,
    model_languages: tuple[str, ...] | None,
    validation: ValidationFile | None,
    tick: _Ticker,
) -> Report:
    rows = dataset.rows
    problems = list(dataset.problems)
    control_markers = counter.control_markers if counter else ()
    problems += row_problems(rows, control_markers, tick.part(0.0, 0.3, len(rows)))
    problems += answer_checks.find(rows)
    good = without_errors(rows, problems)
    tokens = TokenTotals(lengths) if counter else None
    if counter and tokens is not None:
        problems += token_checks.find(good, counter, tokens, tick.part(0.3, 0.8, len(good)))
        good = without_errors(good, problems)
    tick(0.8)
    twice = duplicates.find(good)
    tick(0.9)
    counted = _duplicate_rows(good, twice)
    pieces = tokens.pieces if tokens and tokens.documents else 0
    problems += dataset_checks.find(good, model_languages, counted.distinct, pieces)
    if counted.mostly:
        problems.append(problem(None, "mostly_repeats", counted.sentence))
    problems += duplicates.problems(good, twice)
    divided, leaks = _split(good, twice, validation)
    problems += leaks
    problems.sort(key=lambda p: (p.row > 0, p.line, p.row))
    tick(1.0)
    return Report(
        source=dataset.source,
        rows=dataset.total_rows or len(rows),
        usable=len(good),
        problems=problems,
        duplicates=counted,
        split=SplitRows(len(divided.train), len(divided.validation), len(divided.leaked), divided.sentence),
        tokens=tokens,
        validation=validation.report if validation else None,
    )


class _Ticker:
    """Tells progress and notices that the person has cancelled."""

    def __init__(self, progress: Callable[[float], None] | None, cancelled: Callable[[], bool] | None) -> None:
        self._progress, self._cancelled = progress, cancelled

    def __call__(self, fraction: float) -> None:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled
        if self._progress is not None:
            self._progress(fraction)

    def part(self, start: float, end: float, total: int) -> Callable[[int], None]:
        """A ticker for `total` rows within a part of the whole."""
        return lambda done: self(start + (end - start) * done / max(total, 1))


def row_problems(
    rows: Sequence[Row], control_markers: Iterable[str] = (), told: Callable[[int], None] = lambda done: None
) -> Iterator[Problem]:
    """Problems in the turns and the texts of each row. control_markers: the model's; told: rows done so far."""
    faults = content_checks.text_faults(control_markers)
    for start in range(0, len(rows), _SLICE):
        told(start)
        part = rows[start : start + _SLICE]
        yield from structure_checks.find(part)
        yield from content_checks.find(part, faults)
    yield from dataset_checks.system_messages(rows)


def without_errors(rows: Sequence[Row], problems: Iterable[Problem]) -> list[Row]:
    """The rows that no error is about."""
    bad = {p.row for p in problems if p.severity == "error"}
    return [row for row in rows if row.row not in bad]


def _duplicate_rows(rows: Sequence[Row], twice: Duplicates) -> DuplicateRows:
    exact, near = twice.exact_count, twice.near_count
    groups = [[rows[i].row for i in group] for group in twice.groups]
    return DuplicateRows(exact, near, len(rows) - exact - near, groups)


def _split(rows: list[Row], twice: Duplicates, validation: ValidationFile | None) -> tuple[Split, list[Problem]]:
    if validation is None:
        return split(rows, together=twice.together), []
    everything = [*rows, *validation.rows]
    found = duplicates.find(everything)
    divided = split_with(rows, validation.rows, found.together)
    return divided, [*_left_out(validation.report), *_leaks(everything, found, divided.leaked, len(rows))]


def _left_out(report: Report) -> Iterator[Problem]:
    lines = sorted({p.line for p in report.problems if p.severity == "error"})
    if lines:
        shown = ", ".join(map(str, lines[:_LINES])) + (" and others" if len(lines) > _LINES else "")
        message = f"{len(lines):,} of the {report.rows:,} rows of your test file can't be used: lines {shown}."
        yield problem(None, "test_rows_left_out", message)


def _leaks(rows: Sequence[Row], found: Duplicates, leaked: Mapping[int, int], tested: int) -> Iterator[Problem]:
    """tested: the position from which on `rows` are those of the test file."""
    exact, near = ({i: group for group in groups for i in group} for groups in (found.exact, found.groups))
    for row, twin in leaked.items():
        ways = (
            ("the same", exact.get(row)),
            ("almost the same", near.get(row)),
            ("(in its question) the same", [twin]),
        )
        says, line = next((says, rows[i].line) for says, group in ways for i in group or () if i >= tested)
        message = f"This row says {says} as line {line} of your test file, so it will not be practised."
        yield problem(rows[row], "leak", message)
