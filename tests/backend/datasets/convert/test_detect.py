"""The shape and the columns are detected from the content of a file, and the user's choice wins."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.datasets.convert.mapping import NoExamples
from backend.datasets.convert.shapes import SHAPES
from backend.datasets.read.load import ReadOptions
from backend.errors import BadInput
from backend.records.rows import Dataset
from tests.backend.datasets.builders import load_text

USER, ASSISTANT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
HUMAN, GPT = {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}


def jsonl(*rows: Any, **options: Any) -> Dataset:
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return load_text(text, options=ReadOptions(**options))


def found(data: Dataset) -> list[tuple[int, str]]:
    return [(p.line, p.kind) for p in data.problems]


@pytest.mark.parametrize(
    ("row", "shape", "mapping"),
    [
        ({"messages": [USER, ASSISTANT]}, "messages", {"messages": "messages"}),
        ({"conversation": [USER, ASSISTANT]}, "messages", {"messages": "conversation"}),
        ({"conversations": [HUMAN, GPT]}, "sharegpt", {"messages": "conversations"}),
        (
            {"conversations": [HUMAN, GPT], "system": "s", "tools": "[]", "id": "1"},
            "sharegpt",
            {"messages": "conversations", "system": "system", "tools": "tools"},
        ),
        (
            {"instruction": "i", "input": "", "output": "o"},
            "alpaca",
            {"instruction": "instruction", "input": "input", "output": "output"},
        ),
        (
            {"instruction": "i", "context": "c", "response": "o", "category": "x"},
            "alpaca",
            {"instruction": "instruction", "input": "context", "output": "response"},
        ),
        ({"prompt": "p", "completion": "c"}, "prompt_completion", {"prompt": "prompt", "completion": "completion"}),
        (
            {"prompt": [USER], "completion": [ASSISTANT]},
            "prompt_completion",
            {"prompt": "prompt", "completion": "completion"},
        ),
        ({"prompt": "p", "response": "r"}, "question_answer", {"question": "prompt", "answer": "response"}),
        ({"Frage": "p", "Antwort": "r"}, "question_answer", {"question": "Frage", "answer": "Antwort"}),
        ({"вопрос": "p", "ответ": "r"}, "question_answer", {"question": "вопрос", "answer": "ответ"}),
        ({"问题": "p", "答案": "r"}, "question_answer", {"question": "问题", "answer": "答案"}),
        ({"प्रश्न": "p", "उत्तर": "r"}, "question_answer", {"question": "प्रश्न", "answer": "उत्तर"}),
        ({"userMessage": "p", "Reply": "r"}, "question_answer", {"question": "userMessage", "answer": "Reply"}),
        ({"text": "t", "label": "spam"}, "question_answer", {"question": "text", "answer": "label"}),
        ({"text": "t", "url": "u"}, "text", {"text": "text"}),
        (
            {"prompt": "p", "chosen": "c", "rejected": "r"},
            "preference",
            {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"},
        ),
        (
            {"question": "p", "preferred": "c", "dispreferred": "r"},
            "preference",
            {"prompt": "question", "chosen": "preferred", "rejected": "dispreferred"},
        ),
        (
            {"instruction": "i", "input": "x", "accepted": "c", "rejected": "r"},
            "preference",
            {"prompt": "instruction", "input": "input", "chosen": "accepted", "rejected": "rejected"},
        ),
        (
            {"conversations": [HUMAN], "chosen": GPT, "rejected": GPT},
            "preference",
            {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
        ),
        (
            {"input": {"messages": [USER]}, "preferred_output": [ASSISTANT], "non_preferred_output": [ASSISTANT]},
            "preference",
            {"prompt": "input", "chosen": "preferred_output", "rejected": "non_preferred_output"},
        ),
        (
            {"prompt": "p", "completion": "c", "label": True},
            "kto",
            {"prompt": "prompt", "completion": "completion", "label": "label"},
        ),
        ({"messages": [USER, ASSISTANT], "kto_tag": True}, "kto", {"messages": "messages", "label": "kto_tag"}),
        (
            {"instruction": "i", "input": "", "output": "o", "kto_tag": True},
            "kto",
            {"prompt": "instruction", "completion": "output", "input": "input", "label": "kto_tag"},
        ),
        (
            {"prompt": "p", "response": "r", "kto_tag": True},
            "kto",
            {"prompt": "prompt", "completion": "response", "label": "kto_tag"},
        ),
    ],
)
def test_the_shape_is_detected(row: dict[str, Any], shape: str, mapping: dict[str, str]) -> None:
    data = jsonl(row, row)
    assert data.source.shape == shape
    assert data.source.mapping == mapping
    assert len(data.rows) == 2
    assert set(data.source.ignored) == set(row) - set(mapping.values())


@pytest.mark.parametrize(
    ("header", "rows", "question", "answer"),
    [
        ("x,y", ["Where is it?,It is over there by the door.", "Who is that?,That is the old owner."], "x", "y"),
        ("y,x", ["It is over there by the door.,Where is it?", "That is the old owner.,Who is that?"], "x", "y"),
        (
            "id,kolumna,tekst",
            ["1,kort,a much longer text stands here", "2,andra,another long text is here"],
            "kolumna",
            "tekst",
        ),
        ("nr,our_reply_text,mail", ["1,yes of course,can you", "2,no never ever,will you"], "mail", "our_reply_text"),
        (
            "date,product,issue,fix",
            ["2026-01-01,a1,it fails to start at all,restart the whole machine please now"] * 2,
            "issue",
            "fix",
        ),
    ],
)
def test_columns_with_unclear_names_are_guessed_with_a_warning(
    header: str, rows: list[str], question: str, answer: str
) -> None:
    data = load_text("\n".join([header, *rows]), name="x.csv")
    assert data.source.mapping == {"question": question, "answer": answer}
    assert [p.kind for p in data.problems] == ["mapping_guessed"]
    assert repr(question) in data.problems[0].message


_REPLIES = [
    "It opens at nine.",
    "We send it back to you.",
    "Please call us about that.",
    "No, but soon.",
    "Yes, it is.",
]
_ASKED = ["When do you open?", "What about my parcel?", "Is it broken?", "Do you sell tea?", "Is it free?"]


def _table(**columns: list[str]) -> str:
    return json.dumps([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("model", ["gpt-4o"] * 5),
        ("agent", ["Anna Schmidt", "Tom", "Anna Schmidt", "Tom", "Ute Ng"]),
        ("agent", ["anna@example.org", "tom@example.org"] * 2 + ["x@y.de"]),
        ("bot", ["2026-01-02 10:11", "2026-01-03 10:11", "2026-02-02 11:11", "2026-03-02 10:19", "2026-01-09 10:11"]),
        ("Vermerk", ["done"] * 5),
        ("Erledigt am", ["1. März 2026", "02.03.2026", "3/4/2026", "4.3.2026", "5.3.2026"]),
        ("Kontakt", ["a@x.de", "b@x.de", "c@x.de", "d@x.de", "e@x.de"]),
        ("Bearbeiter", ["Anna Schmidt", "Tom Weber", "Ute Ng", "Jan Ott", "Eva Rau"]),
        ("Vorgang", ["A-1001", "A-1002", "A-1003", "A-1004", "A-1005"]),
        ("Seite", ["https://x.de/a", "https://x.de/b", "https://x.de/c", "https://x.de/d", "https://x.de/e"]),
    ],
)
def test_a_column_of_something_else_is_asked_about(name: str, values: list[str]) -> None:
    with pytest.raises(NoExamples) as caught:
        load_text(_table(question=_ASKED, **{name: values}))
    assert caught.value.columns == ("question", name)
    assert name in caught.value.why
    mapping = {"question": "question", "answer": name}
    data = load_text(_table(question=_ASKED, **{name: values}), options=ReadOptions(mapping=mapping))
    assert len(data.rows) == 5


@pytest.mark.parametrize(
    "columns",
    [
        {"question": _ASKED, "answer": ["42"] * 5},
        {"text": _ASKED, "label": ["Billing"] * 5},
        {"user": _ASKED, "assistant": _REPLIES},
        {"Agent": ["Anna", "Tom", "Ute", "Jan", "Eva"], "Frage": _ASKED, "Antwort": _REPLIES},
        {"Bearbeiter": ["Anna", "Tom", "Ute", "Jan", "Eva"], "Was man fragt": _ASKED, "Was wir sagen": _REPLIES},
        {"Mail": ["a@x.de", "b@x.de", "c@x.de", "d@x.de", "e@x.de"], "Er fragt": _ASKED, "Wir sagen": _REPLIES},
    ],
)
def test_clear_columns_are_not_asked_about(columns: dict[str, list[str]]) -> None:
    data = load_text(_table(**columns))
    asked = [row.messages[0]["content"] for row in data.rows]
    assert asked == _ASKED


def test_three_columns_that_could_all_be_it_are_asked_about() -> None:
    columns = {"Betreff": [text.rstrip("?") for text in _ASKED], "Notiz": _REPLIES, "Zusatz": _REPLIES[::-1]}
    with pytest.raises(NoExamples, match="Betreff, Notiz, Zusatz, Nr") as asked:
        load_text(_table(**columns, Nr=list(map(str, range(len(_ASKED))))))
    assert asked.value.columns == ("Betreff", "Notiz", "Zusatz", "Nr")


def test_the_columns_can_be_chosen() -> None:
    text = "a,b,c\nq1,x,r1\nq2,y,r2\n"
    data = load_text(text, options=ReadOptions(mapping={"question": "a", "answer": "c", "system": "b"}))
    assert data.rows[1].messages == [
        {"role": "system", "content": "y"},
        {"role": "user", "content": "q2"},
        {"role": "assistant", "content": "r2"},
    ]
    assert data.source.mapping == {"question": "a", "answer": "c", "system": "b"}
    assert data.problems == []
    data = load_text(text, options=ReadOptions(mapping={"text": "c"}))
    assert [row.text for row in data.rows] == ["r1", "r2"]


def test_a_chosen_shape_wins_over_detection() -> None:
    data = jsonl({"question": "q", "answer": "a", "text": "t"}, shape="text")
    assert [row.text for row in data.rows] == ["t"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"mapping": {"question": "gone", "answer": "c"}}, "'gone'"),
        ({"mapping": {"answer": "c"}}, "question_answer (question, answer"),
        ({"mapping": {"nonsense": "c"}}, "question_answer (question, answer"),
        ({"shape": "poem"}, "'poem'"),
        ({"shape": "alpaca"}, "instruction and output"),
        ({"shape": "text", "mapping": {"text": "c", "answer": "a"}}, "'answer'"),
    ],
)
def test_a_wrong_choice_of_columns_is_rejected(options: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_text("a,b,c\nq1,x,r1\nq2,y,r2\n", options=ReadOptions(**options))
    assert word in str(caught.value)


def test_mixed_shapes_are_reported_with_their_first_lines() -> None:
    chat, alpaca = {"messages": [USER, ASSISTANT]}, {"instruction": "i", "output": "o"}
    data = jsonl(chat, chat, alpaca, chat, alpaca)
    assert found(data) == [(3, "mixed_shapes"), (5, "mixed_shapes")]
    for problem in data.problems:
        assert f"{SHAPES['messages'].title} (first on line 1)" in problem.message
        assert f"{SHAPES['alpaca'].title} (first on line 3)" in problem.message
    assert len(data.rows) == 3


def test_the_shape_of_most_rows_is_that_of_the_file() -> None:
    data = jsonl({"prompt": "p", "completion": "c"}, *[{"messages": [USER, ASSISTANT]}] * 3)
    assert data.source.shape == "messages"
    assert found(data) == [(1, "mixed_shapes")]


def test_rows_without_the_usual_fields_are_reported() -> None:
    data = jsonl({"messages": [USER, ASSISTANT]}, {"id": 7, "topic": "x"}, {"messages": [USER, ASSISTANT], "id": 8})
    assert found(data) == [(2, "missing_field")]
    assert "'messages'" in data.problems[0].message


def test_optional_columns_may_come_late() -> None:
    rows: list[dict[str, Any]] = [{"instruction": "i", "output": "o"}] * 300
    data = jsonl(*rows, {"instruction": "i", "output": "o", "system": "s", "source": "x"})
    assert data.problems == []
    assert data.rows[300].messages[0] == {"role": "system", "content": "s"}
    assert data.source.mapping["system"] == "system"
    assert data.source.ignored == ("source",)


def test_other_role_names_are_accepted_only_if_most_rows_use_them() -> None:
    human = {"messages": [{"role": "human", "content": "q"}, {"role": "gpt", "content": "a"}]}
    usual = {"messages": [USER, ASSISTANT]}
    assert [m["role"] for m in jsonl(human, human).rows[0].messages] == ["user", "assistant"]
    data = jsonl(usual, human, usual)
    assert found(data) == [(2, "unknown_role")]
    assert "'user'" in data.problems[0].fix


def test_unknown_keys_inside_messages_are_listed() -> None:
    data = jsonl({"messages": [USER, {**ASSISTANT, "mood": 1}]})
    assert data.source.ignored == ("message.mood",)
    assert data.rows[0].messages == [USER, ASSISTANT]
