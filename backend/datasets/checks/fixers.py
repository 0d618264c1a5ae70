"""Fixers: for a kind of problem, a function that returns the row without it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from backend.datasets.checks.answers import without_repetition
from backend.datasets.checks.names import without_names
from backend.datasets.checks.patterns import TextFault, pattern
from backend.datasets.checks.structure import joinable
from backend.records.rows import Message, Row
from backend.text.conversation import SYSTEM, content

Fixer = Callable[[Row], Row]


def fixers_for(
    faults: Sequence[TextFault], usual_system: str | None
) -> dict[str, Fixer]:
    """The fixer of each kind whose fix changes a row; the fix of every other kind drops
    the row. usual_system: the system message that most rows have, None when most have
    none.
    """
    curable = [fault for fault in faults if not fault.drops]
    return {
        **{fault.kind: _in_texts(fault.fix, fault.answers_only) for fault in curable},
        "repetition": _in_texts(without_repetition),
        "personal_name": without_names,
        "leftover_thought": _in_texts(
            lambda text: pattern("thoughts").sub(r"\1", text)
        ),
        "swapped": _swap,
        "ends_with_user": _end_with_answer,
        "same_role_twice": _join_neighbors,
        "system_not_first": _system_first,
        "system_inconsistent": without_system
        if usual_system is None
        else with_system(usual_system),
    }


def with_system(text: str | None) -> Fixer:
    """Adds the system message `text` to a row without one; None changes nothing."""

    def fix(row: Row) -> Row:
        if text is None or any(m["role"] in SYSTEM for m in row.messages):
            return row
        return replace(
            row, messages=[{"role": "system", "content": text}, *row.messages]
        )

    return fix


def without_system(row: Row) -> Row:
    """Removes the system messages."""
    return replace(row, messages=[m for m in row.messages if m["role"] not in SYSTEM])


def _in_texts(fix_text: Callable[[str], str], answers_only: bool = True) -> Fixer:
    def fix(row: Row) -> Row:
        messages = [
            _fixed(m, fix_text) if m["role"] == "assistant" or not answers_only else m
            for m in row.messages
        ]
        if answers_only:
            return replace(row, messages=messages)
        rejected = row.rejected and [_fixed(m, fix_text) for m in row.rejected]
        return replace(
            row,
            messages=messages,
            rejected=rejected,
            text=row.text and fix_text(row.text),
        )

    return fix


def _fixed(message: Message, fix_text: Callable[[str], str]) -> Message:
    text = message.get("content")
    return {**message, "content": fix_text(text)} if isinstance(text, str) else message


def _end_with_answer(row: Row) -> Row:
    last = max(i for i, m in enumerate(row.messages) if m["role"] == "assistant")
    return replace(row, messages=row.messages[: last + 1])


def _swap(row: Row) -> Row:
    *before, asked, answered = row.messages
    if (asked["role"], answered["role"]) != ("user", "assistant"):
        return row
    swapped = [
        {**one, "content": content(other)}
        for one, other in ((asked, answered), (answered, asked))
    ]
    return replace(row, messages=[*before, *swapped])


def _join_neighbors(row: Row) -> Row:
    joined: list[Message] = []
    for message in row.messages:
        if joined and joinable(joined[-1], message):
            joined[-1] = _joined([joined[-1], message])
        else:
            joined.append(message)
    return replace(row, messages=joined)


def _system_first(row: Row) -> Row:
    system = [m for m in row.messages if m["role"] in SYSTEM]
    return replace(
        row,
        messages=[
            _joined(system),
            *(m for m in row.messages if m["role"] not in SYSTEM),
        ],
    )


def _joined(messages: Sequence[Message]) -> Message:
    return {**messages[0], "content": "\n\n".join(filter(None, map(content, messages)))}
