"""An open source: its format, its records, and what to tell about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from backend.datasets.chats.format import ChatFormat
from backend.datasets.convert.detect import Record
from backend.datasets.convert.not_examples import looks_like, require_document
from backend.datasets.read.documents import Examples
from backend.text.excerpt import excerpt

Note = tuple[str, str, str]  # kind, message, fix


@dataclass
class OpenSource:
    """An open source. records: in batches, each a line number and a value.

    details: of the format, such as the delimiter. notes: (kind, message, fix) about the file. late_notes: those that
    are known once all records are read. chat: how to read the records as conversations, where the format says so.
    """

    format: str
    records: Iterator[list[Record]]
    details: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    late_notes: Callable[[], list[Note]] = list
    chat: ChatFormat | None = None


def one_text(kind: str, text: str) -> OpenSource:
    """A source whose only record is this text. Raises BadInput when it is no text to learn."""
    require_document(text)
    opened = OpenSource(kind, iter([[(1, {"text": text})]]))
    if name := looks_like(text):
        message = f"This looks like {name}. The model would learn to write such lines."
        opened.notes.append(("not_prose", message, "Choose another file if you picked this one by mistake."))
    return opened


def with_examples(kind: str, found: Examples) -> OpenSource:
    """A source of the examples that a document holds."""
    opened = OpenSource(kind, found.records, details=found.details)
    if found.outside:
        outside = excerpt(" ".join(found.outside.split()), width=200)
        message = f"Text that belongs to no question was passed over: {outside}"
        opened.notes.append(("text_passed_over", message, "Give it a question if the model should learn it."))
    if found.closing:
        closing = excerpt(found.closing, width=120)
        message = f"The last answer ends with a line that may not belong to it: {closing}"
        opened.notes.append(("closing_line", message, "If it doesn't, remove it from the last example."))
    return opened
