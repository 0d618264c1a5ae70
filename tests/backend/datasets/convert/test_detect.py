"""The shape and the columns are detected from the content of a file, and the user's
choice wins.
"""

import json
import time
from typing import Any

import pytest

from backend.datasets.convert.propose import propose
from backend.datasets.convert.shapes import SHAPES
from backend.datasets.read.load import ReadOptions
from backend.errors import BadInput
from backend.records.rows import Dataset
from tests.backend.datasets.builders import load_text
from tests.cases import cases

USER, ASSISTANT = (
    {"role": "user", "content": "q"},
    {"role": "assistant", "content": "a"},
)


def jsonl(*rows: Any, **options: Any) -> Dataset:
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    return load_text(text, options=ReadOptions(**options))


def found(data: Dataset) -> list[tuple[int, str]]:
    return [(p.line, p.kind) for p in data.problems]


@pytest.mark.parametrize(("row", "shape", "mapping"), cases("detect", "shapes"))
def test_the_shape_is_detected(
    row: dict[str, Any], shape: str, mapping: dict[str, str]
) -> None:
    data = jsonl(row, row)
    assert (data.source.shape, data.source.mapping) == (shape, mapping)
    assert len(data.rows) == 2
    assert set(data.source.ignored) == set(row) - set(mapping.values())


@pytest.mark.parametrize(
    ("header", "rows", "question", "answer"), cases("detect", "unclear_columns")
)
def test_unclear_columns_are_guessed_with_a_warning(
    header: str, rows: list[str], question: str, answer: str
) -> None:
    data = load_text("\n".join([header, *rows]), name="x.csv")
    assert data.source.mapping == {"question": question, "answer": answer}
    assert [p.kind for p in data.problems] == ["mapping_guessed"]
    assert repr(question) in data.problems[0].message


_REPLIES = [
    "It opens at nine.", "We send it back to you.", "Please call us about that.", "No, but soon.", "Yes, it is.",
]  # fmt: skip
_ASKED = [
    "When do you open?",
    "What about my parcel?",
    "Is it broken?",
    "Do you sell tea?",
    "Is it free?",
]


def _table(**columns: list[str]) -> str:
    return json.dumps(
        [
            dict(zip(columns, row, strict=True))
            for row in zip(*columns.values(), strict=True)
        ]
    )


@pytest.mark.parametrize(("name", "values"), cases("detect", "other_columns"))
def test_a_column_of_something_else_is_never_used_without_asking(
    name: str, values: list[str]
) -> None:
    data = load_text(_table(question=_ASKED, **{name: values}))
    assert "mapping_guessed" in {p.kind for p in data.problems}
    mapping = {"question": "question", "answer": name}
    data = load_text(
        _table(question=_ASKED, **{name: values}), options=ReadOptions(mapping=mapping)
    )
    assert (len(data.rows), data.problems) == (5, [])


def test_an_answer_that_names_an_option_beside_it_is_a_guess() -> None:
    options = {letter: [f"{letter} {text}" for text in _REPLIES] for letter in "ABC"}
    listed = {"choices": [[{"text": c} for c in "xyz"]] * 5}
    for beside in (options, listed):
        table = json.dumps(
            [
                {
                    "question": asked,
                    **dict(zip(beside, own, strict=True)),
                    "answer": key,
                }
                for asked, key, *own in zip(
                    _ASKED, "ABCBA", *beside.values(), strict=True
                )
            ]
        )
        assert found(load_text(table)) == [(0, "mapping_guessed")]


def test_the_proposals_are_ways_to_read_the_file_best_first() -> None:
    emails = [f"Please send {n} lamps to Mr Berg in Graz by Friday" for n in "23456"]
    table = _table(mail=emails, town=list("abcde"), count=list("23456"))
    data = load_text(table, options=ReadOptions(task="extract"))
    fields = {"question": "mail", "answer": ("town", "count")}
    assert data.source.mapping == fields
    assert json.loads(data.rows[0].messages[-1]["content"]) == {"town": "a", "count": 2}
    ways = data.source.proposals
    assert 1 < len(ways) <= 4
    for way in ways:
        assert load_text(table, options=ReadOptions(**way.options)).rows


@pytest.mark.parametrize(
    "columns",
    [
        {"question": _ASKED, "answer": ["42"] * 5}, {"text": _ASKED, "label": ["Billing"] * 5},
        {"user": _ASKED, "assistant": _REPLIES},
        {"Agent": ["Anna", "Tom", "Ute", "Jan", "Eva"], "Frage": _ASKED, "Antwort": _REPLIES},
        {"Bearbeiter": ["Anna", "Tom", "Ute", "Jan", "Eva"], "Was man fragt": _ASKED, "Was wir sagen": _REPLIES},
        {"Mail": ["a@x.de", "b@x.de", "c@x.de", "d@x.de", "e@x.de"], "Er fragt": _ASKED, "Wir sagen": _REPLIES},
    ],
)  # fmt: skip
def test_clear_columns_are_not_asked_about(columns: dict[str, list[str]]) -> None:
    data = load_text(_table(**columns))
    assert [row.messages[0]["content"] for row in data.rows] == _ASKED


