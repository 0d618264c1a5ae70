"""Records about datasets: importing, checking, previewing and editing them."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from backend.datasets.checks.fix import FIXABLE, Change
from backend.datasets.checks.issues import GUESSES
from backend.datasets.checks.report import DuplicateRows, Report
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.documents.passages import Passage
from backend.datasets.info import DatasetInfo, RowsByKind
from backend.drafts.draft import Draft
from backend.drafts.templates import Column
from backend.records.encoded import Piece
from backend.records.rows import Dataset, Message, Problem, Row, Source


@dataclass(frozen=True)
class Sample:
    """A dataset that comes with the app, and a file of held-out questions for it."""

    name: str
    title: str
    description: str
    path: Path
    held_out: Path


@dataclass(frozen=True)
class DatasetProgress:
    """An import or a check in progress, or a failed import. fraction: progress of the phase, 0 to 1. first_rows: as
    soon as they are read. error: why the import failed."""

    name: str
    phase: str
    fraction: float
    first_rows: Dataset | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class DatasetState:
    """A dataset with the accepted fixes applied.

    original: as imported. problems: those of the file, and those that a fix revealed. rows: after the accepted fixes.
    split_summary: sentences on how many rows train and how many validate. blocked: why training can't start, "" when
    it can. too_few: a sentence when too few examples differ, "" otherwise. errors: rows with an error that is not
    fixed yet. duplicates: after the accepted fixes. fix_previews: what each fix would change in the first rows.
    changes: what the accepted fixes changed. dropped: the last change of each row that the person agreed to remove.
    examples: up to three rows as the model will see them.
    """

    name: str
    original: Dataset
    report: Report
    problems: list[Problem]
    rows: int
    info: DatasetInfo
    split_summary: str
    blocked: str
    too_few: str = ""
    errors: int = 0
    duplicates: DuplicateRows = field(default_factory=DuplicateRows)
    unreadable: frozenset[str] = frozenset()  # kinds of problems whose rows can only be removed
    validation_name: str = ""  # the name of the person's own validation file
    fix_previews: dict[str, list[Change]] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    changed: int = 0  # rows
    dropped: dict[int, Change] = field(default_factory=dict)
    examples: tuple[Row, ...] = ()
    now: dict[int, Row] = field(default_factory=dict)  # after the accepted fixes, by their numbers
    unusable: int = 0  # unreadable rows that the person has not yet agreed to remove
    tokens: TokenTotals | None = None  # after the accepted fixes

    @property
    def source(self) -> Source:
        return self.original.source

    @property
    def accepted(self) -> RowsByKind:
        return self.info.accepted

    @cached_property
    def waiting(self) -> list[Problem]:
        """What the person has not decided yet, one for each row and kind: guesses about the file, then errors, then
        warnings that have a fix."""
        found = {(p.kind, p.row): p for p in reversed(self.problems) if self._waits(p)}
        kinds = list(dict.fromkeys(problem.kind for problem in self.problems))

        def rank(problem: Problem) -> tuple[bool, bool, bool, int, int]:
            kind, error = problem.kind, problem.severity == "error"
            return kind not in GUESSES, kind not in self.unreadable, not error, kinds.index(kind), problem.row

        return sorted(found.values(), key=rank)

    def _waits(self, problem: Problem) -> bool:
        if problem.kind in GUESSES:
            return not self.info.is_refused(problem)
        unread = problem.kind in self.unreadable
        if self.info.is_accepted(problem) or not (unread or (problem.kind in FIXABLE and problem.row)):
            return False
        refused = self.info.is_refused(problem) and problem.severity != "error"
        return not refused and (unread or problem.row not in self.dropped)


@dataclass(frozen=True)
class Material:
    """What examples are made from. drafts: those without a model. columns: of tables. passages: by their numbers.
    topic: "" for a text. lost: why a file that was added can't be read any more."""

    drafts: list[Draft]
    columns: list[Column] = field(default_factory=list)
    passages: dict[int, Passage] = field(default_factory=dict)
    topic: str = ""
    lost: Exception | None = None


@dataclass(frozen=True)
class Making:
    """Examples being made: what to decide next, and how far one is. draft: to keep, change or drop, about `passage`.
    column: of a table, to be asked about first. kept: examples. waiting: drafts. covered: how many passages have
    examples. again: the passage with the fewest examples, 0 for none. last: what was decided last, "" if that can't be
    undone. models: the id and name of each that can draft. working: what a model does now, and how far it is, 0 to 1.
    failed: why it ended, or why a file can't be read any more."""

    draft: Draft | None
    passage: Passage | None
    column: Column | None
    kept: int
    waiting: int
    passages: int
    covered: int
    again: int
    last: str
    models: tuple[tuple[str, str], ...]
    working: tuple[str, float] | None
    failed: Exception | None


@dataclass(frozen=True)
class Preview:
    """One row: its conversation, and its tokens in pieces by their role in training. A long document has one piece
    for each window; `note` explains that, or a cut. file: the row's, where several were read together. made: how it
    was made of a text."""

    messages: list[Message]
    pieces: list[Piece]
    note: str = ""
    file: str = ""
    made: str = ""


@dataclass(frozen=True)
class ExampleField:
    """A text of an example that can be edited."""

    name: str
    label: str
    text: str


@dataclass(frozen=True)
class EditableExample:
    """An example to edit. row: its number, or the one that a new example will get."""

    row: int
    fields: tuple[ExampleField, ...]
    is_new: bool = False


@dataclass(frozen=True)
class Instruction:
    """The instruction (system message) that most conversations start with, "" if most have none.
    count: how many of the `total` conversations start with it. different: how many start with another one. default:
    what the model's chat template puts before a conversation without one."""

    text: str
    count: int
    different: int
    total: int
    default: str = ""


@dataclass(frozen=True)
class Correction:
    """A corrected answer as an example: of which dataset, its number. restored: the dataset had been deleted and was
    restored."""

    data_id: str
    data_name: str
    row: int
    restored: bool = False


@dataclass(frozen=True)
class DatasetFiles:
    """The fixed examples as a file, and the log of changes as another. changes: their number."""

    fixed: Path
    log: Path
    changes: int
