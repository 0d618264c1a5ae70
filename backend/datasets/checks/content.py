"""Faults inside a text: unwanted characters, garbled letters, template markers, personal data."""

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import chain, islice
from operator import or_

from backend.datasets.checks.asked import asks_for
from backend.datasets.checks.characters import CHARACTER_FAULTS
from backend.datasets.checks.issues import problem
from backend.datasets.checks.leftovers import LEFTOVERS, marker_fault
from backend.datasets.checks.patterns import TextFault, classes
from backend.datasets.checks.personal_data import PERSONAL_FAULTS
from backend.records.rows import Problem, Row
from backend.text.conversation import ROLE_NAMES, question
from backend.text.excerpt import excerpt

_BLOCK = 512  # rows checked together, so that their texts stay in the processor's cache


def text_faults(control_markers: Iterable[str] = ()) -> tuple[TextFault, ...]:
    """All text faults, for a model with these control markers, in the order they are fixed."""
    return (*CHARACTER_FAULTS, marker_fault(control_markers), *LEFTOVERS, *PERSONAL_FAULTS)


def find(rows: Iterable[Row], faults: Sequence[TextFault]) -> Iterator[Problem]:
    """At most one problem of each kind per row, at its first occurrence."""
    import numpy as np

    rows = iter(rows)
    needed = reduce(or_, (fault.needs for fault in faults), 0)
    while block := list(islice(rows, _BLOCK)):
        by_row = [_texts(row) for row in block]
        ends = np.cumsum(list(map(len, by_row)))
        flags = classes(list(chain.from_iterable(by_row)))
        suspects = np.unique(np.searchsorted(ends, np.flatnonzero(flags & needed), "right"))
        for i in suspects.tolist():
            own = flags[ends[i] - len(by_row[i]) : ends[i]].tolist()
            yield from _in_row(block[i], by_row[i], own, faults)


def _texts(row: Row) -> list[str]:
    texts = [message["content"] or "" for message in row.messages]
    if row.rejected:
        texts += [message["content"] or "" for message in row.rejected]
    return texts if row.text is None else [*texts, row.text]


def _places(row: Row) -> list[str]:
    """A name for each of the texts of `_texts`."""
    roles = [str(message["role"]) for message in row.messages]
    rejected = ["bad answer (rejected)"] * len(row.rejected or ())
    return [*(ROLE_NAMES.get(role, role) for role in roles), *rejected, "text"]


def _in_row(row: Row, texts: list[str], flags: list[int], faults: Sequence[TextFault]) -> Iterator[Problem]:
    places = _places(row)
    for fault in faults:
        for place, text, flag in zip(places, texts, flags, strict=False):
            if fault.answers_only and place != ROLE_NAMES["assistant"]:
                continue
            if asks_for(fault.kind, question(row)):
                break
            match = fault.find(text) if flag & fault.needs else None
            if match is not None:
                quote = excerpt(text, match.start(), match.end())
                yield problem(row, fault.kind, f"The {place} contains {fault.sentences}", quote)
                break