def test_the_answers_of_a_table_that_is_sorted_by_them_are_answers() -> None:
    asked, said = (
        [f"My order number {n} came late." for n in range(300)],
        ["Refund."] * 250 + ["Replacement."] * 50,
    )
    data = load_text(_table(**{"user input": asked, "our answer": said}))
    assert data.source.mapping == {"question": "user input", "answer": "our answer"}


def test_columns_and_shapes_are_asked_about_or_chosen() -> None:
    columns = {
        "Betreff": [text.rstrip("?") for text in _ASKED],
        "Notiz": _REPLIES,
        "Zusatz": _REPLIES[::-1],
    }
    data = load_text(_table(**columns, Nr=list(map(str, range(len(_ASKED))))))
    assert found(data) == [(0, "mapping_guessed")]
    text = "a,b,c\nq1,x,r1\nq2,y,r2\n"
    data = load_text(
        text,
        options=ReadOptions(mapping={"question": "a", "answer": "c", "system": "b"}),
    )
    assert data.rows[1].messages == [
        {"role": "system", "content": "y"}, {"role": "user", "content": "q2"}, {"role": "assistant", "content": "r2"},
    ]  # fmt: skip
    assert (data.source.mapping, data.problems) == (
        {"question": "a", "answer": "c", "system": "b"},
        [],
    )
    data = load_text(text, options=ReadOptions(mapping={"text": "c"}))
    assert [row.text for row in data.rows] == ["r1", "r2"]
    data = jsonl({"question": "q", "answer": "a", "text": "t"}, shape="text")
    assert [row.text for row in data.rows] == ["t"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"mapping": {"question": "gone", "answer": "c"}}, "'gone'"),
        ({"mapping": {"answer": "c"}}, "question_answer (question, answer"),
        ({"mapping": {"nonsense": "c"}}, "question_answer (question, answer"), ({"shape": "poem"}, "'poem'"),
        ({"shape": "alpaca"}, "instruction and output"),
        ({"shape": "text", "mapping": {"text": "c", "answer": "a"}}, "'answer'"),
    ],
)  # fmt: skip
def test_a_wrong_choice_of_columns_is_rejected(
    options: dict[str, Any], word: str
) -> None:
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


def test_most_rows_decide_the_shape_and_the_roles() -> None:
    data = jsonl(
        {"prompt": "p", "completion": "c"}, *[{"messages": [USER, ASSISTANT]}] * 3
    )
    assert (data.source.shape, found(data)) == ("messages", [(1, "mixed_shapes")])
    data = jsonl(
        {"messages": [USER, ASSISTANT]},
        {"id": 7, "topic": "x"},
        {"messages": [USER, ASSISTANT], "id": 8},
    )
    assert found(data) == [(2, "missing_field")]
    assert "'messages'" in data.problems[0].message
    odd = [
        {
            "foo": f"Tea {n} is here",
            "bar": f"Cake {n * 7} was there",
            "baz": f"Jam {n * 3} goes",
        }
        for n in range(60)
    ]
    data = jsonl({"messages": [USER, ASSISTANT]}, *odd)
    assert found(data) == [(0, "mapping_guessed"), (1, "mixed_shapes")]
    human = {
        "messages": [{"role": "human", "content": "q"}, {"role": "gpt", "content": "a"}]
    }
    usual = {"messages": [USER, ASSISTANT]}
    assert [m["role"] for m in jsonl(human, human).rows[0].messages] == [
        "user",
        "assistant",
    ]
    data = jsonl(usual, human, usual)
    assert found(data) == [(2, "unknown_role")]
    assert "'user'" in data.problems[0].fix


def test_optional_columns_and_unknown_keys_are_listed() -> None:
    rows: list[dict[str, Any]] = [{"instruction": "i", "output": "o"}] * 300
    data = jsonl(
        *rows, {"instruction": "i", "output": "o", "system": "s", "source": "x"}
    )
    assert (data.problems, data.rows[300].messages[0]) == (
        [],
        {"role": "system", "content": "s"},
    )
    assert (data.source.mapping["system"], data.source.ignored) == (
        "system",
        ("source",),
    )
    data = jsonl({"messages": [USER, {**ASSISTANT, "mood": 1}]})
    assert data.source.ignored == ("message.mood",)
    assert data.rows[0].messages == [USER, ASSISTANT]


@pytest.mark.parametrize("long", ["a1" * 100_000 + "é", "1a 1b111" * 40_000 + "é"])
def test_long_cells_that_begin_like_codes_take_no_time(long: str) -> None:
    table = [{"Topic": f"{n} {long}", "Words": f"It is number {n}."} for n in range(9)]
    start = time.perf_counter()
    assert propose(table)
    assert time.perf_counter() - start < 2
