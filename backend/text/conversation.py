"""The parts of a row's conversation: its answers, its question, its full text."""

import json
from collections.abc import Sequence
from typing import Any

from backend.records.rows import Message, Row

SYSTEM = ("system", "developer")
ROLE_NAMES = {
    "system": "instruction (system message)",
    "developer": "instruction (system message)",
    "user": "question",
    "assistant": "answer",
    "tool": "tool result",
}


def content(message: Message) -> str:
    """The text of a message, "" if it has none."""
    text = message.get("content")
    return text if isinstance(text, str) else ""


def said(message: Message) -> str:
    """The text of a message, and the names and arguments of its tool calls as JSON."""
    calls = message.get("tool_calls")
    return "\n".join(
        filter(None, (content(message), calls_text(calls) if calls else ""))
    )


def calls_text(calls: Sequence[dict[str, Any]], indent: int | None = None) -> str:
    """The calls of a message as a JSON text: their names and arguments
    (convert/tool_calls.py reads it).
    """
    functions = [call.get("function", call) for call in calls]
    named = [
        {"name": function.get("name"), "arguments": function.get("arguments")}
        for function in functions
    ]
    return json.dumps(
        named[0] if len(named) == 1 else named, ensure_ascii=False, indent=indent
    )


def answers(row: Row) -> list[str]:
    """The text of each assistant turn."""
    return [m["content"] or "" for m in row.messages if m["role"] == "assistant"]


def last_answer(row: Row) -> str:
    """The text of the last assistant turn, "" without one."""
    for message in reversed(row.messages):  # a generator would take twice as long
        if message["role"] == "assistant":
            return content(message)
    return ""


def question(row: Row) -> str:
    """All user turns, joined."""
    return "\n".join([content(m) for m in row.messages if m["role"] == "user"])


def opening(row: Row) -> str:
    """A text to recognize the row by: its first question, else its first message."""
    filled = [m for m in row.messages if content(m).strip()]
    return row.text or next(
        (content(m) for m in (*(m for m in filled if m["role"] == "user"), *filled)), ""
    )


def instruction(row: Row) -> str:
    """All system messages, joined."""
    return "\n".join([content(m) for m in row.messages if m["role"] in SYSTEM])


def full_text(row: Row, system: bool = True) -> str:
    """All messages of a row, joined, or the text of a document. system: with the system
    messages.
    """
    return "\n".join(texts(row, system))


def texts(row: Row, system: bool = False) -> list[str]:
    """The text of each message of a row, or that of a document. system: with the system
    messages.
    """
    chat = [content(m) for m in row.messages if system or m["role"] not in SYSTEM]
    return (
        [*chat, *map(content, row.rejected or ())] if row.text is None else [row.text]
    )
