"""What a person brought as it stands for one model: read, checked, fixed as accepted, checked again, and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from backend.data import duplicates
from backend.data.check import check, without_errors
from backend.data.fix import FIXABLE, Fixed, apply
from backend.data.measure import Measurer
from backend.data.report import Report, TestFile
from backend.data.rows import DataSet, Problem, Row
from backend.data.split import FRACTION, Split, split, split_with
from backend.data.windows import Lengths
from backend.errors import BadInput

Accepted = dict[str, Literal["all"] | list[int]]  # kind of problem -> for all rows, or for these


@dataclass(frozen=True)
class Brought:
    """A data set for one model. test: the file to test with, if the person brought one."""

    id: str
    name: str
    original: DataSet
    report: Report  # of the file as it came
    fixed: Fixed
    fixed_report: Report  # after the accepted fixes
    accepted: Accepted
    test: TestFile | None = None

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
    def said(self) -> str:
        """In sentences: whether there are only few different examples, what becomes of long ones, and the split."""
        report = self.fixed_report
        repeats = report.duplicates.sentence if report.duplicates.mostly else ""
        return " ".join(filter(None, [repeats, report.tokens.sentence if report.tokens else "", self.split.sentence]))

    @property
    def unread(self) -> list[Problem]:
        """The faults of rows that could not be read, and so can only be left out."""
        return unread(self.original)

    @property
    def blocked(self) -> str:
        """Why training can't begin: the first row that is wrong, as a sentence; "" when nothing is."""
        left = [p for p in self.unread if p.kind not in self.accepted]
        errors = left + [p for p in self.fixed_report.problems if p.severity == "error"]
        if errors:
            place = f"Row {errors[0].row} (line {errors[0].line}): " if errors[0].row else ""
            return place + errors[0].message
        return "" if self.split.train else "There are no examples to practise on."


def examine(
    data_id: str,
    name: str,
    original: DataSet,
    measurer: Measurer | None,
    lengths: Lengths,
    accepted: Accepted,
    validation: DataSet | None = None,
) -> Brought:
    """Checks, fixes as accepted, and checks what came out. validation: the test file that the person brought; its
    rows are checked too, and those with an error are left out. Raises BadSetting for a kind without a fix."""
    for_model: dict[str, Any] = {"measurer": measurer, "lengths": lengths}
    test = None
    if validation is not None:
        of_test = check(validation, **for_model)
        test = TestFile(without_errors(validation.rows, of_test.problems), of_test)
    report = check(original, **for_model, validation=test)
    mends = {kind: rows_of(rows) for kind, rows in accepted.items() if kind in FIXABLE}
    fixed = apply(original, report, mends, **for_model)
    after = check(fixed.dataset, **for_model, validation=test) if fixed.changes else report
    return Brought(data_id, name, original, report, fixed, after, accepted, test)


def must_fit(test: DataSet, practice: DataSet) -> None:
    """Raises BadInput when `test` can't be what a training on `practice` is tested with."""
    if not practice.rows:
        return
    if not test.rows:
        first = next((p.message for p in test.problems if p.row), "It holds no rows.")
        raise BadInput("No row of this test file can be used.", first, "Mend the file, or choose another.")
    one, other = (("documents" if data.rows[0].text is not None else "conversations") for data in (test, practice))
    if one != other:
        raise BadInput(
            f"This test file holds {one}, and the examples are {other}.",
            "What a model learned can only be tested with what looks alike.",
            "Bring a test file of the same kind.",
        )


def unread(dataset: DataSet) -> list[Problem]:
    """The faults of the rows of a file that could not be read."""
    there = {row.row for row in dataset.rows}
    return [p for p in dataset.problems if p.severity == "error" and p.row and p.row not in there]


def rows_of(rows: Literal["all"] | list[int]) -> Literal["all"] | set[int]:
    """Row numbers as `fix.apply` takes them."""
    return "all" if rows == "all" else set(rows)
