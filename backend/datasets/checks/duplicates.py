"""Finds exact duplicates, near-duplicates, and rows that belong on the same side of a
split.

Exact: every message is the same except for case, spaces, Unicode form and punctuation
at the ends. Near: the words are the same, in the same order. Similar, which is only
worth a look: the question is almost the same (as defined in near_duplicates.py), also
without a passage that both have, and so is the answer; instructions (system messages)
are compared separately, so that a long one does not make rows alike. Rows are named by
their position in the list.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations, pairwise

from backend.datasets.checks import near_duplicates
from backend.datasets.checks.issues import problem
from backend.datasets.checks.near_duplicates import (
    differing,
    gist,
    same_details,
    same_order,
    similar_pairs,
)
from backend.datasets.checks.patterns import CODE
from backend.records.rows import Message, Problem, Row
from backend.text.conversation import (
    content,
    full_text,
    instruction,
    last_answer,
    question,
)
from backend.text.normalize import Groups, normalize, same_rows

Pairs = list[tuple[int, int]]
_SAID = 0.75  # of the words of two answers
_MIN_WORDS = 4  # in a question, for it to be compared with others
_SHORT = 100  # characters of a question whose few words tell what it asks
_SENTENCE = 20  # characters of an answer that is no label
_FORM = 20  # so many rows with one question make it a form, whose answers all differ
_SMALL = 10  # so few rows with one question are all compared
_LABELLED = 4  # rows with the same answer, from which on it is a label and no wording
_SHOWN = 6  # words that differ


@dataclass(frozen=True, slots=True)
class Duplicates:
    """exact: groups of identical rows. copies: those, and rows of the same words.
    groups: those, and similar rows. together: groups that stay on one side of a split:
    those, rows with the same or almost the same question, and rows written about one
    passage.
    """

    exact: Groups = field(default_factory=list)
    copies: Groups = field(default_factory=list)
    groups: Groups = field(default_factory=list)
    together: Groups = field(default_factory=list)


def find(rows: Sequence[Row]) -> Duplicates:
    """The duplicates among `rows`."""
    exact = same_rows(
        rows, _whole_row, lambda row, of_text: of_text(row.text or last_answer(row))
    )
    repeated = {i for group in exact for i in group[1:]}
    distinct = [i for i in range(len(rows)) if i not in repeated]
    near, related = (
        [[distinct[a], distinct[b]] for a, b in pairs]
        for pairs in _near([rows[i] for i in distinct])
    )
    same = (
        pair
        for pair in near
        if same_order(*(full_text(rows[i], system=False) for i in pair))
    )
    copies = connected([*exact, *same])
    groups = connected([*copies, *near])
    of_passage = same_rows(rows, lambda row, _: row.passage or None)
    same_question = same_rows(rows, lambda row, of_text: of_text(question(row)) or None)
    # a more common question is the data's form
    most = max(near_duplicates.MIN_BOILERPLATE, near_duplicates.BOILERPLATE * len(rows))
    asking = [*related, *(group for group in same_question if len(group) <= most)]
    return Duplicates(exact, copies, groups, connected([*groups, *asking, *of_passage]))


def problems(
    rows: Sequence[Row], duplicates: Duplicates | None = None
) -> Iterator[Problem]:
    """A problem for each row that repeats an earlier one, exactly or in its words, and
    a note for each that is similar to one, or has another text beside it. duplicates:
    of `find(rows)`.
    """
    duplicates = duplicates or find(rows)
    named: set[int] = set()
    for groups, kind in (
        (duplicates.exact, "duplicate"),
        (duplicates.copies, "near_duplicate"),
    ):
        for group in groups:
            alike = {rows[i].beside: i for i in reversed(group)}
            for i in (i for i in group[1:] if i not in named):
                named.add(i)
                twin = rows[
                    group[0] if alike[rows[i].beside] == i else alike[rows[i].beside]
                ]
                says = (
                    "is the same as"
                    if full_text(twin) == full_text(rows[i])
                    else "has the same words as"
                )
                meant = twin.beside != rows[i].beside
                other = (
                    ", but differs in a column that isn't used; keep it if that is intended"
                    if meant
                    else ""
                )
                message = f"This example {says} {_place(twin)}{other}."
                yield problem(
                    rows[i],
                    "near_duplicate" if meant else kind,
                    message,
                    severity="note" if meant else None,
                )
    for first, *similar in duplicates.groups:
        for i in (
            i for i in similar if i not in named and not _conflict(rows[first], rows[i])
        ):
            words = differing(*(full_text(rows[n], system=False) for n in (first, i)))[
                :_SHOWN
            ]
            only = (
                ", ".join(f"“{word}”" for word in words) or "punctuation or word order"
            )
            message = f"This example and {_place(rows[first])} differ only in {only}; keep both if that is intended."
            yield problem(rows[i], "near_duplicate", message, severity="note")


def _place(row: Row) -> str:
    return f"example {row.row} ({row.place})"


def connected(groups: Iterable[Sequence[int]]) -> Groups:
    """The groups, joined where they share a member."""
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


def _near(rows: Sequence[Row]) -> tuple[Pairs, Pairs]:
    """The pairs of near-duplicates, and the pairs with almost the same question."""
    chats = [i for i, row in enumerate(rows) if row.text is None]
    asking = [i for i in chats if question(rows[i]).count(" ") >= _MIN_WORDS - 1]
    related = [
        (asking[a], asking[b])
        for a, b in similar_pairs(question(rows[i]) for i in asking)
    ]
    alike = dict.fromkeys(related)
    said = Counter(part(rows[i]) for i in chats for part in (question, last_answer))
    meanings: dict[int, list[int]] = defaultdict(
        list
    )  # by their hashes, which take less memory
    for i in chats:
        meanings[hash(gist(question(rows[i])))].append(i)
    same = [
        group for group in meanings.values() if len(group) > 1
    ]  # only such chats can pass `_is_near`
    # Short questions of the same meaning are related; several ways of asking for one
    # label are wanted.
    short = ([i for i in group if _is_short(rows[i])] for group in same)
    related += [pair for group in short for pair in pairwise(group)]
    few_rows = chain.from_iterable(
        combinations(group, 2) for group in same if len(group) <= _SMALL
    )
    many = [i for i, row in enumerate(rows) if row.text is not None]
    many = sorted(chain(many, *(group for group in same if len(group) > _SMALL)))
    similar = (
        (many[a], many[b])
        for a, b in similar_pairs(full_text(rows[i], system=False) for i in many)
    )
    near = dict.fromkeys([*few_rows, *similar, *related])
    few = [
        pair
        for pair in near
        if said[last_answer(rows[pair[0]])] < (_FORM if pair in alike else _LABELLED)
    ]
    return [(a, b) for a, b in few if _is_near(rows[a], rows[b], said)], related


def _is_short(row: Row) -> bool:
    return len(last_answer(row)) >= _SENTENCE and 0 < len(question(row)) <= _SHORT


def _is_near(one: Row, other: Row, said: Mapping[str, int]) -> bool:
    """Whether two rows are nearly the same: their instructions and questions mean the
    same, and so do their answers, but for a few words, unless many rows ask the same.
    Several ways of asking are wanted, as are several worse answers. said: how many rows
    have each question, and each answer.
    """
    if (one.passage and one.passage == other.passage) or CODE.search(
        full_text(one, system=False)
    ):
        return False  # several ways of asking about one passage have the same answer on purpose; in code, all counts
    if one.text is not None or other.text is not None:
        return True
    answers = {last_answer(one), last_answer(other)}
    if one.rejected != other.rejected or (
        len(answers) > 1 and all(said[text] >= _LABELLED for text in answers)
    ):
        return False
    asked, rules, reply = (
        [gist(part(row)) for row in (one, other)]
        for part in (question, instruction, last_answer)
    )
    alike = (
        len(reply[0] & reply[1]) >= _SAID * len(reply[0] | reply[1])
        and said[question(one)] < _FORM
    )
    same = reply[0] == reply[1] or (
        alike and same_details(last_answer(one), last_answer(other))
    )
    chosen = set.intersection(
        *({*differing(part(one), part(other))} for part in (question, last_answer))
    )
    return same and not chosen and asked[0] == asked[1] and rules[0] == rules[1]


def _conflict(one: Row, other: Row) -> bool:
    """Whether two rows answer the very same question differently, which
    `answers.conflicts` reports.
    """
    asked, said = ([of(row) for row in (one, other)] for of in (question, last_answer))
    return (
        one.text is None
        and normalize(asked[0]) == normalize(asked[1])
        and gist(said[0]) != gist(said[1])
    )


def _whole_row(row: Row, of_text: Callable[[str], Hashable]) -> Hashable:
    if row.text is not None:
        return of_text(row.text)
    messages = [_message(message, of_text) for message in row.messages]
    rejected = (
        [_message(message, of_text) for message in row.rejected] if row.rejected else []
    )
    return (*messages, None, *rejected, json.dumps(row.tools) if row.tools else "")


def _message(message: Message, of_text: Callable[[str], Hashable]) -> Hashable:
    calls = message.get("tool_calls")
    return (
        message["role"],
        of_text(content(message)),
        json.dumps(calls) if calls else "",
    )
