"""What the checks found, as one record: the page shows it, `check --json` prints it, the fixes act on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from backend.data.checks_tokens import Tokens
from backend.data.rows import Problem, Row, Source


@dataclass(frozen=True, slots=True)
class DuplicateRows:
    """exact: rows that repeat another; near: rows that almost do; distinct: rows left when one of each is kept.
    groups: row numbers that go together, for looking at."""

    exact: int = 0
    near: int = 0
    distinct: int = 0
    groups: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SplitRows:
    """How many rows are for practice and for the test, how many stood on both sides and so are on neither, and that
    in words."""

    train: int = 0
    validation: int = 0
    leaks: int = 0
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class TestFile:
    """A file that a person brought to test with: its usable rows, and the report on all of it."""

    __test__ = False  # no class of tests, whatever its name says to pytest

    rows: list[Row]
    report: Report


@dataclass(frozen=True, slots=True)
class Report:
    """rows: in the file. usable: without an error. problems: by row, those of the file as a whole (row 0) first.
    tokens: None when no model was chosen. validation: the report on the test file that the person brought."""

    source: Source
    rows: int
    usable: int
    problems: list[Problem]
    duplicates: DuplicateRows
    split: SplitRows
    tokens: Tokens | None = None
    validation: Report | None = None

    def counts(self) -> dict[str, int]:
        """How many problems there are of each kind, the most frequent first."""
        return dict(Counter(problem.kind for problem in self.problems).most_common())

    def error_rows(self) -> set[int]:
        """The numbers of the rows that are kept out of training."""
        return {problem.row for problem in self.problems if problem.severity == "error" and problem.row}

    def to_json(self) -> dict[str, Any]:
        """The report as `check --json` prints it. Token counts are null when no model was chosen."""
        tokens = self.tokens
        names = ("total", "learned", "longest", "truncated", "documents", "pieces")
        return {
            "name": self.source.name,
            "format": self.source.format,
            "shape": self.source.shape,
            "encoding": self.source.encoding,
            "mapping": self.source.mapping,
            "ignored": list(self.source.ignored),
            "rows": self.rows,
            "usable": self.usable,
            "problems": [asdict(problem) for problem in self.problems],
            "counts": self.counts(),
            "duplicates": asdict(self.duplicates),
            "split": asdict(self.split),
            "tokens": {name: getattr(tokens, name) if tokens else None for name in names},
            "validation": self.validation.to_json() if self.validation else None,
        }
