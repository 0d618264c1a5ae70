"""What a row says, taken apart: its answers, its question, all of it."""

from __future__ import annotations

from backend.records.rows import Message, Row

NAMES = {
    "system": "system message",
    "developer": "system message",
    "user": "question",
    "assistant": "answer",
    "tool": "tool result",
}


def content(message: Message) -> str:
    """The text of a message, "" where it has none."""
    text = message.get("content")
    return text if isinstance(text, str) else ""


def answers(row: Row) -> list[str]:
    """The text of each assistant turn."""
    return [content(m) for m in row.messages if m["role"] == "assistant"]


def last_answer(row: Row) -> str:
    """The text of the last assistant turn, "" when there is none."""
    for message in reversed(row.messages):
        if message["role"] == "assistant":
            return content(message)
    return ""


def question(row: Row) -> str:
    """All that the user says in this row."""
    return "\n".join([content(m) for m in row.messages if m["role"] == "user"])


def opening(row: Row) -> str:
    """What a person knows the row by: its first question, else the first that it says."""
    said = [m for m in row.messages if content(m).strip()]
    return row.text or next((content(m) for m in (*(m for m in said if m["role"] == "user"), *said)), "")


def whole(row: Row) -> str:
    """All that is said in this row, or the text of a document."""
    if row.text is not None:
        return row.text
    said = [content(m) for m in row.messages]
    if row.rejected:
        said += [content(m) for m in row.rejected]
    return "\n".join(said)
