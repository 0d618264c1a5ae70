"""What a person brought as it stands for one model: read, checked, fixed as accepted, checked again, and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from backend.datasets.background import NOBODY, Watch
from backend.datasets.check_dataset import check, without_errors
from backend.datasets.checks import duplicates
from backend.datasets.checks.fix import FIXABLE, Change, Fixed, apply, trials
from backend.datasets.checks.issues import KINDS
from backend.datasets.checks.report import Report, TestFile
from backend.datasets.checks.tokens import Tokens
from backend.datasets.split import FRACTION, Split, split, split_with
from backend.datasets.token_counts import Measurer
from backend.errors import BadInput
from backend.records.lengths import Lengths
from backend.records.rows import DataSet, Problem, Row

Chosen = Literal["all"] | list[int]  # all rows, or these
Accepted = dict[str, Chosen]  # kind of problem -> the rows it is said of


@dataclass(frozen=True)
class About:
    """What is known of a data set beside its rows, as about.json keeps it. how: what the person said about reading
    it, as fields of ReadOptions. refused: rows to leave as they are. validation: the name of the test file and where
    it lies, if one was brought."""

    name: str
    how: dict[str, Any] = field(default_factory=dict)
    accepted: Accepted = field(default_factory=dict)
    refused: Accepted = field(default_factory=dict)
    validation: dict[str, str] = field(default_factory=dict)

    def covers(self, problem: Problem) -> bool:
        """Whether the fix of this problem is accepted."""
        accepted, refused = (chosen.get(problem.kind, []) for chosen in (self.accepted, self.refused))
        if accepted == "all":
            return refused != "all" and problem.row not in refused
        return problem.row in accepted  # single rows that were accepted after all were refused are not left

    def leaves(self, problem: Problem) -> bool:
        """Whether the person wants it left as it is."""
        refused = self.refused.get(problem.kind, [])
        return (refused == "all" or problem.row in refused) and not self.covers(problem)


@dataclass(frozen=True)
class CheckedDataset:
    """A data set for one model. test: the file to test with, if the person brought one. trials: what each fix would
    change in the first rows that it is for."""

    id: str
    about: About
    original: DataSet
    report: Report  # of the file as it came
    fixed: Fixed
    fixed_report: Report  # after the accepted fixes
    trials: dict[str, list[Change]]
    test: TestFile | None = None

    @property
    def name(self) -> str:
        return self.about.name

    @property
    def dataset(self) -> DataSet:
        """The rows after the accepted fixes."""
        return self.fixed.dataset

    @property
    def rows(self) -> list[Row]:
        """The rows after the accepted fixes, then those of the test file: what the positions of a split count."""
        return [*self.dataset.rows, *(self.test.rows if self.test else ())]

    @cached_property
    def split(self) -> Split:
        """The split by the usual share and seed."""
        return self.parts(FRACTION, 0)

    def parts(self, fraction: float, seed: int) -> Split:
        """The rows for practice and for the test. With a test file of their own, fraction and seed say nothing."""
        if self.test is not None:
            return split_with(self.dataset.rows, self.test.rows, self._together)
        return split(self.dataset.rows, fraction, seed, self._together)

    def pieces(self, positions: Sequence[int]) -> int:
        """Rows that the trainer gets for these positions: more than they are where documents become windows."""
        sides = [(self.fixed_report.tokens, [i for i in positions if i < len(self.dataset.rows)])]
        if self.test:
            sides.append((self.test.report.tokens, [i for i in positions if i >= len(self.dataset.rows)]))
        rows = self.rows
        return sum(tokens.pieces_of([rows[i] for i in side]) if tokens else len(side) for tokens, side in sides)

    @cached_property
    def _together(self) -> list[list[int]]:
        return duplicates.find(self.rows).together

    @property
    def longest(self) -> int:
        """Tokens in the longest row, uncut, on either side; 0 while no model is known."""
        return max((tokens.longest for tokens in self._tokens), default=0)

    @property
    def documents(self) -> bool:
        """Whether there are plain texts that are taken as windows."""
        return any(tokens.documents for tokens in self._tokens)

    @property
    def _tokens(self) -> list[Tokens]:
        reports = [self.fixed_report, *([self.test.report] if self.test else [])]
        return [report.tokens for report in reports if report.tokens]

    @property
    def said(self) -> str:
        """In sentences: whether there are only few different examples, what becomes of long ones, and the split."""
        report = self.fixed_report
        repeats = report.duplicates.sentence if report.duplicates.mostly else ""
        return " ".join(filter(None, [repeats, report.tokens.sentence if report.tokens else "", self.split.sentence]))

    @property
    def unread(self) -> list[Problem]:
        """The faults of rows that could not be read, and so can only be left out."""
        return unread(self.original)

    @cached_property
    def problems(self) -> list[Problem]:
        """What is wrong with the file as it came, then what a mend laid bare in a row, mended since or not."""
        known = {(p.row, p.kind) for p in self.report.problems}
        mended = [
            Problem(c.line, c.row, c.kind, KINDS[c.kind].severity, KINDS[c.kind].title, KINDS[c.kind].fix)
            for c in self.fixed.changes
            if c.kind in KINDS
        ]
        bare = [p for p in [*self.fixed_report.problems, *mended] if p.row and (p.row, p.kind) not in known]
        return [*self.report.problems, *bare]

    @property
    def blocked(self) -> str:
        """Why training can't begin: the first row that is wrong, as a sentence; "" when nothing is."""
        left = [p for p in self.unread if not self.about.covers(p)]
        errors = left + [p for p in self.fixed_report.problems if p.severity == "error"]
        if errors:
            place = f"Row {errors[0].row} (line {errors[0].line}): " if errors[0].row else ""
            return place + errors[0].message
        return "" if self.split.train else "There are no examples to practise on."


