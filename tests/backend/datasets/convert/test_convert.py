"""Every shape is converted to the conversation it means, or reported as a fault of its
row.
"""

import json
import re
from typing import Any

import pytest

from backend.datasets.checks.issues import ISSUE_TYPES
from backend.datasets.convert.messages import as_json
from backend.datasets.read.load import Limits, ReadOptions
from backend.records.rows import Dataset, Message, Row, is_learned
from backend.settings import PROJECT_ROOT
from tests.backend.datasets.builders import load_text
from tests.cases import cases

Q, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
GOOD = {"messages": [Q, A]}


def rows(*records: Any) -> Dataset:
    return load_text(
        "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    )


def only(record: Any) -> Row:
    data = rows(record)
    assert [p for p in data.problems if p.row] == []
    return data.rows[0]


@pytest.mark.parametrize(("record", "expected"), cases("convert", "conversations"))
def test_conversations_are_converted(
    record: dict[str, Any], expected: list[Message]
) -> None:
    row = only(record)
    assert row.messages == expected
    assert row.rejected is None
    assert row.text is None


@pytest.mark.parametrize(("record", "messages", "rejected"), cases("convert", "pairs"))
def test_preference_pairs_are_converted(
    record: dict[str, Any], messages: list[Message], rejected: str
) -> None:
    row = only(record)
    assert (row.messages, row.rejected) == (
        messages,
        [{"role": "assistant", "content": rejected}],
    )
    (note,) = rows(record).problems
    assert (note.row, note.kind, note.severity) == (0, "preference_pairs", "warning")


def test_parts_are_read_and_images_are_ignored_with_a_warning() -> None:
    asked, good, bad = (
        {"role": role, "content": [{"type": "text", "value": text}], "loss_weight": 1.0}
        for role, text in (("user", "q"), ("assistant", "a"), ("assistant", "b"))
    )
    row = only({"chosen_messages": [asked, good], "rejected_messages": [asked, bad]})
    assert (row.messages, row.rejected) == (
        [Q, A],
        [{"role": "assistant", "content": "b"}],
    )
    (note,) = rows(
        {
            "messages": [{**Q, "content": "What is on <image>?"}, A],
            "images": ["cat.png"],
        }
    ).problems
    assert (note.row, note.kind, "'images'" in note.message) == (
        0,
        "media_ignored",
        True,
    )


def test_bad_answers_of_kto_are_left_out() -> None:
    data = rows(
        {"prompt": "q", "completion": "good", "label": True},
        {"prompt": "q", "completion": "bad", "label": False},
        {"prompt": "q", "completion": "good too", "label": True},
    )
    assert [row.messages[-1]["content"] for row in data.rows] == ["good", "good too"]
    assert [(p.row, p.kind, p.severity) for p in data.problems] == [
        (0, "kto_labels", "warning"),
        (2, "kto_label", "error"),
    ]
    assert "chosen" in data.problems[0].fix
    assert "rejected" in data.problems[0].fix


CALL = {
    "type": "function",
    "function": {"name": "weather", "arguments": {"city": "Rome"}},
}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "d",
        "parameters": {"type": "object"},
    },
}


