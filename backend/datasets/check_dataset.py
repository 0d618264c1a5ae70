"""Runs every check on every row and reports the problems, the duplicates and the split."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from backend.datasets.checks import answers as answer_checks
from backend.datasets.checks import content as content_checks
from backend.datasets.checks import dataset as dataset_checks
from backend.datasets.checks import duplicates
from backend.datasets.checks import structure as structure_checks
from backend.datasets.checks import tokens as token_checks
from backend.datasets.checks.duplicates import Duplicates
from backend.datasets.checks.issues import issue_title, numbered, problem
from backend.datasets.checks.personal_data import PERSONAL
from backend.datasets.checks.report import (
    DuplicateRows,
    Report,
    SplitRows,
    ValidationFile,
)
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.split import Split, split, split_with
from backend.gc_pause import without_gc
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.reading import Cancelled
from backend.records.rows import Dataset, Problem, Row
from backend.text.normalize import Groups
from backend.tokens.token_counts import TokenCounter

_SLICE = 512  # rows checked between two looks at `cancelled`
_COUNTED = (
    2048  # rows tokenized at a time; with fewer, each waits for the checks too often
)
_FEW, _PART = 5, 0.02  # examples; more of the file are no accidents
_MANY_PERSONAL = "An office's may stay; replace those of people, which a model can repeat to anybody."


@without_gc()
def check(
    dataset: Dataset,
    *,
    counter: TokenCounter | None = None,
    lengths: LengthLimits = UNLIMITED,
    model_languages: tuple[str, ...] | None = None,
    validation: ValidationFile | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Report:
    """Checks every row. Raises Cancelled once `cancelled` returns True.

    counter: of the chosen model; without it the token checks are skipped
    model_languages: ISO 639-1 codes; None skips that check
    progress: receives the fraction done, 0 to 1"""

    def tick(fraction: float) -> None:
        if cancelled():
            raise Cancelled
        progress(fraction)

    rows = dataset.rows
    problems = list(dataset.problems)
    control_markers = counter.control_markers if counter else ()
    totals = TokenTotals(lengths) if counter else None
    beside = ThreadPoolExecutor(1)  # tokenizing leaves Python free for the other checks
    try:
        batches = [rows[at : at + _COUNTED] for at in range(0, len(rows), _COUNTED)]
        counted = (
            [beside.submit(counter.count, batch) for batch in batches]
            if counter
            else []
        )
        problems += row_problems(
            rows, control_markers, lambda done: tick(0.3 * done / len(rows))
        )
        problems += answer_checks.find(rows)
        good = without_errors(rows, problems)
        tick(0.4)
        compared = _compared(good, model_languages, validation)
        for done, batch_count in enumerate(counted):
            batch_count.exception()  # waits: a row that can't be counted is not good, or fails again below
            tick(0.5 + 0.4 * done / len(counted))
    finally:
        beside.shutdown(cancel_futures=True)
    if counter and totals is not None:
        problems += token_checks.find(good, counter, totals)
        if len(fitting := without_errors(good, problems)) < len(good):
            good, compared = fitting, _compared(fitting, model_languages, validation)
    parts, pieces = compared.split, totals.pieces if totals and totals.documents else 0
    problems += dataset_checks.size(len(good), compared.repeated.distinct, pieces)
    problems += compared.problems
    problems.sort(key=lambda p: (p.row > 0, p.file, p.line, p.row))
    tick(1.0)
    return Report(
        source=dataset.source,
        rows=dataset.total_rows or len(rows),
        usable=len(good),
        problems=problems,
        duplicates=compared.repeated,
        split=SplitRows(
            len(parts.train),
            parts.set_aside,
            len(parts.leaked),
            parts.sentence,
            len(parts.judging),
        ),
        tokens=totals,
        validation=validation.report if validation else None,
        together=compared.together if len(good) == len(rows) else None,
    )


def row_problems(
    rows: Sequence[Row],
    control_markers: Iterable[str] = (),
    tick: Callable[[int], None] = lambda done: None,
) -> Iterator[Problem]:
    """Problems in the turns and the texts of each row. control_markers: the model's;
    tick: receives the rows done.
    """
    faults = content_checks.text_faults(control_markers)
    least, in_texts = {each.kind: each.at_least for each in faults}, list[Problem]()
    for start in range(0, len(rows), _SLICE):
        tick(start)
        part = rows[start : start + _SLICE]
        yield from structure_checks.find(part)
        in_texts += content_checks.find(part, faults)
    of_kind: dict[str, list[Problem]] = defaultdict(list)
    for each in in_texts:
        of_kind[each.kind].append(each)
    for kind, listed in of_kind.items():
        if kind in PERSONAL and len(listed) > max(_FEW, _PART * len(rows)):
            where = (
                f"in {len(listed):,} examples ({numbered([one.row for one in listed])})"
            )
            yield problem(
                None,
                kind,
                f"{issue_title(kind)}: {where}. {_MANY_PERSONAL}",
                listed[0].quote,
                "warning",
            )
        elif len(listed) >= least[kind]:
            yield from listed
    yield from dataset_checks.system_messages(rows)


def without_errors(rows: Sequence[Row], problems: Iterable[Problem]) -> list[Row]:
    """The rows without an error."""
    bad = {p.row for p in problems if p.severity == "error"}
    return [row for row in rows if row.row not in bad]


@dataclass(frozen=True, slots=True)
class _Compared:
    """What is found by comparing the usable rows with each other. problems: of single
    rows, and of the whole file.
    """

    problems: list[Problem]
    repeated: DuplicateRows
    split: Split
    together: Groups


def _compared(
    rows: list[Row], languages: Sequence[str] | None, validation: ValidationFile | None
) -> _Compared:
    repeated = duplicates.find(rows)
    exact, copies = (
        sum(len(group) - 1 for group in groups)
        for groups in (repeated.exact, repeated.copies)
    )
    numbers = [[rows[i].row for i in group] for group in repeated.copies]
    counts = DuplicateRows(exact, copies - exact, len(rows) - copies, numbers)
    problems = list(dataset_checks.find(rows, languages))
    if counts.mostly:
        problems.append(problem(None, "mostly_repeats", counts.sentence))
    problems += duplicates.problems(rows, repeated)
    parts, together, leaks = _split(rows, repeated, validation)
    return _Compared([*problems, *leaks], counts, parts, together)


def _split(
    rows: list[Row], repeated: Duplicates, validation: ValidationFile | None
) -> tuple[Split, Groups, list[Problem]]:
    if validation is None:
        return split(rows, together=repeated.together), repeated.together, []
    everything = [*rows, *validation.rows]
    groups = duplicates.find(everything)
    parts = split_with(rows, validation.rows, groups.together)
    problems = list(_leaks(everything, groups, parts.leaked, len(rows)))
    report = validation.report
    if lines := sorted({p.line for p in report.problems if p.severity == "error"}):
        message = f"{len(lines):,} of the {report.rows:,} examples in your validation file can't be used"
        problems.insert(
            0,
            problem(None, "test_rows_left_out", f"{message}: lines {numbered(lines)}."),
        )
    return parts, groups.together, problems


def _leaks(
    rows: Sequence[Row], duplicates: Duplicates, leaked: Mapping[int, int], first: int
) -> Iterator[Problem]:
    """first: the position in `rows` where the validation file starts."""
    exact, near = (
        {i: group for group in groups for i in group}
        for groups in (duplicates.exact, duplicates.groups)
    )
    for row, twin in leaked.items():
        alike = (
            ("is the same as", exact.get(row)),
            ("is almost the same as", near.get(row)),
        )
        ways = (*alike, ("asks the same question as", [twin]))
        what, same = next(
            (what, rows[i]) for what, group in ways for i in group or () if i >= first
        )
        where = f"example {same.row} ({same.place}) of your validation file"
        message = f"This example {what} {where}, so it will be excluded from training."
        yield problem(rows[row], "leak", message)
