"""Mending the data with the person: each kind of problem is accepted for all rows or for some, or refused.

Nothing is changed without being listed, and the source is never changed: to undo, apply again with fewer kinds.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import orjson

from backend.datasets.checks import answers as answer_checks
from backend.datasets.checks import content as content_checks
from backend.datasets.checks import dataset as dataset_checks
from backend.datasets.checks import duplicates
from backend.datasets.checks import structure as structure_checks
from backend.datasets.checks import tokens as token_checks
from backend.datasets.checks.fixers import Fixer, mends, with_system, without_system
from backend.datasets.checks.issues import KINDS
from backend.datasets.checks.report import Report
from backend.datasets.checks.tokens import Tokens
from backend.datasets.conversation import content
from backend.datasets.token_counts import Measurer
from backend.errors import BadSetting, WorkspaceProblem
from backend.records.lengths import UNLIMITED, Lengths
from backend.records.rows import DataSet, Problem, Row

Accepted = Mapping[str, "Literal['all'] | Set[int]"]  # kind: "all", or the numbers of the rows

EVERYWHERE = {  # two more fixes that are no answer to one row's problem
    "add_system": "Give every row without a system message the one that most rows have.",
    "remove_system": "Take the system message out of every row.",
}
FIXABLE = (*(kind for kind, about in KINDS.items() if about.fix), *EVERYWHERE)
# ALL leaves nothing to mend, but also leaves out rows that may be meant; USUAL mends every error, and what no one
# can want otherwise.
ALL = tuple(kind for kind in FIXABLE if kind not in EVERYWHERE)
USUAL = (
    *(kind for kind, about in KINDS.items() if about.fix and about.severity == "error"),
    *("mojibake", "control_characters", "system_not_first", "same_role_twice", "duplicate"),
)
_MODEL_KINDS = ("template_refuses", "nothing_to_learn", "answer_vanishes", "leak")  # known from the report only
_PASSES = 50  # one fix can lay bare a problem for the next, never without end


@dataclass(frozen=True, slots=True)
class Change:
    """One change to one row. before, after: the messages that differ, as "role: content" lines; after is "" when
    the row was left out."""

    row: int
    line: int
    kind: str
    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """The mended rows, and every change that led to them, in the order made."""

    dataset: DataSet
    changes: list[Change]

    @property
    def dropped(self) -> int:
        """Rows of the file that are left out."""
        return len({c.row for c in self.changes} - {row.row for row in self.dataset.rows})

    @property
    def changed(self) -> int:
        """Rows that are kept and differ from the file."""
        return len({c.row for c in self.changes} & {row.row for row in self.dataset.rows})


def apply(
    dataset: DataSet,
    report: Report,
    accept: Accepted,
    *,
    measurer: Measurer | None = None,
    lengths: Lengths = UNLIMITED,
) -> Fixed:
    """`dataset` with the accepted fixes. Give the measurer and the lengths that the report was made with.

    Raises BadSetting for a kind that has no fix.
    """
    about_system = [kind for kind in ("system_inconsistent", *EVERYWHERE) if kind in accept]
    if len(about_system) > 1:
        raise BadSetting(
            "The fixes of the system message exclude each other.",
            f"Chosen were {' and '.join(about_system)}.",
            "Choose one of them.",
        )
    unknown = sorted(set(accept) - set(FIXABLE))
    if unknown:
        raise BadSetting(
            f"There is no fix for {unknown[0]!r}.", "", "The kinds that have one are: " + ", ".join(FIXABLE) + "."
        )
    work = _Work(dataset, accept, measurer, lengths)
    problems: Iterable[Problem] = report.problems
    for _ in range(_PASSES):
        if not work.mend([*problems, *work.everywhere()]):
            break
        problems = work.problems()
    return Fixed(replace(dataset, rows=work.rows, problems=[], total_rows=len(work.rows)), work.changes)


def trials(
    dataset: DataSet, problems: Iterable[Problem], measurer: Measurer | None = None, each: int = 3
) -> dict[str, list[Change]]:
    """What each fix would do by itself to the first `each` rows that it is for, fixes for the whole file included."""
    work = _Work(dataset, dict.fromkeys(EVERYWHERE, "all"), measurer, UNLIMITED)
    wanted: dict[str, dict[int, None]] = {}
    for problem in chain(problems, work.everywhere()):
        if problem.kind in FIXABLE and len(rows := wanted.setdefault(problem.kind, {})) < each:
            rows[problem.row] = None
    numbers = {number for rows in wanted.values() for number in rows}
    by_number = {row.row: row for row in dataset.rows if row.row in numbers}
    ways = work.ways()
    return {
        kind: list(work.tried(kind, [by_number[n] for n in rows if n in by_number], ways))
        for kind, rows in wanted.items()
    }


def write(fixed: Fixed, path: Path) -> Path:
    """Writes the rows to `path` as JSON lines (`messages`), and the changes beside it; returns the change log's path.

    Raises WorkspaceProblem when that can't be written.
    """
    log = path.with_name(path.stem + ".changes.jsonl")
    try:
        for target, records in ((path, map(_record, fixed.dataset.rows)), (log, map(asdict, fixed.changes))):
            unfinished = target.with_name(target.name + ".part")
            with unfinished.open("wb") as file:
                file.writelines(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
            os.replace(unfinished, target)
    except OSError as error:
        raise WorkspaceProblem(
            f"{path.name} could not be written.",
            f"The system says: {error.strerror or error}.",
            "Choose another place.",
        ) from error
    return log


class _Work:
    """The rows on their way, with the changes made so far."""

    def __init__(self, dataset: DataSet, accept: Accepted, measurer: Measurer | None, lengths: Lengths) -> None:
        self.rows = list(dataset.rows)
        self._accept, self._measurer, self._lengths = accept, measurer, lengths
        self._faults = content_checks.text_faults(measurer.control_markers if measurer else ())
        self._mended: set[int] = set()
        self._waiting: list[Problem] = []
        self.changes = list(_unread(dataset))

    def everywhere(self) -> Iterator[Problem]:
        """A problem for each row that a fix for the whole file is to change."""
        for kind in self._accept.keys() & EVERYWHERE.keys():
            for row in self.rows:
                if row.messages and dataset_checks.has_system(row) == (kind == "remove_system"):
                    yield Problem(row.line, row.row, kind, "warning", "")

    def mend(self, problems: Iterable[Problem]) -> bool:
        """Mend what was accepted of `problems`; False when nothing was. A row that can be mended is not left out in
        the same pass: the mend may have cured it."""
        by_row: dict[int, set[str]] = defaultdict(set)
        for problem in problems:
            rows = self._accept.get(problem.kind, ())
            if rows == "all" or problem.row in rows:
                by_row[problem.row].add(problem.kind)
        if not by_row:
            return False
        ways = self.ways()
        before, self.rows, self._mended, self._waiting = self.rows, [], set(), []
        for row in before:
            kinds = by_row.get(row.row, set())
            kept = self._fix_row(row, [k for k in FIXABLE if k in kinds], ways) if kinds else row
            if kept is not None:
                self.rows.append(kept)
        return bool(self._mended) or len(self.rows) < len(before)

    def problems(self) -> Iterator[Problem]:
        """What is wrong with the rows now, as far as the mends can have changed it."""
        mended = [row for row in self.rows if row.row in self._mended]
        yield from structure_checks.find(mended)
        yield from content_checks.find(mended, self._faults)
        yield from answer_checks.find(self.rows)
        yield from dataset_checks.system_messages(self.rows)
        if self._measurer is None:
            yield from self._waiting
        else:
            yield from token_checks.find(mended, self._measurer, Tokens(self._lengths))
        if "duplicate" in self._accept or "near_duplicate" in self._accept:
            yield from duplicates.problems(self.rows)

    def tried(self, kind: str, rows: Iterable[Row], ways: Mapping[str, Fixer]) -> Iterator[Change]:
        """What the fix of one kind would change in `rows`."""
        for row in rows:
            mended = ways[kind](row) if kind in ways else None
            if mended != row:
                yield _change(row, mended, kind)

    def ways(self) -> dict[str, Fixer]:
        """The mends of the kinds that do not leave the row out."""
        chats = [row for row in self.rows if row.messages]
        most_have = 2 * sum(map(dataset_checks.has_system, chats)) >= len(chats)
        usual = dataset_checks.usual_system(chats)
        ways = mends(self._faults, usual if most_have else None)
        return {**ways, "add_system": with_system(usual), "remove_system": without_system}

    def _fix_row(self, row: Row, kinds: list[str], ways: Mapping[str, Fixer]) -> Row | None:
        whole = row
        for kind in kinds:
            if kind in ways:
                mended = ways[kind](row)
                if mended != row:
                    self.changes.append(_change(row, mended, kind))
                    row = mended
        losses = [kind for kind in kinds if kind not in ways]
        if row is not whole:
            self._mended.add(row.row)
            self._waiting += [Problem(row.line, row.row, k, "error", "") for k in losses if k in _MODEL_KINDS]
            return row
        if losses:
            self.changes.append(_change(row, None, losses[0]))
            return None
        return row


def _unread(dataset: DataSet) -> Iterator[Change]:
    """A change for each row that could not be read and so is missing from the start."""
    told = {row.row for row in dataset.rows}
    for problem in dataset.problems:
        if problem.severity == "error" and problem.row not in told:
            told.add(problem.row)
            what = f"Left out, since it could not be used. {problem.message}"
            yield Change(problem.row, problem.line, problem.kind, what, problem.quote, "")


def _change(row: Row, mended: Row | None, kind: str) -> Change:
    before, after = _lines(row), _lines(mended) if mended else []
    if sorted(before) == sorted(after):  # another order
        return Change(row.row, row.line, kind, _what(kind), "\n".join(before), "\n".join(after))
    only_before = "\n".join(line for line in before if line not in after)
    only_after = "\n".join(line for line in after if line not in before)
    return Change(row.row, row.line, kind, _what(kind), only_before, only_after)


def _what(kind: str) -> str:
    return KINDS[kind].fix if kind in KINDS else EVERYWHERE[kind]


def _lines(row: Row) -> list[str]:
    lines = [f"{m['role']}: {content(m)}" for m in row.messages]
    lines += [f"rejected: {content(m)}" for m in row.rejected or ()]
    return lines if row.text is None else [*lines, row.text]


def _record(row: Row) -> dict[str, Any]:
    if row.text is not None:
        return {"text": row.text}
    if row.rejected is not None:
        return {"prompt": row.messages[:-1], "chosen": row.messages[-1:], "rejected": row.rejected}
    return {"messages": row.messages, "tools": row.tools} if row.tools else {"messages": row.messages}