def examine(
    data_id: str,
    about: About,
    original: DataSet,
    measurer: Measurer | None,
    lengths: Lengths,
    validation: DataSet | None = None,
    watch: Watch = NOBODY,
    languages: tuple[str, ...] = (),
) -> CheckedDataset:
    """Checks, fixes as accepted, and checks what came out. languages: ISO 639-1 codes of those that the model was
    made for; () says nothing about them. validation: the test file that the person brought; its
    rows are checked too, and those with an error are left out. Raises BadSetting for a kind without a fix."""
    for_model: dict[str, Any] = {"measurer": measurer, "lengths": lengths}

    def checked(dataset: DataSet, phase: str, test: TestFile | None = None) -> Report:
        told, stop = watch.entered(phase), watch.cancelled
        return check(dataset, **for_model, model_languages=languages, validation=test, progress=told, cancelled=stop)

    test = None
    if validation is not None:
        of_test = checked(validation, "Checking the test file")
        test = TestFile(without_errors(validation.rows, of_test.problems), of_test)
    report = checked(original, "Checking every row", test)
    mends = {
        kind: rows_of(rows, original, about.refused.get(kind, []))
        for kind, rows in about.accepted.items()
        if kind in FIXABLE
    }
    fixed = apply(original, report, mends, **for_model)
    after = checked(fixed.dataset, "Checking what was mended", test) if fixed.changes else report
    tried = trials(original, report.problems, measurer)
    return CheckedDataset(data_id, about, original, report, fixed, after, tried, test)


def must_fit(test: DataSet, training: DataSet) -> None:
    """Raises BadInput when `test` can't be what a training on `practice` is tested with."""
    if not training.rows:
        return
    if not test.rows:
        first = next((p.message for p in test.problems if p.row), "It holds no rows.")
        raise BadInput("No row of this test file can be used.", first, "Mend the file, or choose another.")
    one, other = (("documents" if data.rows[0].text is not None else "conversations") for data in (test, training))
    if one != other:
        raise BadInput(
            f"This test file holds {one}, and the examples are {other}.",
            "What a model learned can only be tested with what looks alike.",
            "Bring a test file of the same kind, or none.",
        )


def unread(dataset: DataSet) -> list[Problem]:
    """The faults of the rows of a file that could not be read."""
    there = {row.row for row in dataset.rows}
    return [p for p in dataset.problems if p.severity == "error" and p.row and p.row not in there]


def rows_of(rows: Chosen, dataset: DataSet, refused: Chosen) -> Literal["all"] | set[int]:
    """The numbers of the rows that were chosen and not refused, as `apply` takes them."""
    if rows == "all" and refused:
        return {row.row for row in dataset.rows}.difference(refused)
    return "all" if rows == "all" else set(rows)
