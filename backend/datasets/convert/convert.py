"""Converts a record of any shape into the canonical Row."""

import re
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

from backend.datasets.convert.fields import as_lines, as_object
from backend.datasets.convert.mapping import Plan
from backend.datasets.convert.messages import (
    as_json,
    from_json,
    messages_from,
    system_text,
)
from backend.datasets.convert.tool_calls import tools_from
from backend.records.reading import Limits, RowFault, row_too_large
from backend.records.rows import Column, Message, Row
from backend.text.excerpt import excerpt

# The format of Anthropic's helpful-harmless pairs.
_SPEAKER = re.compile(r"\n\n(Human|Assistant): ?")
# May be several that would all do, or the parts of one.
_ANSWERS = ("answer", "output", "completion", "chosen", "rejected")
_STEP = re.compile(
    r"\s*(?:[-*•–]|(?:[^\W\d_]{3,8} )?\(?(\d{1,2})[.):])\s.*", re.DOTALL
)  # "- ", "1. " or "Step 1: "
# Names of columns.
_SEVERAL = re.compile(r"(?i:.*s|antworten|risposte|ideal|reference)")


class _Fields:
    """The fields of one record, looked up in their columns."""

    def __init__(
        self, record: dict[str, Any], mapping: Mapping[str, Column], plan: Plan
    ) -> None:
        self._record, self._mapping = record, mapping
        self.plan = plan

    def __getitem__(self, field: str) -> Any:
        column = self._mapping.get(field)
        if isinstance(column, str):
            return self._record.get(column)
        if not column:
            return None
        if field in _ANSWERS:
            return as_object(self._record, column, self.plan.numbers)
        return as_lines(self._record, column) or None

    def text(self, field: str) -> str:
        """The text of a required field; numbers become text. Raises RowFault."""
        value = self[field]
        if value is None:
            raise RowFault(
                "content_null",
                f"The {self.shown(field)} is missing.",
                "Add it, or remove this example.",
            )
        return self._as_text(field, value)

    def optional(self, field: str) -> str:
        """The text of an optional field, "" if it is missing."""
        value = self[field] if field != "system" else system_text(self[field])
        return "" if value is None else self._as_text(field, value)

    def _as_text(self, field: str, value: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return str(value)
        if (
            field in _ANSWERS
            and isinstance(value, list)
            and value
            and all(isinstance(text, str) for text in value)
        ):
            marks = [
                match and (match[1] or "-") for match in map(_STEP.fullmatch, value)
            ]  # of steps, from 1 on
            steps = len(value) > 1 and (
                set(marks) == {"-"}
                or marks == [str(n) for n in range(1, len(value) + 1)]
            )
            if steps and not _SEVERAL.fullmatch(str(self._mapping[field])):
                self.plan.others += [
                    ("division between steps, now one answer", text)
                    for text in value[1:]
                ]
                return "\n".join(value)
            self.plan.others += [
                ("other answer", text)
                for text in dict.fromkeys(value)
                if text != value[0]
            ]
            return str(value[0])
        if field not in ("system", "text") and (text := as_json(value)):
            return text
        fix = "Put it in quotes. If it has the texts of many examples, write one list, with an object for each of them."
        raise RowFault(
            "content_not_text",
            f"The {self.shown(field)} is not text.",
            fix,
            excerpt(str(value)),
        )

    def shown(self, field: str) -> str:
        """The field with its column, for use in a sentence."""
        column = self._mapping.get(field, field)
        column = column if isinstance(column, str) else ", ".join(column)
        return (
            field
            if column == field
            else f"{field} (column {excerpt(column, width=40)!r})"
        )

    def messages(self, field: str) -> list[Message]:
        """The conversation in a field. Raises RowFault."""
        return messages_from(self[field], self.plan.lenient, self.plan.unused_keys)


def convert(record: dict[str, Any], mapping: Mapping[str, Column], plan: Plan) -> Row:
    """The Row of `record`; its line and number are set later. Raises RowFault when it
    can't be used.
    """
    if not any(record.values()) and all(
        value is None or value == "" for value in record.values()
    ):
        raise RowFault("empty_row", "This example is empty.", "Remove this example.")
    fields = _Fields(record, mapping, plan)
    row = _CONVERTERS[plan.shape](fields)
    system = (
        fields.optional("system")
        if "system" in mapping and plan.shape != "text"
        else ""
    )
    if system.strip() and row.messages and row.messages[0]["role"] != "system":
        row.messages.insert(0, {"role": "system", "content": system})
    if "tools" in mapping:
        row.tools = row.tools or tools_from(fields["tools"])
    return row


def check_size(row: Row, limits: Limits) -> int:
    """The characters of the row. Raises RowFault when they are more than the limits
    allow.
    """
    sizes = [
        len(row.text or ""),
        *(len(m["content"]) for m in (*row.messages, *(row.rejected or ()))),
    ]
    size = sum(sizes)
    if row.text is None and size > limits.field_chars < max(sizes):
        what = (
            f"One text in this example has more than {limits.field_chars:,} characters."
        )
        raise RowFault("field_too_large", what, "Split it, or remove this example.")
    if size > limits.row_chars:
        raise row_too_large(limits.row_chars, "characters")
    return size


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _chat(fields: _Fields) -> Row:
    return Row(0, 0, fields.messages("messages"))


def _alpaca(fields: _Fields) -> Row:
    messages: list[Message] = []
    for pair in fields["history"] or ():
        if not (
            isinstance(pair, (list, tuple))
            and len(pair) == 2
            and all(isinstance(text, str) for text in pair)
        ):
            what = (
                "The earlier turns (history) are not pairs of a question and an answer."
            )
            raise RowFault("bad_message", what, "", excerpt(str(pair)))
        messages += [_user(pair[0]), _assistant(pair[1])]
    return Row(
        0,
        0,
        [
            *messages,
            _user(_instruction(fields, "instruction")),
            _assistant(fields.text("output")),
        ],
    )


def _instruction(fields: _Fields, field: str) -> str:
    text = fields.optional(field) if fields["input"] else fields.text(field)
    return "\n".join(part for part in (text, fields.optional("input")) if part)


def _question_answer(fields: _Fields) -> Row:
    question = "\n\n".join(
        part for part in (fields.text("question"), fields.optional("context")) if part
    )
    return Row(0, 0, [_user(question), _assistant(fields.text("answer"))])


def _prompt(fields: _Fields) -> list[Message]:
    """The messages before the answer: a conversation, one question, or OpenAI's object
    of messages and tools.
    """
    if fields["messages"] is not None:
        return fields.messages("messages")
    prompt = fields["prompt"]
    if isinstance(prompt, dict) and "messages" in prompt:
        return messages_from(
            prompt["messages"], fields.plan.lenient, fields.plan.unused_keys
        )
    if isinstance(prompt, list):
        return fields.messages("prompt")
    return [_user(_instruction(fields, "prompt"))]


def _answer(fields: _Fields, field: str) -> list[Message]:
    value = fields[field]
    if isinstance(value, str) and value.startswith("[{") and '"role"' in value:
        value = from_json(value, field)
    if (
        isinstance(value, list)
        and value
        and isinstance(value[0], dict)
        and isinstance(value[0].get("message"), dict)
    ):
        value = value[0]["message"]  # the first of several choices
    if text := as_json(value):
        return [_assistant(text)]
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list) and not (value and isinstance(value[0], str)):
        return messages_from(value, fields.plan.lenient, fields.plan.unused_keys)
    return [_assistant(fields.text(field))]


