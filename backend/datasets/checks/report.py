"""The report of the checks: the page shows it, `check --json` prints it, the fixes use
it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from backend.datasets.checks.patterns import WORD_LISTS
from backend.datasets.checks.tokens import TokenTotals
from backend.records.rows import Problem, Row, Source, columns_of
from backend.text.excerpt import excerpt
from backend.text.normalize import Groups

FIELDS: dict[str, str] = WORD_LISTS[
    "fields"
]  # what a field is, where its name is a programmer's
_LISTED = 8  # lines of what is not used
_MIN_ROWS = 10  # with fewer, repetition is mentioned but not warned about


@dataclass(frozen=True, slots=True)
class DuplicateRows:
    """Counts of usable rows. exact: rows that repeat another; near: further rows that
    have the same words as another, in the same order; distinct: rows left when one of
    each group stays. groups: the row numbers of each group.
    """

    exact: int = 0
    near: int = 0
    distinct: int = 0
    groups: list[list[int]] = field(default_factory=list)

    @property
    def mostly(self) -> bool:
        """Whether at least half of ten or more rows are repetition."""
        again = self.exact + self.near
        return again >= self.distinct and again + self.distinct >= _MIN_ROWS

    @property
    def sentence(self) -> str:
        """How many rows differ from each other; "" when all do."""
        again, every = self.exact + self.near, self.exact + self.near + self.distinct
        if not again:
            return ""
        almost = ", or almost" if self.near else ""
        if self.distinct == 1:
            return f"All {every:,} usable examples are the same{almost}."
        if self.mostly:
            rest = f"the other {again:,} of the {every:,} usable examples"
            return f"There are only {self.distinct:,} different examples: {rest} repeat one of them{almost}."
        repeat = "1 repeats" if again == 1 else f"{again:,} repeat"
        return f"{self.distinct:,} of the {every:,} usable examples are different; {repeat} one of them{almost}."


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Counts of training rows, of rows set aside, and of rows excluded because they are
    in the validation file. judging: those of the rows set aside that judge the result.
    """

    train: int = 0
    validation: int = 0
    leaks: int = 0
    sentence: str = ""
    judging: int = 0


@dataclass(frozen=True, slots=True)
class ValidationFile:
    """A validation file: its usable rows, and the report on all its rows."""

    rows: list[Row]
    report: Report


@dataclass(frozen=True, slots=True)
class Report:
    """rows: in the file. usable: without an error. problems: by row, those of the file
    as a whole (row 0) first. tokens: None when no model is chosen. validation: the
    report on the validation file. together: the rows that stay on one side of a split,
    as positions in all rows and those of the validation file; None where some can't be
    used.
    """

    source: Source
    rows: int
    usable: int
    problems: list[Problem]
    duplicates: DuplicateRows
    split: SplitRows
    tokens: TokenTotals | None = None
    validation: Report | None = None
    together: Groups | None = None

    def counts(self, *, notes: bool = False) -> dict[str, int]:
        """The number of problems of each kind, most frequent first. notes: of what is
        only worth a look.
        """
        kinds = (
            problem.kind
            for problem in self.problems
            if (problem.severity == "note") == notes
        )
        return dict(Counter(kinds).most_common())

    def error_rows(self) -> set[int]:
        """The numbers of the rows with an error."""
        return {
            problem.row
            for problem in self.problems
            if problem.severity == "error" and problem.row
        }

    def to_json(self) -> dict[str, Any]:
        """The report as `check --json` prints it. Token counts are null without a
        model.
        """
        tokens = self.tokens
        names = ("total", "learned", "longest", "truncated", "documents", "pieces")
        return {
            **{
                name: getattr(self.source, name)
                for name in ("name", "format", "shape", "encoding", "mapping")
            },
            "ignored": list(self.source.ignored),
            "passed_over": [asdict(part) for part in self.source.passed],
            "understood": understood(self.source),
            "rows": self.rows,
            "usable": self.usable,
            "problems": [asdict(problem) for problem in self.problems],
            "counts": self.counts(),
            "notes": self.counts(notes=True),
            "duplicates": asdict(self.duplicates),
            "split": asdict(self.split),
            "tokens": {
                name: getattr(tokens, name) if tokens else None for name in names
            },
            "validation": self.validation.to_json() if self.validation else None,
            "summary": summary(self),
        }


def understood(source: Source) -> str:
    """How the file was read, in one line: what each example is, and what is in none."""
    if source.details.cue:
        each = f"question = {source.details.cue}"
    else:
        columns = [
            (FIELDS.get(field, field), excerpt(", ".join(columns), width=40))
            for field, own in source.mapping.items()
            if (columns := columns_of({field: own}))
        ]
        columns.sort(
            key=lambda pair: pair[0] == "answer"
        )  # after the question, in whatever order they stand
        each = ", ".join(
            name if name == column else f"{name} = {column!r}"
            for name, column in columns
        )
        also = (
            f"{FIELDS.get(name, name)} = {excerpt(str(column), width=40)!r}"
            for name, column in source.also[:_LISTED]
        )
        each += f" (in some rows {', '.join(also)})" if source.also else ""
        if columns and all(
            column.startswith("column ")
            for column in (*columns_of(source.mapping), *source.ignored)
        ):
            each += " (no column has a name, and the first row is an example, too)"
    if source.details.imitate:
        people = ", ".join(source.details.imitate)[:80].replace(
            "assistant", "the side that answers"
        )
        each = f"a conversation, in which the model learns to write like {people}"
    left = unused(source)
    return f"Each example: {each}" + (
        f"; not used: {', '.join(left)}." if left else "."
    )


def unused(source: Source) -> list[str]:
    """Columns, and other parts of the file with their lines, that are in no example."""
    unused = [repr(excerpt(column, width=40)) for column in source.ignored]
    for why, count in Counter(part.why for part in source.passed).items():
        lines = [
            f"{part.line:,}" for part in source.passed if part.why == why and part.line
        ][:_LISTED]
        where = (
            f" (line {', '.join(lines)}{' …' * (count > len(lines))})" if lines else ""
        )
        unused.append(f"{count:,} × {why}{where}")
    return unused


def summary(report: Report) -> list[str]:
    """The report in a few sentences, the most important first, for the page and the
    command line.
    """
    kinds = Counter(p.severity for p in report.problems)
    counts = " and ".join(
        f"{kinds[s]:,} {s}{'s' * (kinds[s] != 1)}"
        for s in ("error", "warning")
        if kinds[s]
    )
    noted, more = kinds["note"], " more" if counts else ""
    look = (
        f"1{more} is worth a look; it"
        if noted == 1
        else f"{noted:,}{more} are worth a look; they"
    )
    sentences = [
        report.duplicates.sentence if report.duplicates.mostly else "",
        f"{report.usable:,} of {report.rows:,} {'example' if report.rows == 1 else 'examples'} can be used.",
        f"{counts} found." if counts else "",
        f"{look} may be intentional." if noted else "",
        "" if report.duplicates.mostly else report.duplicates.sentence,
        report.tokens.sentence if report.tokens else "",
        report.split.sentence,
    ]
    return [sentence for sentence in sentences if sentence]
