"""Applying the fixes that the user accepted, for all rows with a problem or for some of
them.

Every change is listed and the source stays as it is: to undo a fix, apply again without
it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backend.datasets.checks import answers as answer_checks
from backend.datasets.checks import content as content_checks
from backend.datasets.checks import dataset as dataset_checks
from backend.datasets.checks import duplicates
from backend.datasets.checks import structure as structure_checks
from backend.datasets.checks import tokens as token_checks
from backend.datasets.checks.fixers import (
    Fixer,
    fixers_for,
    with_system,
    without_system,
)
from backend.datasets.checks.issues import ISSUE_TYPES
from backend.datasets.checks.personal_data import PERSONAL
from backend.datasets.checks.report import Report
from backend.datasets.checks.tokens import TokenTotals
from backend.errors import BadSetting, WorkspaceProblem
from backend.files.atomic import replace_file
from backend.records.lengths import UNLIMITED, LengthLimits
from backend.records.rows import Dataset, Problem, Row, place
from backend.text.conversation import content
from backend.tokens.token_counts import TokenCounter

Accepted = Mapping[str, "Literal['all'] | Set[int]"]  # kind -> "all", or row numbers

WHOLE_FILE_FIXES = {  # fixes that no problem of a single row asks for
    "add_system": "Add the most common instructions (system message) to every example without them.",
    "remove_system": "Remove the instructions (system message) from every example.",
}
_RETIRED = "very_short_answer"  # no check reports it any more; an example removed for it stays removed
SYSTEM_FIXES = ("system_inconsistent", *WHOLE_FILE_FIXES)  # they exclude each other
FIXABLE = (
    *(kind for kind, issue in ISSUE_TYPES.items() if issue.fix),
    *WHOLE_FILE_FIXES,
)
SAFE_FIXES = (  # every error, and warnings whose fix nobody would refuse
    *(
        kind
        for kind, issue in ISSUE_TYPES.items()
        if issue.fix and issue.severity == "error"
    ),
    *(
        "mojibake",
        "control_characters",
        "system_not_first",
        "same_role_twice",
        "duplicate",
    ),
)
# A fix can't look for these itself.
_FROM_REPORT = ("template_refuses", "nothing_to_learn", "answer_vanishes", "leak")
_PREVIEWED = 3  # rows whose changes are shown for each fix
_MAX_PASSES = 50  # one fix can uncover a problem for the next; a loop would be a bug


@dataclass(frozen=True, slots=True)
class Change:
    """A change to a row. before, after: the messages that differ, as "role: content"
    lines; after is "" for a dropped row.
    """

    row: int
    line: int
    kind: str
    what: str
    before: str
    after: str
    file: str = ""

    @property
    def place(self) -> str:
        return place(self.line, self.file)


@dataclass(frozen=True, slots=True)
class FixedDataset:
    """The fixed rows, and the changes in the order they were made."""

    dataset: Dataset
    changes: list[Change]

    @property
    def dropped(self) -> int:
        """Rows of the file that are removed."""
        return len(
            {c.row for c in self.changes} - {row.row for row in self.dataset.rows}
        )

    @property
    def changed(self) -> int:
        """Remaining rows that differ from the file."""
        return len(
            {c.row for c in self.changes} & {row.row for row in self.dataset.rows}
        )


def apply(
    dataset: Dataset,
    report: Report,
    accept: Accepted,
    *,
    counter: TokenCounter | None = None,
    lengths: LengthLimits = UNLIMITED,
) -> FixedDataset:
    """`dataset` with the accepted fixes. Pass the counter and the lengths that the
    report was made with. Raises BadSetting for a kind without a fix, and for fixes that
    exclude each other.
    """
    system = [kind for kind in SYSTEM_FIXES if kind in accept]
    if len(system) > 1:
        what = "The fixes for the instructions (system message) exclude each other."
        why = " and ".join(system)
        raise BadSetting(what, f"You chose {why}.", "Choose one of them.")
    if unknown := sorted(set(accept) - set(FIXABLE)):
        raise BadSetting(
            f"There is no fix for {unknown[0]!r}.",
            "",
            f"There are fixes for: {', '.join(FIXABLE)}.",
        )
    fixing = _Fixing(dataset, accept, counter, lengths)
    problems: Iterable[Problem] = report.problems
    for _ in range(_MAX_PASSES):
        if not fixing.run([*problems, *fixing.whole_file_problems()]):
            break
        problems = fixing.problems()
    return FixedDataset(
        replace(dataset, rows=fixing.rows, problems=[], total_rows=len(fixing.rows)),
        fixing.changes,
    )


def preview_fixes(
    data: Dataset,
    fixed_so_far: Dataset,
    found: Iterable[Problem],
    counter: TokenCounter | None,
) -> dict[str, list[Change]]:
    """The changes that each fix would make in its first rows, as the accepted fixes
    have left them.
    """
    wanted: dict[str, dict[int, None]] = {}
    for problem in found:
        fixable = problem.kind in FIXABLE and problem.kind != answer_checks.CHOICE
        if fixable and len(rows := wanted.setdefault(problem.kind, {})) < _PREVIEWED:
            rows[problem.row] = None
    numbers = {number for rows in wanted.values() for number in rows}
    by_number = {
        row.row: row
        for each in (data, fixed_so_far)
        for row in each.rows
        if row.row in numbers
    }
    fixers = _Fixing(data, {}, counter, UNLIMITED).fixers()
    previews: dict[str, list[Change]] = {kind: [] for kind in wanted}
    for kind, numbered in wanted.items():
        for row in (by_number[number] for number in numbered if number in by_number):
            fixed = fixers[kind](row) if kind in fixers else None
            if fixed != row:
                previews[kind].append(_change(row, fixed, kind))
    return previews


class _Fixing:
    """The rows between two passes, and the changes so far."""

    def __init__(
        self,
        data: Dataset,
        accept: Accepted,
        counter: TokenCounter | None,
        lengths: LengthLimits,
    ) -> None:
        self.rows = list(data.rows)
        self._accept, self._counter, self._lengths = accept, counter, lengths
        self._faults = content_checks.text_faults(
            counter.control_markers if counter else ()
        )
        self._fixed: set[int] = set()
        self._waiting: list[Problem] = []
        missing = "Removed because it could not be read."
        self.changes = [
            Change(p.row, p.line, p.kind, f"{missing} {p.message}", p.quote, "", p.file)
            for p in unread(data)
        ]

    def whole_file_problems(self) -> Iterator[Problem]:
        """A problem for each row that an accepted fix for the whole file changes, or
        that stays removed.
        """
        removed = self._accept.get(_RETIRED, ())
        for row in self.rows:
            if removed != "all" and row.row in removed:
                yield Problem(row.line, row.row, _RETIRED, "warning", "")
        for kind in self._accept.keys() & WHOLE_FILE_FIXES.keys():
            for row in self.rows:
                if row.messages and dataset_checks.has_system(row) == (
                    kind == "remove_system"
                ):
                    yield Problem(row.line, row.row, kind, "warning", "")

    def run(self, problems: Iterable[Problem]) -> bool:
        """Applies the accepted fixes of `problems`; False when nothing changed. A row
        that was fixed is not dropped in the same pass: the fix may have solved the
        other problem too.
        """
        by_row: dict[int, set[str]] = defaultdict(set)
        for problem in problems:
            rows = self._accept.get(problem.kind, ())
            # One note about many rows: it also stands for those that were accepted when
            # they were few.
            of_many = not problem.row and (problem.kind in PERSONAL or rows != "all")
            for number in [row.row for row in self.rows] if of_many else [problem.row]:
                if (rows == "all" and problem.kind != answer_checks.CHOICE) or (
                    rows != "all" and number in rows
                ):
                    by_row[number].add(problem.kind)
        if not by_row:
            return False
        fixers = self.fixers()
        before, self.rows, self._fixed, self._waiting = self.rows, [], set(), []
        for row in before:
            kinds = by_row.get(row.row, set())
            result = (
                self._fix_row(row, [k for k in FIXABLE if k in kinds], fixers)
                if kinds
                else row
            )
            if result is not None:
                self.rows.append(result)
        return bool(self._fixed) or len(self.rows) < len(before)

    def problems(self) -> Iterator[Problem]:
        """The remaining problems that the last pass can have changed."""
        fixed = [row for row in self.rows if row.row in self._fixed]
        yield from structure_checks.find(fixed)
        yield from content_checks.find(fixed, self._faults)
        yield from answer_checks.find(self.rows)
        yield from dataset_checks.system_messages(self.rows)
        if self._counter is None:
            yield from self._waiting
        else:
            yield from token_checks.find(
                fixed, self._counter, TokenTotals(self._lengths)
            )
        if "duplicate" in self._accept or "near_duplicate" in self._accept:
            yield from duplicates.problems(self.rows)

    def fixers(self) -> dict[str, Fixer]:
        """The fixers that change a row; every other fix drops it."""
        chats = [row for row in self.rows if row.messages]
        most_have = 2 * sum(map(dataset_checks.has_system, chats)) >= len(chats)
        usual = dataset_checks.usual_system(chats)
        fixers = fixers_for(self._faults, usual if most_have else None)
        return {
            **fixers,
            "add_system": with_system(usual),
            "remove_system": without_system,
        }

    def _fix_row(
        self, row: Row, kinds: list[str], fixers: Mapping[str, Fixer]
    ) -> Row | None:
        before = row
        for kind in kinds:
            if kind in fixers and (fixed := fixers[kind](row)) != row:
                self.changes.append(_change(row, fixed, kind))
                row = fixed
        dropping = [kind for kind in kinds if kind not in fixers]
        if row is not before:
            self._fixed.add(row.row)
            self._waiting += [
                Problem(row.line, row.row, k, "error", "")
                for k in dropping
                if k in _FROM_REPORT
            ]
            return row
        if dropping:
            self.changes.append(_change(row, None, dropping[0]))
            return None
        return row


def unread(dataset: Dataset) -> list[Problem]:
    """Errors of rows that could not be read, and so are missing from the start."""
    present = {row.row for row in dataset.rows}
    return [
        p
        for p in dataset.problems
        if p.severity == "error" and p.row and p.row not in present
    ]


def _change(row: Row, fixed: Row | None, kind: str) -> Change:
    before, after = _lines(row), _lines(fixed) if fixed else []
    what = ISSUE_TYPES[kind].fix if kind in ISSUE_TYPES else WHOLE_FILE_FIXES[kind]
    if sorted(before) != sorted(after):  # else only the order changed
        before, after = (
            [line for line in before if line not in after],
            [line for line in after if line not in before],
        )
    return Change(
        row.row, row.line, kind, what, "\n".join(before), "\n".join(after), row.file
    )


def _lines(row: Row) -> list[str]:
    lines = [f"{m['role']}: {content(m)}" for m in row.messages]
    lines += [f"rejected: {content(m)}" for m in row.rejected or ()]
    return lines if row.text is None else [*lines, row.text]


def write_fixed(fixed: FixedDataset, path: Path) -> Path:
    """Writes the rows to `path` as JSON Lines, and next to it the change log, whose
    path it returns. Raises WorkspaceProblem.
    """
    log = path.with_name(path.stem + ".changes.jsonl")
    try:
        for target, records in (
            (path, map(record, fixed.dataset.rows)),
            (log, map(asdict, fixed.changes)),
        ):
            unfinished = target.with_name(target.name + ".part")
            with unfinished.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(
                    json.dumps(record, ensure_ascii=False) + "\n" for record in records
                )
            replace_file(unfinished, target)
    except OSError as error:
        why = f"The system reports: {error.strerror or error}."
        raise WorkspaceProblem(
            f"{path.name} could not be written.", why, "Choose another place."
        ) from error
    return log


def record(row: Row) -> dict[str, Any]:
    """A row as a line of JSON Lines."""
    if row.text is not None:
        return {"text": row.text}
    if row.rejected is not None:
        return {
            "prompt": row.messages[:-1],
            "chosen": row.messages[-1:],
            "rejected": row.rejected,
        }
    return (
        {"messages": row.messages, "tools": row.tools}
        if row.tools
        else {"messages": row.messages}
    )
