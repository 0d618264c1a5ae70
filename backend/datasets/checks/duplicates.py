"""Rows that say the same: exact duplicates, near-duplicates, and rows that belong on one side of a split.

Exact: every message is the same but for case, spaces, Unicode form and punctuation at its ends.
Near: the whole is almost the same (near_duplicates.py says what that means), or the question is and the answers
have half their word pairs in common. Rows are named by their position in the list that was given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from backend.datasets.checks.issues import problem
from backend.datasets.checks.near_duplicates import FORM, are_similar, similar_pairs
from backend.datasets.checks.normalize import Groups, same_rows
from backend.datasets.conversation import content, last_answer, question, whole
from backend.records.rows import Message, Problem, Row

_HALF = 0.5
_LEAST_WORDS = 4  # in a question, for it to be compared with others
_FORM_LEAST = 10


@dataclass(frozen=True, slots=True)
class Duplicates:
    """exact: groups of rows that are the same. groups: rows that are the same or almost the same.
    together: groups that a split must keep on one side (those, and rows with one question)."""

    exact: Groups = field(default_factory=list)
    groups: Groups = field(default_factory=list)
    together: Groups = field(default_factory=list)

    @property
    def exact_count(self) -> int:
        """Rows that would be left out so that each exact group keeps one."""
        return sum(len(group) - 1 for group in self.exact)

    @property
    def near_count(self) -> int:
        """Rows that would then still be left out so that each group keeps one."""
        return sum(len(group) - 1 for group in self.groups) - self.exact_count


def find(rows: Sequence[Row]) -> Duplicates:
    """The duplicates among `rows`."""
    exact = same_rows(rows, _everything)
    repeated = {i for group in exact for i in group[1:]}
    distinct = [i for i in range(len(rows)) if i not in repeated]
    near = [(distinct[a], distinct[b]) for a, b in _near([rows[i] for i in distinct])]
    groups = connected([*exact, *near])
    return Duplicates(exact, groups, connected([*groups, *_same_question(rows)]))


def problems(rows: Sequence[Row], twice: Duplicates | None = None) -> Iterator[Problem]:
    """A problem for each row that repeats, or almost repeats, an earlier one. twice: what `find(rows)` gave."""
    twice = twice or find(rows)
    exact: set[int] = set()
    for first, *others in twice.exact:
        exact.update(others)
        for i in others:
            yield problem(rows[i], "duplicate", f"This row says the same as line {rows[first].line}.")
    for first, *others in twice.groups:
        for i in others:
            if i not in exact:
                yield problem(rows[i], "near_duplicate", f"This row says almost the same as line {rows[first].line}.")


def connected(groups: Iterable[Sequence[int]]) -> Groups:
    """The groups joined where they share a member."""
    leader: dict[int, int] = {}

    def first(i: int) -> int:
        while (above := leader.setdefault(i, i)) != i:
            leader[i] = leader[above]
            i = above
        return i

    for group in groups:
        for other in group[1:]:
            a, b = sorted((first(group[0]), first(other)))
            leader[b] = a
    members: dict[int, list[int]] = defaultdict(list)
    for i in sorted(leader):
        members[first(i)].append(i)
    return sorted(members.values())


def _near(rows: Sequence[Row]) -> Iterable[tuple[int, int]]:
    yield from similar_pairs([whole(row) for row in rows])
    asked = [i for i, row in enumerate(rows) if row.text is None and question(row).count(" ") >= _LEAST_WORDS - 1]
    pairs = similar_pairs([question(rows[i]) for i in asked])
    alike = are_similar([last_answer(rows[i]) for i in asked], pairs, _HALF)
    yield from ((asked[a], asked[b]) for (a, b), same in zip(pairs, alike, strict=True) if same)


def _same_question(rows: Sequence[Row]) -> Groups:
    groups = same_rows(rows, lambda row, of_text: of_text(question(row)) or None)
    form = max(_FORM_LEAST, FORM * len(rows))  # a question that so many rows ask is the form of the data
    return [group for group in groups if len(group) <= form]


def _everything(row: Row, of_text: Callable[[str], Hashable]) -> Hashable:
    if row.text is not None:
        return of_text(row.text)
    said = [_said(message, of_text) for message in row.messages]
    rejected = [_said(message, of_text) for message in row.rejected] if row.rejected else []
    return (*said, None, *rejected, orjson.dumps(row.tools) if row.tools else b"")


def _said(message: Message, of_text: Callable[[str], Hashable]) -> Hashable:
    calls = message.get("tool_calls")
    return (message["role"], of_text(content(message)), orjson.dumps(calls) if calls else b"")