@pytest.mark.parametrize("record", cases("convert", "tool_calls"))
def test_tool_calls_are_converted_to_one_form(record: dict[str, Any]) -> None:
    row = only(record)
    assert [m["role"] for m in row.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert row.messages[1]["content"] == ""
    assert [
        {k: v for k, v in call.items() if k != "id"}
        for call in row.messages[1]["tool_calls"]
    ] == [CALL]
    assert (row.messages[2]["content"], row.tools) == ("sunny", [TOOL])


@pytest.mark.parametrize(("record", "kind"), cases("convert", "faults"))
def test_an_unusable_row_is_reported(record: dict[str, Any], kind: str) -> None:
    data = rows(*[GOOD] * 30, record, GOOD)
    assert [(p.line, p.row, p.kind, p.severity) for p in data.problems] == [
        (31, 31, kind, "error")
    ]
    assert len(data.rows) == 31
    problem = data.problems[0]
    assert problem.message.endswith(".")
    assert problem.message[0].isupper()
    assert len(problem.quote) < 120


@pytest.mark.parametrize(("good", "bad", "kind"), cases("convert", "faults_of_shapes"))
def test_faults_of_the_other_shapes(
    good: dict[str, Any], bad: dict[str, Any], kind: str | None
) -> None:
    data = rows(good, good, bad, good)
    assert [(p.line, p.kind) for p in data.problems if p.row] == (
        [(3, kind)] if kind else []
    )
    assert len(data.rows) == (3 if kind else 4)


def test_too_much_text_is_reported_and_a_nul_stays() -> None:
    long = {"messages": [Q, {"role": "assistant", "content": "x" * 500}]}
    text = "\n".join(json.dumps(r) for r in (GOOD, long, GOOD))
    data = load_text(text, options=ReadOptions(limits=Limits(field_chars=400)))
    assert [(p.line, p.kind) for p in data.problems] == [(2, "field_too_large")]
    data = load_text(text, options=ReadOptions(limits=Limits(row_chars=400)))
    assert [(p.line, p.kind) for p in data.problems] == [(2, "row_too_large")]
    assert (
        only({"messages": [Q, {"role": "assistant", "content": "a\0b"}]}).messages[1][
            "content"
        ]
        == "a\0b"
    )


def test_every_kind_reported_while_reading_has_an_issue_type() -> None:
    source = "".join(
        path.read_text("utf-8")
        for path in (PROJECT_ROOT / "backend" / "datasets").rglob("*.py")
    )
    named = set(re.findall(r'RowFault\(\s*"(\w+)"', source)) | set(
        re.findall(r'\.note\(\s*"(\w+)"', source)
    )
    assert {"bad_json", "ragged_row", "mixed_shapes", "encoding"} <= named
    assert named <= set(ISSUE_TYPES)


@pytest.mark.parametrize(
    "answer",
    [
        {"content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]},
        {"content": [{"type": "reasoning", "text": "t"}, {"type": "output_text", "text": "a"}]},
        {"content": "a", "thinking": "t"}, {"content": "a", "reasoning": "t"},
        {"content": "a", "reasoning_content": "t"},
    ],
)  # fmt: skip
def test_the_thoughts_of_a_model_are_kept_apart(answer: dict[str, Any]) -> None:
    row = only({"messages": [Q, {"role": "assistant", **answer}]})
    assert row.messages == [Q, {**A, "reasoning_content": "t"}]


def test_what_was_said_before_is_not_taken_for_the_whole_conversation() -> None:
    record = {
        "chat_history": [{"role": "USER", "message": "q0"}],
        "question": "q",
        "answer": "a",
    }
    assert [row.messages for row in rows(record, record).rows] == [[Q, A]] * 2


@pytest.mark.parametrize("key", ["weight", "loss_weight"])
def test_weights_of_answers_are_obeyed(key: str) -> None:
    asked = {"role": "user", "content": "q", key: 0}
    weights: list[Any] = [0, 0.0, 1, None]
    chats = [
        {"messages": [asked, {"role": "assistant", "content": "a", key: weight}]}
        for weight in weights
    ]
    data = rows(*chats)
    assert [is_learned(row.messages[1]) for row in data.rows] == [
        False,
        False,
        True,
        True,
    ]
    assert all(is_learned(row.messages[0]) for row in data.rows)
    assert (data.problems, data.source.ignored) == ([], ())
    odd = rows(
        *chats, {"messages": [asked, {"role": "assistant", "content": "a", key: 0.5}]}
    )
    assert [p.kind for p in odd.problems] == ["weights_ignored"]
    assert is_learned(odd.rows[-1].messages[1])


class TestOpenAI:
    """The files of OpenAI's fine-tuning service (its guides "Supervised fine-tuning"
    and "Direct preference optimization"), which closes to new jobs.
    """

    def test_tools(self) -> None:
        function = {
            "name": "find",
            "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
        }
        call = {
            "id": "c1",
            "type": "function",
            "function": {"name": "find", "arguments": '{"id": "7"}'},
        }
        data = rows(
            {
                "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [call]}],
                "parallel_tool_calls": False, "tools": [{"type": "function", "function": function}],
            }
        )  # fmt: skip
        [row] = data.rows
        assert row.messages[1]["tool_calls"][0]["function"] == {
            "name": "find",
            "arguments": {"id": "7"},
        }
        assert row.tools == [{"type": "function", "function": function}]

    def test_preferences(self) -> None:
        data = rows(
            {
                "input": {
                    "messages": [{"role": "user", "content": "q"}],
                    "tools": [],
                    "parallel_tool_calls": True,
                },
                "preferred_output": [{"role": "assistant", "content": "good"}],
                "non_preferred_output": [{"role": "assistant", "content": "bad"}],
            }
        )
        [row] = data.rows
        assert [m["content"] for m in row.messages] == ["q", "good"]
        assert row.rejected == [{"role": "assistant", "content": "bad"}]


def test_what_is_passed_over_beyond_a_thousand_parts_is_counted() -> None:
    data = rows(
        *({"question": f"q{n}", "answers": ["a", f"b{n}"]} for n in range(1_100))
    )
    assert (len(data.source.passed), "100 more" in data.source.passed[-1].why) == (
        1_001,
        True,
    )


def test_records_in_an_answer_are_json_but_messages_and_parts_are_not() -> None:
    assert as_json([{"type": "order", "value": 5}]) == '[{"type": "order", "value": 5}]'
    for other in (
        [],
        "a",
        [{"role": "user", "content": "q"}],
        {"type": "text", "text": "a"},
        [{"a": 1}, "b"],
        {},
    ):
        assert as_json(other) == ""