def _preference(fields: _Fields) -> Row:
    chosen, rejected = (
        _turns(_answer(fields, name)) for name in ("chosen", "rejected")
    )
    if (
        fields["prompt"] is None
        and fields["messages"] is None
        and fields["input"] is None
    ):
        shared = _shared(chosen, rejected)
        if not shared:
            raise RowFault(
                "missing_field",
                "This pair of answers has no question (prompt).",
                "Add the question.",
            )
        return Row(0, 0, chosen, rejected[shared:])
    before = _prompt(fields)
    prompt = fields["prompt"]
    tools = tools_from(prompt.get("tools")) if isinstance(prompt, dict) else None
    if len(chosen) > 1 and len(rejected) > 1 and (shared := _shared(chosen, rejected)):
        return Row(
            0, 0, chosen, rejected[shared:], tools
        )  # the answers repeat the question
    return Row(0, 0, [*before, *chosen], rejected, tools)


def _turns(answer: list[Message]) -> list[Message]:
    """The conversation in one text with "Human:" or "Assistant:" before each turn."""
    pieces = _SPEAKER.split(answer[0]["content"]) if len(answer) == 1 else [""]
    if len(pieces) < 3 or pieces[0].strip():
        return answer
    turns = zip(pieces[1::2], pieces[2::2], strict=True)
    return [
        (_user if who == "Human" else _assistant)(text.strip()) for who, text in turns
    ]


def _shared(first: list[Message], second: list[Message]) -> int:
    """How many messages at the start are the same in both, not counting the last one of
    either.
    """
    return sum(
        1
        for _ in takewhile(
            lambda pair: pair[0] == pair[1], zip(first[:-1], second[:-1], strict=False)
        )
    )


def _kto(fields: _Fields) -> Row:
    answer = [] if fields["completion"] is None else _answer(fields, "completion")
    row = Row(0, 0, [*_prompt(fields), *answer])
    label = fields["label"]
    if label is True or str(label).strip().lower() in ("true", "1"):
        return row
    raise RowFault(
        "kto_label",
        "This answer is marked as bad (label: false), and the model would learn to imitate it.",
        "Remove this example, or use pairs: a good answer (chosen) and a bad one (rejected) to the same question.",
        excerpt(row.messages[-1]["content"]),
    )


_CONVERTERS: dict[str, Callable[[_Fields], Row]] = {
    "messages": _chat,
    "sharegpt": _chat,
    "alpaca": _alpaca,
    "prompt_completion": lambda fields: Row(
        0, 0, [*_prompt(fields), *_answer(fields, "completion")]
    ),
    "question_answer": _question_answer,
    "preference": _preference,
    "kto": _kto,
    "text": lambda fields: Row(0, 0, text=fields.text("text")),
}
