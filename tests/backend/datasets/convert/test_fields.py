"""Several columns make one text: the fields of an answer, or lines of a question."""

import json
import math
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.datasets.read.load import ReadOptions, load
from backend.errors import BadInput
from backend.records.rows import Dataset

_TABLE = (
    "Email,Customer,Qty,Code,ok\n"
    "Three lamps please,Ann,3,007,yes\n"
    "Two chairs for Bob,Bob,2,1,no\n"
    "Nothing at all,,,2,Yes\n"
)
_FIELDS = {"question": "Email", "answer": ["Customer", "Qty", "Code"]}


def read(tmp_path: Path, text: str = _TABLE, **options: Any) -> Dataset:
    (tmp_path / "orders.csv").write_text(text)
    return load(tmp_path / "orders.csv", options=ReadOptions(**options))


def answers(data: Dataset) -> list[Any]:
    return [json.loads(row.messages[-1]["content"]) for row in data.rows]


def test_columns_of_an_answer_become_a_json_object(tmp_path: Path) -> None:
    data = read(tmp_path, mapping=_FIELDS)
    assert answers(data) == [
        {"Customer": "Ann", "Qty": 3, "Code": "007"},
        {"Customer": "Bob", "Qty": 2, "Code": "1"},
        {"Customer": None, "Qty": None, "Code": "2"},
    ]
    assert list(answers(data)[0]) == _FIELDS["answer"]
    assert data.source.ignored == ("ok",)


def test_a_blank_cell_is_empty_beside_numbers(tmp_path: Path) -> None:
    text = "Email,Customer,Qty\nThree lamps,Ann, \nTwo chairs,Bob, 2\n"
    mapping = {"question": "Email", "answer": ["Customer", "Qty"]}
    assert answers(read(tmp_path, text, mapping=mapping)) == [
        {"Customer": "Ann", "Qty": None},
        {"Customer": "Bob", "Qty": 2},
    ]


def test_the_types_of_a_parquet_file_become_those_of_json(tmp_path: Path) -> None:
    columns = {
        "Email": ["Three lamps", "Two chairs"],
        "Day": [date(2026, 3, 1)] * 2,
        "Price": [Decimal("1.5"), None],
        "Qty": [math.nan, 2.0],
    }
    pq.write_table(pa.table(columns), tmp_path / "orders.parquet")
    mapping = {"question": "Email", "answer": ["Day", "Price", "Qty"]}
    options = ReadOptions(mapping=mapping)
    assert answers(load(tmp_path / "orders.parquet", options=options)) == [
        {"Day": "2026-03-01", "Price": 1.5, "Qty": None},
        {"Day": "2026-03-01", "Price": None, "Qty": 2},
    ]


def test_what_is_nested_in_a_line_of_a_question_is_json(tmp_path: Path) -> None:
    row = {"tags": ["a", "b"], "open": True, "text": "Is it?", "reply": "It is."}
    mapping = {"question": ["text", "tags", "open"], "answer": "reply"}
    data = read(tmp_path, json.dumps(row), mapping=mapping)
    assert (
        data.rows[0].messages[0]["content"]
        == 'text: Is it?\ntags: ["a", "b"]\nopen: true'
    )


def test_columns_of_a_question_become_lines(tmp_path: Path) -> None:
    mapping = {"question": ["Customer", "Email"], "answer": "Qty"}
    data = read(tmp_path, mapping=mapping)
    assert [row.messages[0]["content"] for row in data.rows[1:]] == [
        "Customer: Bob\nEmail: Two chairs for Bob",
        "Email: Nothing at all",
    ]


def test_only_the_wanted_rows_are_examples_and_the_others_are_named(
    tmp_path: Path,
) -> None:
    data = read(tmp_path, mapping=_FIELDS, only={"ok": ["yes"]})
    assert [row.line for row in data.rows] == [2, 4]
    assert [(part.why, part.line) for part in data.source.passed] == [
        ("row with another ok", 3)
    ]
    assert data.source.ignored == ()


@pytest.mark.parametrize(
    ("only", "count"),
    [({"ok": ["false"]}, 4), ({"n": ["0"]}, 2), ({"n": ["1", "2"], "ok": ["true"]}, 2)],
)
def test_rows_are_chosen_by_any_value_of_a_file_that_needs_no_other_choice(
    tmp_path: Path, only: dict[str, list[str]], count: int
) -> None:
    rows = [
        {"question": f"What is {n}?", "answer": f"It is {n}.", "ok": n % 2 > 0, "n": n}
        for n in range(3)
    ]
    text = "\n".join(json.dumps(row) for row in (*rows, *rows))
    data = read(tmp_path, text, only=only)
    assert len(data.rows) == count
    assert len(data.source.passed) == 6 - count


def test_a_word_in_a_column_of_numbers_is_a_fault_of_its_row(tmp_path: Path) -> None:
    rows = "".join(f"Question {n},Ann,{n},x,yes\n" for n in range(5_000))
    data = read(tmp_path, _TABLE + rows + "Many,Ann,some,x,yes\n", mapping=_FIELDS)
    assert [(p.line, p.kind) for p in data.problems if p.row] == [
        (5_005, "not_a_number")
    ]


def test_an_answer_without_any_field_is_a_fault(tmp_path: Path) -> None:
    data = read(tmp_path, mapping={"question": "Email", "answer": ["Customer", "Qty"]})
    assert [(p.line, p.kind) for p in data.problems if p.row] == [(4, "content_null")]


@pytest.mark.parametrize("options", [{"only": {"no": ["1"]}}, {"only": {}}])
def test_a_column_that_does_not_exist_is_named(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    mapping = None if options["only"] else {"question": "Email", "answer": ["no"]}
    with pytest.raises(BadInput, match="'no'"):
        read(tmp_path, mapping=mapping, **options)


def test_a_column_that_chooses_rows_is_no_field(tmp_path: Path) -> None:
    rows = "".join(
        f"Please send {n} lamps,Ann,{n},x{n},{'yes' if n % 2 else 'no'}\n"
        for n in range(8)
    )
    text = "Email,Customer,Qty,Code,ok\n" + rows
    data = read(tmp_path, text, task="extract", only={"ok": ["yes"]})
    assert len(data.rows) == 4
    assert data.source.mapping["answer"] == ("Qty", "Code")
