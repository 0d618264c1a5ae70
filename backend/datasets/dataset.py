"""A dataset checked for one model: read, checked, fixed as accepted, checked again, and
split.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from backend.datasets.background import NO_PROGRESS, ProgressListener
from backend.datasets.check_dataset import check, without_errors
from backend.datasets.checks import duplicates
from backend.datasets.checks.answers import CHOICE
from backend.datasets.checks.dataset import FEW, FEWEST
from backend.datasets.checks.fix import (
    FIXABLE,
    Change,
    FixedDataset,
    apply,
    preview_fixes,
    unread,
)
from backend.datasets.checks.issues import GUESSES, ISSUE_TYPES, QUESTIONS
from backend.datasets.checks.language import usual_language
from backend.datasets.checks.report import Report, ValidationFile
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.info import DatasetInfo
from backend.datasets.split import FRACTION, NO_ROLES, Roles, Split, split, split_with
from backend.errors import BadInput
from backend.records.lengths import LengthLimits
from backend.records.rows import Dataset, Problem, Row
from backend.text.conversation import SYSTEM, content, last_answer, question
from backend.text.normalize import normalize
from backend.tokens.token_counts import TokenCounter


@dataclass(frozen=True, eq=False)
class CheckedDataset:
    """A dataset checked for one model. fix_previews: what each fix would change in its
    first few rows. Equal only to itself, so that what is computed from it can be stored
    beside it.
    """

    id: str
    info: DatasetInfo
    original: Dataset
    report: Report  # on the original rows
    fixed: FixedDataset
    fixed_report: Report  # after the accepted fixes
    fix_previews: dict[str, list[Change]]
    validation: ValidationFile | None = None

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def dataset(self) -> Dataset:
        """The rows after the accepted fixes."""
        return self.fixed.dataset

    @property
    def rows(self) -> list[Row]:
        """The fixed rows, then those of the validation file; a Split holds positions in
        this list.
        """
        return [*self.dataset.rows, *(self.validation.rows if self.validation else ())]

    @cached_property
    def split(self) -> Split:
        """The split with the default fraction and seed."""
        return self.split_at(FRACTION, 0)

    def split_at(self, fraction: float, seed: int, roles: Roles = NO_ROLES) -> Split:
        """Training and validation rows; a validation file makes fraction and seed void.
        roles: of positions in `rows`.
        """
        if self.validation is not None:
            return split_with(
                self.dataset.rows, self.validation.rows, self._together, roles
            )
        return split(self.dataset.rows, fraction, seed, self._together, roles)

    def pieces(self, positions: Sequence[int]) -> int:
        """How many rows the trainer gets for these positions: more where documents
        become windows.
        """
        count, rows = len(self.dataset.rows), self.rows
        sides = [(self.fixed_report.tokens, [i for i in positions if i < count])]
        if self.validation:
            sides.append(
                (self.validation.report.tokens, [i for i in positions if i >= count])
            )
        return sum(
            tokens.pieces_of([rows[i] for i in side]) if tokens else len(side)
            for tokens, side in sides
        )

    @cached_property
    def _together(self) -> list[list[int]]:
        groups = self.fixed_report.together  # which takes seconds with a large file
        return duplicates.find(self.rows).together if groups is None else groups

    @property
    def longest(self) -> int:
        """Tokens in the longest row, uncut, in training or validation; 0 while no model
        is chosen.
        """
        return max((tokens.longest for tokens in self._tokens), default=0)

    @property
    def documents(self) -> bool:
        """Whether some rows are plain texts that become windows."""
        return any(tokens.documents for tokens in self._tokens)

    @property
    def _tokens(self) -> list[TokenTotals]:
        reports = [
            self.fixed_report,
            *([self.validation.report] if self.validation else []),
        ]
        return [report.tokens for report in reports if report.tokens]

    @property
    def summary(self) -> str:
        """Sentences about repeated examples (when most are), long documents, and the
        split.
        """
        report = self.fixed_report
        repeats = report.duplicates.sentence if report.duplicates.mostly else ""
        return " ".join(
            filter(
                None,
                [
                    repeats,
                    report.tokens.sentence if report.tokens else "",
                    self.split.sentence,
                ],
            )
        )

    @cached_property
    def language(self) -> str | None:
        """The language of most answers (ISO 639-1); None where it is not clear."""
        return usual_language(self.dataset.rows)

    @cached_property
    def instructions(self) -> Counter[str]:
        """How many conversations start with each instruction (system message), "" for
        none.
        """
        first = (row.messages[0] for row in self.dataset.rows if row.messages)
        return Counter(
            content(message) if message["role"] in SYSTEM else "" for message in first
        )

    @cached_property
    def unread(self) -> list[Problem]:
        """Errors of rows that could not be read, and so can only be removed."""
        return unread(self.original)

    @cached_property
    def unreadable(self) -> frozenset[str]:
        """The kinds of problems whose rows can only be removed."""
        return frozenset(problem.kind for problem in self.unread)

    @cached_property
    def unusable(self) -> frozenset[int]:
        """The numbers of the unreadable rows that the person has not yet agreed to
        remove.
        """
        return frozenset(
            problem.row for problem in self.unread if not self.info.is_accepted(problem)
        )

    @cached_property
    def now(self) -> dict[int, Row]:
        """The rows after the accepted fixes, by their numbers."""
        return {row.row: row for row in self.dataset.rows}

    @cached_property
    def changes(self) -> dict[str, list[Change]]:
        """What the accepted fixes changed, by their kinds."""
        changes: dict[str, list[Change]] = {}
        for change in self.fixed.changes:
            changes.setdefault(change.kind, []).append(change)
        return changes

    @cached_property
    def dropped(self) -> dict[int, Change]:
        """The last change of each row that the person agreed to remove."""
        return {
            c.row: c
            for c in self.fixed.changes
            if c.row not in self.now and c.row not in self.unusable
        }

    @cached_property
    def problems(self) -> list[Problem]:
        """All problems to list: of unchanged rows, of originals that were fixed, and
        new ones that a fix revealed.
        """
        reported = {(p.row, p.kind) for p in self.report.problems}
        types = [
            (c, ISSUE_TYPES[c.kind])
            for c in self.fixed.changes
            if c.kind in ISSUE_TYPES
        ]
        fixed = [
            Problem(c.line, c.row, c.kind, t.severity, t.title, t.fix, file=c.file)
            for c, t in types
        ]
        uncovered = [
            p
            for p in [*self.fixed_report.problems, *fixed]
            if p.row and (p.row, p.kind) not in reported
        ]
        if not self.fixed.changes:
            return [*self.report.problems, *uncovered]
        counted = [
            p for p in self.fixed_report.problems if not p.row
        ]  # they count the rows that are left
        read = [p for p in self.report.problems if p.row or p in self.original.problems]
        return [*counted, *read, *uncovered]

    @cached_property
    def contradicting(self) -> dict[int, list[list[Row]]]:
        """Of each row whose question has other answers too: all rows with it, by
        answer, the most frequent first.
        """
        numbers = {problem.row for problem in self.problems if problem.kind == CHOICE}
        asked: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in self.original.rows:
            if row.row in numbers:
                asked[normalize(question(row))][normalize(last_answer(row))].append(row)
        given = [
            sorted(answers.values(), key=len, reverse=True)
            for answers in asked.values()
        ]
        return {row.row: groups for groups in given for same in groups for row in same}

    @cached_property
    def waiting(self) -> list[Problem]:
        """What the person has not decided yet, one for each row and kind: guesses about
        the file, then errors, then warnings that have a fix.
        """
        undecided = {
            (p.kind, p.row): p for p in reversed(self.problems) if self._waits(p)
        }
        kinds = list(dict.fromkeys(problem.kind for problem in self.problems))

        def rank(problem: Problem) -> tuple[bool, bool, bool, int, int]:
            kind, error = problem.kind, problem.severity == "error"
            return (
                kind not in GUESSES,
                kind not in self.unreadable,
                not error,
                kinds.index(kind),
                problem.row,
            )

        return sorted(undecided.values(), key=rank)

    def _waits(self, problem: Problem) -> bool:
        if problem.kind in GUESSES:
            return not self.info.is_refused(problem)
        unread = problem.kind in self.unreadable
        fixable = problem.kind in FIXABLE and problem.row and problem.severity != "note"
        if self.info.is_accepted(problem) or not (unread or fixable):
            return False
        refused = self.info.is_refused(problem) and problem.severity != "error"
        return not refused and (unread or problem.row not in self.dropped)

    @property
    def too_few(self) -> str:
        """A sentence when so few of the fixed rows differ that a model may learn
        nothing, "" otherwise.
        """
        found = (
            p.message
            for p in self.fixed_report.problems
            if p.kind == "too_few" and self._different < FEW
        )
        return next(found, "")

    @property
    def _different(self) -> int:
        """How many different examples are left, or how many pieces of documents."""
        report = self.fixed_report
        pieces = (
            report.tokens.pieces if report.tokens and report.tokens.documents else 0
        )
        return pieces or report.duplicates.distinct

    @property
    def questions(self) -> list[Problem]:
        """How the file was read where that is a guess, which the user has not
        confirmed.
        """
        return [
            p
            for p in self.report.problems
            if p.kind in QUESTIONS and not self.info.is_refused(p)
        ]

    @cached_property
    def blocked(self) -> str:
        """Why training can't start: the first open question or error, as a sentence; ""
        without one.
        """
        if self.questions:
            return f"First say whether this is right: {self.questions[0].message}"
        left = [p for p in self.unread if not self.info.is_accepted(p)]
        errors = left + [p for p in self.fixed_report.problems if p.severity == "error"]
        if errors:
            place = (
                f"Example {errors[0].row} ({errors[0].place}): "
                if errors[0].row
                else ""
            )
            return place + errors[0].message
        if not self.split.train:
            return "There are no examples to train on."
        return (
            f"{self.too_few} A model can't learn anything from that: add more."
            if self._different < FEWEST
            else ""
        )


def check_and_fix(
    data_id: str,
    info: DatasetInfo,
    original: Dataset,
    counter: TokenCounter | None,
    lengths: LengthLimits,
    validation: Dataset | None = None,
    languages: tuple[str, ...] = (),
    listener: ProgressListener = NO_PROGRESS,
) -> CheckedDataset:
    """Checks the rows, applies the fixes that `info` accepts, and checks the result.
    Raises BadSetting for a kind without a fix, Cancelled.

    counter: of the chosen model; None skips the checks of tokens
    validation: the user's file; its rows with an error are removed
    languages: ISO 639-1 codes of the model's; () skips that check
    """

    def checked(
        dataset: Dataset, phase: str, against: ValidationFile | None = None
    ) -> Report:
        return check(
            dataset,
            counter=counter,
            lengths=lengths,
            model_languages=languages,
            validation=against,
            progress=listener.start_phase(phase),
            cancelled=listener.cancelled,
        )

    validation_file = None
    if validation is not None:
        report = checked(validation, "Checking the validation file")
        validation_file = ValidationFile(
            without_errors(validation.rows, report.problems), report
        )
    report = checked(original, "Checking every example", validation_file)
    fixed = apply(
        original, report, info.rows_to_fix(original), counter=counter, lengths=lengths
    )
    after = (
        checked(fixed.dataset, "Checking the fixed examples", validation_file)
        if fixed.changes
        else report
    )
    open_problems = [
        p for p in report.problems if not (info.is_accepted(p) or info.is_refused(p))
    ]
    previews = preview_fixes(original, fixed.dataset, open_problems, counter)
    return CheckedDataset(
        data_id, info, original, report, fixed, after, previews, validation_file
    )


def require_compatible(validation: Dataset, training: Dataset) -> None:
    """Raises BadInput when `validation` can't check a model trained on `training`."""
    if not training.rows:
        return
    if not validation.rows:
        first = next(
            (p.message for p in validation.problems if p.row), "It has no examples."
        )
        raise BadInput(
            "No example in this validation file can be used.",
            first,
            "Fix the file, or choose another.",
        )
    readings = [
        (each.source.shape, each.source.mapping, each.source.details.imitate)
        for each in (validation, training)
    ]
    guess = next((p for p in validation.problems if p.kind == "mapping_guessed"), None)
    if guess and readings[0] != readings[1]:  # nobody is asked about it
        raise BadInput(
            f"{validation.source.name} can't be used as the validation file.",
            guess.message,
            "Choose a file like your examples, with the same columns or people, or none.",
        )
    ours, theirs = (
        "documents" if d.rows[0].text is not None else "conversations"
        for d in (training, validation)
    )
    if ours != theirs:
        raise BadInput(
            f"This validation file contains {theirs}, but your examples are {ours}.",
            "A model can only be checked on the kind of data that it was trained on.",
            f"Add a validation file with {ours}, or none.",
        )
