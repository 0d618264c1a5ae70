"""What a row says, taken apart: its answers, its question, the context of an answer; and texts made comparable."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from backend.data.rows import Message, Row

_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
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


def answers(row: Row) -> Iterator[str]:
    """The text of each assistant turn."""
    return (content(m) for m in row.messages if m["role"] == "assistant")


def last_answer(row: Row) -> str:
    """The text of the last assistant turn, "" when there is none."""
    return next((content(m) for m in reversed(row.messages) if m["role"] == "assistant"), "")


def question(row: Row) -> str:
    """All that the user says in this row."""
    return "\n".join([content(m) for m in row.messages if m["role"] == "user"])


def whole(row: Row) -> str:
    """All that is said in this row, or the text of a document."""
    if row.text is not None:
        return row.text
    said = [content(m) for m in row.messages]
    if row.rejected:
        said += [content(m) for m in row.rejected]
    return "\n".join(said)


def normalise(text: str) -> str:
    """`text` for comparing: NFKC, no case, one space between words, no punctuation at its ends.

    A text of punctuation alone stays as it is.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = " ".join(text.casefold().split())
    return (_EDGES.sub("", text) or text) if text and not (text[0].isalnum() and text[-1].isalnum()) else text
