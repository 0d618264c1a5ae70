"""Every shape is converted to the conversation it means, or reported as a fault of its row."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from backend.datasets.checks.issues import ISSUE_TYPES
from backend.datasets.read.load import Limits, ReadOptions
from backend.records.rows import Dataset, Message, Row, is_learned
from backend.settings import PROJECT_ROOT
from tests.backend.datasets.builders import load_text

Q, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
B = {"role": "assistant", "content": "b"}
GOOD = {"messages": [Q, A]}


def rows(*records: Any) -> Dataset:
    return load_text("\n".join(json.dumps(record, ensure_ascii=False) for record in records))


def only(record: Any) -> Row:
    data = rows(record)
    assert [p for p in data.problems if p.row] == []
    return data.rows[0]


def turns(*texts: str) -> list[Message]:
    """turns("q", "a", "q2") as messages; a first text that starts with "system: " is the system message."""
    messages: list[Message] = []
    for text in texts:
        if text.startswith("system: "):
            messages.append({"role": "system", "content": text[8:]})
        else:
            role = "assistant" if messages and messages[-1]["role"] == "user" else "user"
            messages.append({"role": role, "content": text})
    return messages


def gpt(text: str) -> dict[str, str]:
    return {"from": "gpt", "value": text}


def human(text: str) -> dict[str, str]:
    return {"from": "human", "value": text}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (GOOD, turns("q", "a")),
        ({"messages": [Q, A], "system": "s"}, turns("system: s", "q", "a")),
        ({"messages": [{"role": "system", "content": "own"}, Q, A], "system": "s"}, turns("system: own", "q", "a")),
        ({"messages": [{"role": "developer", "content": "s"}, Q, A]}, turns("system: s", "q", "a")),
        ({"messages": json.dumps([Q, A])}, turns("q", "a")),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "text", "text": "r"}]},
                    A,
                ]
            },
            turns("q\nr", "a"),
        ),
        ({"conversations": [human("q"), gpt("a"), human("q2"), gpt("a2")]}, turns("q", "a", "q2", "a2")),
        ({"conversations": [human("q"), gpt("a")], "system": "s"}, turns("system: s", "q", "a")),
        ({"conversations": [human("q"), gpt("a")], "system": ""}, turns("q", "a")),
        ({"conversations": [{"from": "system", "value": "s"}, human("q"), gpt("a")]}, turns("system: s", "q", "a")),
        ({"conversations": [{"from": "User", "value": "q"}, {"from": "ChatGPT", "value": "a"}]}, turns("q", "a")),
        ({"instruction": "i", "input": "", "output": "o"}, turns("i", "o")),
        ({"instruction": "i", "input": "x", "output": "o"}, turns("i\nx", "o")),
        ({"instruction": "i", "input": None, "output": "o", "system": "s"}, turns("system: s", "i", "o")),
        (
            {"instruction": "i", "output": "o", "history": [["q", "a"], ["r", "b"]]},
            turns("q", "a", "r", "b", "i", "o"),
        ),
        ({"instruction": "", "input": "x", "output": "o"}, turns("x", "o")),
        ({"prompt": "p", "completion": "c"}, turns("p", "c")),
        ({"prompt": [Q], "completion": [A]}, turns("q", "a")),
        ({"prompt": [{"role": "system", "content": "s"}, Q], "completion": "c"}, turns("system: s", "q", "c")),
        ({"question": "q", "context": "c", "answer": "a"}, turns("q\n\nc", "a")),
        ({"question": "2 + 2?", "answer": 4}, turns("2 + 2?", "4")),
        ({"question": "True?", "answer": False}, turns("True?", "false")),
    ],
)
def test_conversations_are_converted(record: dict[str, Any], expected: list[Message]) -> None:
    row = only(record)
    assert row.messages == expected
    assert row.rejected is None
    assert row.text is None


@pytest.mark.parametrize(
    ("record", "messages", "rejected"),
    [
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, turns("q", "a"), "b"),
        ({"prompt": [Q], "chosen": [A], "rejected": [B]}, turns("q", "a"), "b"),
        ({"instruction": "i", "input": "x", "chosen": "a", "rejected": "b"}, turns("i\nx", "a"), "b"),
        ({"system": "s", "question": "q", "chosen": "a", "rejected": "b"}, turns("system: s", "q", "a"), "b"),
        ({"conversations": [human("q")], "chosen": gpt("a"), "rejected": gpt("b")}, turns("q", "a"), "b"),
        ({"chosen": [Q, A], "rejected": [Q, B]}, turns("q", "a"), "b"),
        ({"prompt": "q", "chosen": [Q, A], "rejected": [Q, B]}, turns("q", "a"), "b"),
        (
            {
                "chosen": "\n\nHuman: q\n\nAssistant: a\n\nHuman: q2\n\nAssistant: a2",
                "rejected": "\n\nHuman: q\n\nAssistant: a\n\nHuman: q2\n\nAssistant: b",
            },
            turns("q", "a", "q2", "a2"),
            "b",
        ),
        (
            {"input": {"messages": [Q], "tools": []}, "preferred_output": [A], "non_preferred_output": [B]},
            turns("q", "a"),
            "b",
        ),
    ],
)
def test_preference_pairs_are_converted(record: dict[str, Any], messages: list[Message], rejected: str) -> None:
    row = only(record)
    assert row.messages == messages
    assert row.rejected == [{"role": "assistant", "content": rejected}]
    (note,) = rows(record).problems
    assert (note.row, note.kind, note.severity) == (0, "preference_pairs", "warning")


def test_llama_factory_parts_and_pairs_are_read() -> None:
    asked, good, bad = (
        {"role": role, "content": [{"type": "text", "value": text}], "loss_weight": 1.0}
        for role, text in (("user", "q"), ("assistant", "a"), ("assistant", "b"))
    )
    row = only({"chosen_messages": [asked, good], "rejected_messages": [asked, bad]})
    assert (row.messages, row.rejected) == (turns("q", "a"), [{"role": "assistant", "content": "b"}])


def test_ignored_images_get_a_warning() -> None:
    (note,) = rows({"messages": turns("What is on <image>?", "A cat."), "images": ["cat.png"]}).problems
    assert (note.row, note.kind, "'images'" in note.message) == (0, "media_ignored", True)


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


CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
TOOL = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    "record",
    [
        {
            "messages": [
                Q,
                {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": "1"}]},
                {"role": "tool", "tool_call_id": "1", "content": "sunny"},
                A,
            ],
            "tools": [TOOL],
        },
        {
            "messages": [
                Q,
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "1", "content": "sunny"},
                A,
            ],
            "tools": json.dumps([TOOL["function"]]),
        },
        {
            "messages": [
                Q,
                {
                    "role": "assistant",
                    "content": None,
                    "function_call": {"name": "weather", "arguments": '{"city": "Rome"}'},
                },
                {"role": "function", "name": "weather", "content": "sunny"},
                A,
            ],
            "functions": [TOOL["function"]],
        },
        {
            "conversations": [
                human("q"),
                {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Rome"}}'},
                {"from": "observation", "value": "sunny"},
                gpt("a"),
            ],
            "tools": json.dumps([TOOL["function"]]),
        },
    ],
)
def test_tool_calls_are_converted_to_one_form(record: dict[str, Any]) -> None:
    row = only(record)
    assert [m["role"] for m in row.messages] == ["user", "assistant", "tool", "assistant"]
    assert row.messages[1]["content"] == ""
    assert [{k: v for k, v in call.items() if k != "id"} for call in row.messages[1]["tool_calls"]] == [CALL]
    assert row.messages[2]["content"] == "sunny"
    assert row.tools == [TOOL]


PAIR = {"prompt": "q", "chosen": "a", "rejected": "b"}
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "empty_messages"),
    ({"messages": None, "id": 1}, "empty_messages"),
    ({"messages": {"role": "user"}}, "messages_not_a_list"),
    ({"messages": "hello"}, "bad_json"),
    ({"messages": ["hello"]}, "bad_message"),
    ({"messages": [{"content": "q"}, A]}, "missing_role"),
    ({"messages": [{"role": None, "content": "q"}, A]}, "missing_role"),
    ({"messages": [{"role": "narrator", "content": "q"}, A]}, "unknown_role"),
    ({"messages": [{"role": ["user"], "content": "q"}, A]}, "unknown_role"),
    ({"messages": [{"role": "Users", "content": "q"}, A]}, "unknown_role"),
    ({"messages": [Q, {"role": "assistant", "content": None}]}, "content_null"),
    ({"messages": [Q, {"role": "assistant"}]}, "content_null"),
    ({"messages": [Q, {"role": "assistant", "content": None, "tool_calls": []}]}, "content_null"),
    ({"messages": [{"role": "user", "content": 5}, A]}, "content_not_text"),
    ({"messages": [{"role": "user", "content": {"text": "q"}}, A]}, "content_not_text"),
    ({"messages": [{"role": "user", "content": []}, A]}, "content_not_text"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, A]}, "content_not_text"),
    ({"messages": [Q, {"role": "assistant", "content": None, "tool_calls": [{"name": ""}]}]}, "bad_tool_call"),
    ({"messages": [Q, {"role": "assistant", "content": None, "tool_calls": "x"}]}, "bad_tool_call"),
    ({"messages": [Q, {**A, "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]}, "bad_tool_call"),
    ({"messages": [Q, A], "tools": "not json"}, "bad_tools"),
    ({"messages": [Q, A], "tools": [{"description": "no name"}]}, "bad_tools"),
    ({"messages": [Q, A], "system": {"a": 1}}, "content_not_text"),
    ({"messages": None, "id": None}, "empty_row"),
    ({}, "empty_row"),
    ({"other": 1}, "missing_field"),
]


@pytest.mark.parametrize(("record", "kind"), FAULTS)
def test_an_unusable_row_is_reported(record: dict[str, Any], kind: str) -> None:
    data = rows(*[GOOD] * 30, record, GOOD)
    assert [(p.line, p.row, p.kind, p.severity) for p in data.problems] == [(31, 31, kind, "error")]
    assert len(data.rows) == 31
    problem = data.problems[0]
    assert problem.message.endswith(".")
    assert problem.message[0].isupper()
    assert len(problem.quote) < 120


@pytest.mark.parametrize(
    ("good", "bad", "kind"),
    [
        ({"instruction": "i", "output": "o"}, {"instruction": "i", "output": None}, "content_null"),
        ({"instruction": "i", "output": "o"}, {"instruction": None, "output": "o"}, "content_null"),
        ({"instruction": "i", "output": "o"}, {"instruction": "i", "output": {"a": 1}}, "content_not_text"),
        (
            {"instruction": "i", "output": "o", "history": []},
            {"instruction": "i", "output": "o", "history": [["q"]]},
            "bad_message",
        ),
        ({"question": "q", "answer": "a"}, {"question": None, "answer": "a"}, "content_null"),
        ({"question": "q", "answer": "a"}, {"question": "q", "answer": ["a"]}, "content_not_text"),
        ({"question": "q", "answer": "a"}, {"question": "", "answer": ""}, "empty_row"),
        (
            {"prompt": "q", "chosen": "a", "rejected": "b"},
            {"prompt": "q", "chosen": None, "rejected": "b"},
            "content_null",
        ),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, {"chosen": "a", "rejected": "b"}, "missing_field"),
        (
            {"conversations": [human("q"), gpt("a")]},
            {"conversations": [{"from": "crowd", "value": "x"}]},
            "unknown_role",
        ),
        (
            {"conversations": [human("q"), gpt("a")]},
            {"conversations": [human("q"), {"from": "function_call", "value": "no json"}]},
            "bad_tool_call",
        ),
        ({"text": "t"}, {"text": None, "id": 1}, "content_null"),
        ({"text": "t"}, {"text": 5.5}, None),
    ],
)
def test_faults_of_the_other_shapes(good: dict[str, Any], bad: dict[str, Any], kind: str | None) -> None:
    data = rows(good, good, bad, good)
    assert [(p.line, p.kind) for p in data.problems if p.row] == ([(3, kind)] if kind else [])
    assert len(data.rows) == (3 if kind else 4)


def test_too_much_text_is_reported() -> None:
    long = {"messages": [Q, {"role": "assistant", "content": "x" * 500}]}
    text = "\n".join(json.dumps(r) for r in (GOOD, long, GOOD))
    data = load_text(text, options=ReadOptions(limits=Limits(field_chars=400)))
    assert [(p.line, p.kind) for p in data.problems] == [(2, "field_too_large")]
    data = load_text(text, options=ReadOptions(limits=Limits(row_chars=400)))
    assert [(p.line, p.kind) for p in data.problems] == [(2, "row_too_large")]


def test_a_nul_character_stays_in_the_row_for_the_checks() -> None:
    assert only({"messages": [Q, {"role": "assistant", "content": "a\0b"}]}).messages[1]["content"] == "a\0b"


def test_every_kind_reported_while_reading_has_an_issue_type() -> None:
    source = "".join(path.read_text("utf-8") for path in (PROJECT_ROOT / "backend" / "datasets").rglob("*.py"))
    named = set(re.findall(r'RowFault\(\s*"(\w+)"', source)) | set(re.findall(r'\.note\(\s*"(\w+)"', source))
    assert {"bad_json", "ragged_row", "mixed_shapes", "encoding"} <= named
    assert named <= set(ISSUE_TYPES)


@pytest.mark.parametrize(
    "answer",
    [
        {"content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]},
        {"content": [{"type": "reasoning", "text": "t"}, {"type": "output_text", "text": "a"}]},
        {"content": "a", "thinking": "t"},
        {"content": "a", "reasoning": "t"},
        {"content": "a", "reasoning_content": "t"},
    ],
)
def test_the_thoughts_of_a_model_are_kept_apart(answer: dict[str, Any]) -> None:
    row = only({"messages": [Q, {"role": "assistant", **answer}]})
    assert row.messages == [Q, {**A, "reasoning_content": "t"}]


def test_what_was_said_before_is_not_taken_for_the_whole_conversation() -> None:
    record = {"chat_history": [{"role": "USER", "message": "q0"}], "question": "q", "answer": "a"}
    assert [row.messages for row in rows(record, record).rows] == [[Q, A]] * 2


@pytest.mark.parametrize("key", ["weight", "loss_weight"])
def test_weights_of_answers_are_obeyed(key: str) -> None:
    asked = {"role": "user", "content": "q", key: 0}
    weights: list[Any] = [0, 0.0, 1, None]
    chats = [{"messages": [asked, {"role": "assistant", "content": "a", key: weight}]} for weight in weights]
    data = rows(*chats)
    assert [is_learned(row.messages[1]) for row in data.rows] == [False, False, True, True]
    assert all(is_learned(row.messages[0]) for row in data.rows)
    assert (data.problems, data.source.ignored) == ([], ())
    odd = rows(*chats, {"messages": [asked, {"role": "assistant", "content": "a", key: 0.5}]})
    assert [p.kind for p in odd.problems] == ["weights_ignored"]
    assert is_learned(odd.rows[-1].messages[1])


class TestOpenAI:
    """The files of OpenAI's fine-tuning service (its guides "Supervised fine-tuning" and "Direct preference
    optimization"), which closes to new jobs."""

    def test_chats(self) -> None:
        data = rows(
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "q"},
                    {"role": "assistant", "content": "a", "weight": 0},
                    {"role": "user", "content": "again"},
                    {"role": "assistant", "content": "b", "weight": 1},
                ]
            }
        )
        assert [is_learned(message) for message in data.rows[0].messages] == [True, True, False, True, True]
        assert data.problems == []

    def test_tools(self) -> None:
        function = {"name": "find", "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}}
        call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"id": "7"}'}}
        data = rows(
            {
                "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "tool_calls": [call]}],
                "parallel_tool_calls": False,
                "tools": [{"type": "function", "function": function}],
            }
        )
        [row] = data.rows
        assert row.messages[1]["tool_calls"][0]["function"] == {"name": "find", "arguments": {"id": "7"}}
        assert row.tools == [{"type": "function", "function": function}]

    def test_preferences(self) -> None:
        data = rows(
            {
                "input": {"messages": [{"role": "user", "content": "q"}], "tools": [], "parallel_tool_calls": True},
                "preferred_output": [{"role": "assistant", "content": "good"}],
                "non_preferred_output": [{"role": "assistant", "content": "bad"}],
            }
        )
        [row] = data.rows
        assert [m["content"] for m in row.messages] == ["q", "good"]
        assert row.rejected == [{"role": "assistant", "content": "bad"}]
