"""The form of a run's answers, as a JSON schema."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadSetting
from backend.runs.answer_form import EDITED, answer_form
from backend.runs.conversations import write_conversations

PLAIN = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("answers", "properties"),
    [
        ([{"a": 1}, {"a": 2}], {"a": {"type": "integer"}}),
        ([{"a": 1, "b": None}, {"a": 2.5, "b": "x"}], {"a": {"type": "number"}, "b": {"type": ["null", "string"]}}),
        ([{"a": True}, {"a": 1}], {"a": {"type": ["boolean", "integer"]}}),
        ([{"a": {"a": 1}}, {"a": None}], {"a": {"anyOf": [{"type": "null"}, PLAIN]}}),
        ([{"a": [1]}, {"a": []}], {"a": {"type": "array", "items": {"type": "integer"}}}),
        ([{"a": 1}, {"b": 1}], None), ([{"a": 1, "b": 1}, {"b": 1, "a": 1}], None), ([{"a": 1}, "text"], None),
        (["text"], None), ([], None),
    ],
)  # fmt: skip
def test_forms(
    tmp_path: Path, answers: list[Any], properties: dict[str, Any] | None
) -> None:
    texts = [
        answer if isinstance(answer, str) else json.dumps(answer) for answer in answers
    ]
    turns = [
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": text}]
        for text in texts
    ]
    write_conversations(tmp_path, "train", turns)  # type: ignore[arg-type]
    form = answer_form(tmp_path)
    assert (form and form["properties"]) == properties
    assert answer_form(tmp_path / "none") is None
    (tmp_path / EDITED).write_text(
        json.dumps(PLAIN), "utf-8-sig"
    )  # as some editors of Windows save it
    assert answer_form(tmp_path) == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"oneOf": []}',
        '{"type": "text"}',
        '{"$defs": 1}',
        "\xff",
        "[" * 9999,
    ],
)
def test_an_edited_form_that_cant_be_used_names_its_file(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / EDITED).write_text(text, "latin-1")
    with pytest.raises(
        BadSetting, match=rf"form in .*{tmp_path.name}/form\.json (is|has|can't)"
    ):
        answer_form(tmp_path)
