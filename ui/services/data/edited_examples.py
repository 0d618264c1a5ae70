"""An example as fields to edit, and back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from backend.datasets.convert.tool_calls import calls_in_text
from backend.datasets.dataset import CheckedDataset
from backend.errors import BadInput
from backend.records.reading import RowFault
from backend.records.rows import Dataset, Message, Row
from backend.text.conversation import SYSTEM, calls_text, content, full_text
from ui.records.data import ExampleField

LONGEST = 200_000  # characters of an example that the page can edit
_CALLS = "tool call (name and arguments, as JSON)"
_LABELS = {"user": "Question", "assistant": "Answer", "tool": "Tool result"}


def to_edit(checked: CheckedDataset, number: int) -> Row:
    """The example with this number after the fixes, but with the instruction of the
    file: what fixes do to those stays a fix. Raises BadInput when there is none, or it
    is too long for the page.
    """
    rows = {row.row: row for row in checked.original.rows}
    if number not in rows:
        if number in {problem.row for problem in checked.unread}:
            return blank(checked.original)
        raise BadInput(
            f"There is no example {number:,}.",
            "It was deleted.",
            "Choose another number.",
        )
    original = rows[number]
    if len(full_text(original)) > LONGEST:
        raise BadInput(
            "This example is too long to edit here.",
            "",
            "Change it in your file, and add it again.",
        )
    fixed = checked.now.get(number, original)
    return replace(
        fixed, messages=[*_only(original.messages, True), *_only(fixed.messages, False)]
    )


def blank(dataset: Dataset) -> Row:
    """An empty example of the same kind as the others."""
    first = dataset.rows[0] if dataset.rows else None
    if first is not None and first.text is not None:
        return Row(0, 0, text="")
    empty = [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]
    return Row(
        0,
        0,
        empty,
        [dict(empty[-1])] if first is not None and first.rejected is not None else None,
    )


def _only(messages: Sequence[Message], instruction: bool) -> list[Message]:
    return [
        message for message in messages if (message["role"] in SYSTEM) == instruction
    ]


def fields(row: Row) -> Iterator[ExampleField]:
    """The texts of an example, apart from its instruction."""
    if row.text is not None:
        yield ExampleField("text", "Text", row.text)
    better = len(row.messages) - len(row.rejected or ())
    for at, message in enumerate(row.messages):
        label = (
            "Better answer"
            if row.rejected and at >= better
            else _LABELS.get(message["role"], "Text")
        )
        yield from _of_message(message, f"message-{at}", label)
    for at, message in enumerate(row.rejected or ()):
        yield from _of_message(message, f"rejected-{at}", "Worse answer")


def _of_message(message: Message, name: str, label: str) -> Iterator[ExampleField]:
    if _has_text(message):
        yield ExampleField(name, label, content(message))
    if message.get("tool_calls"):
        yield ExampleField(
            f"calls-{name}",
            f"{label}: {_CALLS}",
            calls_text(message["tool_calls"], indent=2),
        )


def _has_text(message: Message) -> bool:
    return message["role"] not in SYSTEM and bool(
        content(message) or not message.get("tool_calls")
    )


def with_texts(row: Row, texts: Mapping[str, str]) -> Row:
    """The example with these texts, by field. Raises BadInput when one is missing or
    can't be saved.
    """
    if {
        field.name for field in fields(row)
    } - texts.keys():  # also of a form too long to be sent
        why = "It is too long, or the example has changed meanwhile."
        raise BadInput(
            "This change can't be saved.", why, "Shorten it, or reload the page."
        )
    if sum(map(len, texts.values())) > LONGEST:
        raise BadInput(
            "This example is too long.",
            f"It has over {LONGEST:,} characters.",
            "Shorten it.",
        )

    def typed(messages: Sequence[Message], name: str) -> list[Message]:
        return [
            _typed(message, f"{name}-{at}", texts)
            for at, message in enumerate(messages)
        ]

    rejected = None if row.rejected is None else typed(row.rejected, "rejected")
    text = None if row.text is None else texts["text"]
    return replace(
        row, messages=typed(row.messages, "message"), rejected=rejected, text=text
    )


def _typed(message: Message, name: str, texts: Mapping[str, str]) -> Message:
    """The message with what was typed; its tool calls keep their ids, to which their
    results refer.
    """
    changed = (
        {**message, "content": texts[name]} if _has_text(message) else dict(message)
    )
    if calls := message.get("tool_calls"):
        try:
            typed = calls_in_text(
                texts[f"calls-{name}"], int(name.partition("-")[2]) + 1
            )
        except RowFault as fault:
            raise BadInput(
                "This tool call can't be saved.",
                fault.message,
                "Correct it, then save again.",
            ) from fault
        for before, call in zip(calls, typed, strict=False):
            call.update({"id": before["id"]} if "id" in before else {})
        changed["tool_calls"] = typed
    return changed
