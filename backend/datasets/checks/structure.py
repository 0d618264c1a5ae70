"""Checks of the order of the turns, and that there is an answer to learn."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter

from backend.datasets.checks.issues import problem
from backend.records.rows import Message, Problem, Row, is_learned
from backend.text.conversation import SYSTEM, content
from backend.text.excerpt import excerpt

_ROLE, _CONTENT = itemgetter("role"), itemgetter("content")


def find(rows: Iterable[Row]) -> Iterator[Problem]:
    """Missing, empty or misplaced turns of each row."""
    for row in rows:
        messages = row.messages
        texts = list(map(_CONTENT, messages))
        usual = is_usual_order(tuple(map(_ROLE, messages))) and row.rejected is None
        if not usual or not all(texts) or True in map(str.isspace, texts):
            yield from _in_row(row)


def _in_row(row: Row) -> Iterator[Problem]:
    messages = row.messages
    if row.text is not None:
        if not row.text.strip():
            yield problem(
                row,
                "empty_answer",
                "The text is empty, so there is nothing to learn from it.",
            )
        return
    for kind in faults_of_order(tuple(map(_ROLE, messages))):
        quote = excerpt(content(messages[-1])) if kind == "ends_with_user" else ""
        yield problem(row, kind, quote=quote)
    for number, message in enumerate(messages, 1):
        if not content(message).strip():
            yield from _empty(row, number, message)
    twice = [
        number
        for number in range(1, len(messages))
        if joinable(*messages[number - 1 : number + 1])
    ]
    if twice:
        number = twice[0]
        more = f", and so on ({len(twice):,} times)" * (len(twice) > 1)
        text = f"Messages {number} and {number + 1} have the same speaker ({messages[number]['role']}){more}."
        yield problem(row, "same_role_twice", text, excerpt(content(messages[number])))
    if _result_without_call(messages):
        yield problem(row, "result_without_call")
    if row.rejected is not None and not any(
        content(m).strip() or m.get("tool_calls") for m in row.rejected
    ):
        empty = "The bad answer (rejected) is empty, so there is nothing to compare the good one with."
        yield problem(row, "empty_answer", empty)
    elif row.rejected and row.rejected[-1:] == row.messages[-1:]:
        yield problem(row, "same_preference", quote=excerpt(content(row.rejected[-1])))


@lru_cache(maxsize=4096)
def is_usual_order(roles: tuple[str, ...]) -> bool:
    """Whether the sequence of roles has no fault and no tool result, whose call would
    have to be checked.
    """
    return (
        "tool" not in roles
        and not faults_of_order(roles)
        and all(a != b for a, b in pairwise(roles))
    )


@lru_cache(maxsize=4096)
def faults_of_order(roles: tuple[str, ...]) -> tuple[str, ...]:
    """The kinds of problems that the sequence of roles alone reveals."""
    kinds = []
    turns = [role for role in roles if role not in SYSTEM]
    if any(role not in SYSTEM for role in roles[: len(roles) - len(turns)]):
        kinds.append("system_not_first")
    if "assistant" not in roles:
        return (*kinds, "no_assistant")
    if "user" not in roles:
        kinds.append("no_question")
    if turns[-1] != "assistant":
        kinds.append("ends_with_user")
    return tuple(kinds)


def _result_without_call(messages: list[Message]) -> bool:
    called = False
    for message in messages:
        if message["role"] == "tool" and not called:
            return True
        called = bool(message.get("tool_calls")) or (
            called and message["role"] == "tool"
        )
    return False


def joinable(first: Message, second: Message) -> bool:
    """Whether two messages of one speaker can be joined: plain text without tools, and
    both learned or neither.
    """
    alike = first["role"] == second["role"] != "tool" and is_learned(
        first
    ) == is_learned(second)
    return alike and not first.get("tool_calls") and not second.get("tool_calls")


def _empty(row: Row, number: int, message: Message) -> Iterator[Problem]:
    several = sum(m["role"] == message["role"] for m in row.messages) > 1
    what = (
        f"Message {number}, {'an' if message['role'] == 'assistant' else 'a'}"
        if several
        else "The"
    )
    if message["role"] == "assistant" and not message.get("tool_calls"):
        text = f"{what} answer{',' * several} is empty; the model would learn to say nothing."
        yield problem(row, "empty_answer", text)
    elif message["role"] == "user":
        yield problem(
            row, "empty_question", f"{what} question{',' * several} is empty."
        )
