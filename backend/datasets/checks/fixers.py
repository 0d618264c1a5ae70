"""The mends: for a kind of problem, the row without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from backend.datasets.checks import repetition
from backend.datasets.checks.patterns import TextFault
from backend.datasets.checks.structure import SYSTEM, joinable
from backend.datasets.conversation import content
from backend.records.rows import Message, Row

Fixer = Callable[[Row], Row]


def mends(faults: Sequence[TextFault], usual_system: str | None) -> dict[str, Fixer]:
    """What mends a row of each kind that does not leave it out; every other kind with a fix leaves the row out.

    usual_system: the system message that most rows have, None when most have none.
    """
    return {
        **{fault.kind: _in_every_text(fault.repair) for fault in faults},
        "repetition": _in_answers(repetition.repair),
        "ends_with_user": _end_with_answer,
        "same_role_twice": _join_neighbours,
        "system_not_first": _system_first,
        "system_inconsistent": without_system if usual_system is None else with_system(usual_system),
    }


def with_system(text: str | None) -> Fixer:
    """Gives the row the system message `text` if it has none; does nothing when there is no `text`."""

    def mend(row: Row) -> Row:
        if text is None or any(m["role"] in SYSTEM for m in row.messages):
            return row
        return replace(row, messages=[{"role": "system", "content": text}, *row.messages])

    return mend


def without_system(row: Row) -> Row:
    """Takes the system messages out."""
    return replace(row, messages=[m for m in row.messages if m["role"] not in SYSTEM])


def _in_every_text(repair: Callable[[str], str]) -> Fixer:
    def mend(row: Row) -> Row:
        return replace(
            row,
            messages=[_repaired(m, repair) for m in row.messages],
            rejected=row.rejected and [_repaired(m, repair) for m in row.rejected],
            text=row.text and repair(row.text),
        )

    return mend


def _in_answers(repair: Callable[[str], str]) -> Fixer:
    def mend(row: Row) -> Row:
        answered = [_repaired(m, repair) if m["role"] == "assistant" else m for m in row.messages]
        return replace(row, messages=answered)

    return mend


def _repaired(message: Message, repair: Callable[[str], str]) -> Message:
    text = message.get("content")
    return {**message, "content": repair(text)} if isinstance(text, str) else message


def _end_with_answer(row: Row) -> Row:
    last = max(i for i, m in enumerate(row.messages) if m["role"] == "assistant")
    return replace(row, messages=row.messages[: last + 1])


def _join_neighbours(row: Row) -> Row:
    joined: list[Message] = []
    for message in row.messages:
        if joined and joinable(joined[-1], message):
            joined[-1] = _joined([joined[-1], message])
        else:
            joined.append(message)
    return replace(row, messages=joined)


def _system_first(row: Row) -> Row:
    system = [m for m in row.messages if m["role"] in SYSTEM]
    return replace(row, messages=[_joined(system), *(m for m in row.messages if m["role"] not in SYSTEM)])


def _joined(messages: Sequence[Message]) -> Message:
    said = "\n\n".join(filter(None, map(content, messages)))
    return {**messages[0], "content": said}
