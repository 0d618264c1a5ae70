"""Faults inside what is said: unwanted characters, garbled letters, template markers, personal data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from backend.data.characters import CHARACTER_FAULTS
from backend.data.conversation import NAMES, content
from backend.data.excerpt import excerpt
from backend.data.kinds import problem
from backend.data.markers import marker_fault
from backend.data.personal import PERSONAL_FAULTS
from backend.data.rows import Problem, Row
from backend.data.textfaults import TextFault, classes

_BLOCK = 4096  # rows looked at together: a few MiB of text


def text_faults(control_markers: Iterable[str] = ()) -> tuple[TextFault, ...]:
    """Every fault that a text can have, for a model with these control markers, in the order they are mended."""
    return (*CHARACTER_FAULTS, marker_fault(control_markers), *PERSONAL_FAULTS)


def find(rows: Iterable[Row], faults: Sequence[TextFault]) -> Iterator[Problem]:
    """For each row at most one problem of each kind, at the first place where it shows."""
    rows = iter(rows)
    while block := list(islice(rows, _BLOCK)):
        owners: list[tuple[Row, str]] = []
        texts: list[str] = []
        for row in block:
            for role, text in _texts(row):
                owners.append((row, role))
                texts.append(text)
        needed = 0
        for fault in faults:
            needed |= fault.needs
        seen: set[tuple[int, str]] = set()
        for (row, role), text, flags in zip(owners, texts, classes(texts), strict=True):
            if flags & needed:
                yield from _in_text(row, role, text, flags, faults, seen)


def _texts(row: Row) -> Iterator[tuple[str, str]]:
    if row.text is not None:
        yield "text", row.text
    for message in row.messages:
        yield message["role"], content(message)
    for message in row.rejected or ():
        yield "rejected", content(message)


def _in_text(
    row: Row, role: str, text: str, flags: int, faults: Sequence[TextFault], seen: set[tuple[int, str]]
) -> Iterator[Problem]:
    for fault in faults:
        if not flags & fault.needs or (row.row, fault.kind) in seen:
            continue
        match = fault.find(text)
        if match is not None:
            seen.add((row.row, fault.kind))
            place = NAMES.get(role, "rejected answer" if role == "rejected" else role)
            quote = excerpt(text, match.start(), match.end())
            yield problem(row, fault.kind, f"The {place} contains {fault.what}. {fault.why}", quote)
