"""JSON is read strictly: every line becomes a row or a problem; what annotation tools
hold is learned.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.datasets.read.load import Limits, ReadOptions, load
from backend.errors import BadInput
from backend.records.reading import RowFault
from backend.records.rows import Dataset
from backend.text.strict_json import parse
from tests.backend.datasets.builders import load_text
from tests.cases import cases

GOOD = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'


def fault_of(line: str, **limits: int) -> RowFault:
    """The fault that makes this line unreadable."""
    with pytest.raises(RowFault) as caught:
        parse(line.encode("utf-8", "surrogatepass"), Limits(**limits))
    return caught.value


def found(data: Dataset) -> list[tuple[int, int, str]]:
    return [(p.line, p.row, p.kind) for p in data.problems]


@pytest.mark.parametrize(("line", "kind", "word"), cases("json_lines", "faults"))
def test_each_json_fault_has_its_kind_and_a_printable_quote(
    line: str, kind: str, word: str
) -> None:
    fault = fault_of(line)
    assert fault.kind == kind
    assert word in fault.message
    assert fault.quote.isprintable()
    assert len(fault.quote) < 200


@pytest.mark.parametrize("line", cases("json_lines", "good"))
def test_good_json_is_read_exactly(line: str) -> None:
    assert parse(line.encode(), Limits()) == json.loads(line)


def test_rows_are_numbered_by_their_lines() -> None:
    data = load_text(f'{GOOD}\n\n{{broken\n{GOOD}\n[1]\n"x"\n{{}}\n{GOOD}')
    assert [(row.line, row.row) for row in data.rows] == [(1, 1), (4, 3), (8, 7)]
    assert found(data) == [
        (3, 2, "bad_json"),
        (5, 4, "not_an_object"),
        (6, 5, "not_an_object"),
        (7, 6, "empty_row"),
    ]
    assert data.total_rows == 7
    rows = [
        {"question": "a", "answer": "b"},
        {"question": "c"},
        [1],
        {"question": "d", "answer": "e"},
    ]
    data = load_text(json.dumps(rows, indent=1))
    assert [(row.line, row.row) for row in data.rows] == [(2, 1), (12, 4)]
    assert found(data) == [(6, 2, "missing_field"), (9, 3, "not_an_object")]
    data = load_text("\n" + json.dumps({"question": "a" * 70_000, "answer": "b"}))
    assert [(row.line, row.row) for row in data.rows] == [(2, 1)]


def test_line_separators_inside_text_do_not_split_a_row() -> None:
    text = "one\u2028two\u2029three\u0085four\u000bfive\u001csix"
    row = json.dumps({"question": text, "answer": "x"}, ensure_ascii=False).replace(
        "\u000b", "\\u000b"
    )
    row = row.replace("\u001c", "\\u001c")
    data = load_text(f"{row}\n{row}")
    assert [r.messages[0]["content"] for r in data.rows] == [text, text]


def test_every_broken_row_is_reported_and_hides_no_other() -> None:
    for broken in (
        '{"messages": [',
        "{'messages': []}",
        "# comment",
        "}{",
        '{"messages": [',
    ):
        data = load_text(f"{broken}\n{GOOD}\n{GOOD}")
        assert (found(data), len(data.rows)) == ([(1, 1, "bad_json")], 2)
    assert found(load_text('{"messages": [}\n{"messages": ]}\n')) == [
        (1, 1, "bad_json"),
        (2, 2, "bad_json"),
    ]


@pytest.mark.parametrize(("text", "problems"), cases("json_lines", "broken_lists"))
def test_a_broken_list_is_reported(text: str, problems: list[Any]) -> None:
    assert [[*problem] for problem in found(load_text(text))] == problems


@pytest.mark.parametrize(
    ("indent", "before", "after", "lost"), cases("json_lines", "slips")
)
def test_one_slip_in_a_list_costs_one_example(
    indent: int | None, before: str, after: str, lost: int
) -> None:
    rows = [{"question": f"q{i}?", "answer": f"a{i}"} for i in range(8)]
    good = json.dumps(rows, indent=indent)
    place = good.index('"q3?"') if "3" in before else good.index("},", good.index("a3"))
    data = load_text(good[:place] + good[place:].replace(before, after, 1))
    assert (len(data.rows), data.total_rows, len(data.problems)) == (8 - lost, 8, lost)


def test_what_is_lost_in_a_damaged_list_is_named_and_another_list_is_read() -> None:
    first, second, third = (
        f'{{"question": "{n}?", "answer": "Yes"}}' for n in range(3)
    )
    broken = second.replace('?"', "?")
    data = load_text(f"[{first},\n{broken},\n{broken},\n{second}]\n[{third}]")
    assert ([row.line for row in data.rows], found(data)) == (
        [1, 4, 5],
        [(2, 2, "bad_json")],
    )
    assert "lines 2 to 3" in data.problems[0].message
    data = load_text(
        f'{{"by": Ann, "rows": [{first}], "note": {broken}, "more": {third}}}', "a.json"
    )
    assert found(load_text('{\n  {"question": "a", "answer": "b"}\n}', "a.json")) == [
        (1, 1, "bad_json")
    ]
    assert (len(data.rows), found(data), "Ann" in data.source.passed[0].text) == (
        2,
        [(1, 2, "bad_json")],
        True,
    )
    for bomb, kind in (('{"":0},' * 400_000, "row_too_large"), ("[" * 99, "too_deep")):
        data = load_text(
            f'[{first}, {{"question": [{bomb}0{"]" * bomb.count("[")}], "answer": 1 "x"}}, {second}]'
        )
        assert (len(data.rows), found(data)) == (2, [(1, 2, kind)])


def test_texts_with_brackets_and_quotes_do_not_confuse_the_list(tmp_path: Path) -> None:
    nasty = ']}{[,"\\ \\" \n' * 20_000  # longer than a block
    rows = [
        {"question": nasty, "answer": "x\\"},
        {"question": "y", "answer": nasty},
    ] * 3
    path = tmp_path / "x.json"
    for text in (
        json.dumps(rows),
        json.dumps({"meta": '[{"', "rows": rows}),
        json.dumps(rows, indent=2),
    ):
        path.write_text(text)
        data = load(path)
        assert data.problems == []
        assert [row.messages[0]["content"] for row in data.rows] == [
            row["question"] for row in rows
        ]


def test_an_example_too_large_for_a_list_is_reported() -> None:
    text = json.dumps([{"question": "a", "answer": "x" * 5000}])
    options = ReadOptions(limits=Limits(line_bytes=1000))
    assert found(load_text(f"[{GOOD},\n{text[1:]}", options=options)) == [
        (2, 2, "row_too_large")
    ]
    unending = '[{"question": "' + "x" * 600_000
    with pytest.raises(BadInput, match="line 1"):
        load_text(unending, options=options)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)
messages = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant", "tool", "bot", ""])
            | json_values,
            "content": st.text() | json_values,
        },
        optional={"name": st.text(max_size=3), "tool_calls": json_values},
    )
    | json_values,
    max_size=4,
)
objects = st.dictionaries(st.text(max_size=4), json_values, max_size=2)
lines = (
    st.builds(lambda m, more: as_json({"messages": m, **more}), messages, objects)
    | json_values.map(lambda value: as_json(value))
    | st.text('{}[]":,\\ \t\x00\x85\u2028ab1eN-.\ud800', max_size=30)
    | st.just(GOOD)
)


def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@settings(max_examples=200, deadline=None)
@given(st.lists(lines, min_size=1, max_size=8))
@example([GOOD, "\x00", "\u2028", '{"messages": [{"role": [], "content": {}}]}'])
@example(
    [
        GOOD,
        '{"messages": {"role": "user"}}',
        '{"messages": "[{"}',
        '{"messages": [["role"]]}',
    ]
)
@example(['{"": {}}', '{"": {}}'])
@example(['{"": {"": "A", "0": "A"}}', '{"": {"": "A", "0": "A"}}'])
@example(
    [
        "null",
        "5",
        '{"messages": [{"role": null, "content": ""}, {"role": "system", "content": "A"}]}',
    ]
)
@example(
    ['{"messages": [{}]}', '{"messages": [{}, {"role": "system", "content": "A"}]}']
)
@example(
    [
        '{"messages": [{"": 0}, {"role": "user", "content": ""}, {"role": "user", "content": "A"}]}',
        '{"": 0}',
    ]
)
def test_every_line_is_a_row_or_a_problem(texts: list[str]) -> None:
    content = "\n".join([GOOD, *texts])
    expected = [
        n
        for n, line in enumerate(
            content.encode("utf-8", "surrogatepass").split(b"\n"), 1
        )
        if line.strip()
    ]
    data = load_text(content)
    seen = {row.line for row in data.rows} | {p.line for p in data.problems if p.row}
    assert sorted(seen | {part.line for part in data.source.passed}) == expected
    if not data.source.passed:  # what could be a chat is one only if the person says so
        assert (
            len(data.rows) + sum(p.row > 0 for p in data.problems)
            == data.total_rows
            == len(expected)
        )
    for row in data.rows:
        assert row.messages or row.text
        json.dumps(asdict(row), ensure_ascii=False).encode()


@settings(max_examples=300, deadline=None)
@given(json_values, st.sampled_from(["compact", "spaced", "indented"]))
def test_json_written_in_any_layout_is_read(value: Any, style: str) -> None:
    layout: dict[str, Any] = {
        "compact": {"separators": (",", ":")},
        "spaced": {},
        "indented": {"indent": 1},
    }[style]
    text = json.dumps(value, ensure_ascii=False, **layout)
    assert parse(text.encode(), Limits()) == json.loads(text)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.text(max_size=3), st.integers()), min_size=1, max_size=6),
    st.sampled_from(["", " "]),
)
def test_repeated_keys_are_always_found(
    pairs: list[tuple[str, int]], space: str
) -> None:
    text = (
        "{"
        + ",".join(f"{json.dumps(key)}{space}:{value}" for key, value in pairs)
        + "}"
    )
    if len({key for key, _ in pairs}) < len(pairs):
        assert fault_of(text).kind == "duplicate_key"
    else:
        assert parse(text.encode(), Limits()) == dict(pairs)


def test_a_copied_chat_is_no_json_and_is_noticed() -> None:
    copied = "".join(
        f"[03/0{n}/2026 10:00 AM] ann\nHello number {n}\n\n" for n in range(1, 9)
    )
    data = load_text(copied)
    assert [(p.kind, p.row) for p in data.problems] == [("not_prose", 0)]
    assert "chat" in data.problems[0].message


def rows(*records: dict[str, Any]) -> Dataset:
    return load_text(json.dumps(list(records)))


def texts(data: Dataset) -> list[list[str]]:
    return [[message["content"] for message in row.messages] for row in data.rows]


def task(
    *results: dict[str, Any], cancelled: bool = False, **data: Any
) -> dict[str, Any]:
    """A task of Label Studio with one annotation."""
    return {
        "id": 1,
        "data": data,
        "annotations": [{"result": list(results), "was_cancelled": cancelled}],
    }


def written(text: str, name: str = "reply") -> dict[str, Any]:
    return {"from_name": name, "type": "textarea", "value": {"text": [text]}}


def test_answers_of_tasks_are_learned() -> None:
    chosen = {"from_name": "mood", "type": "choices", "value": {"choices": ["Angry"]}}
    assert texts(rows(*[task(chosen, text=f"Where is it, {n}?") for n in range(3)]))[
        0
    ] == ["Where is it, 0?", "Angry"]
    chat = [
        {"author": "user", "text": "Open?"}, {"author": "bot", "text": "Yes"}, {"author": "user", "text": "Till?"},
    ]  # fmt: skip
    assert texts(rows(task(written("Till six."), dialogue=chat))) == [
        ["Open?", "Yes", "Till?", "Till six."]
    ]
    data = rows(task(written("Yes."), mail="Open?"), task(mail="Who?", cancelled=True))
    assert [p.row for p in data.problems if p.severity == "error"] == [2]


def test_a_correction_is_learned_and_not_the_draft() -> None:
    def record(status: str) -> dict[str, Any]:
        fields = {"instruction": "Which is mild?", "output": "Black tea."}
        return {
            "fields": fields,
            "responses": [
                {"status": status, "values": {"better": {"value": "White tea."}}}
            ],
        }

    assert (
        texts(rows(*map(record, ("submitted", "submitted", "discarded"))))
        == [["Which is mild?", "White tea."]] * 2
    )


def test_what_needs_no_answer_is_named() -> None:
    answered = {
        "question": "Which?",
        "id": "1",
        "answers": [{"text": "White", "answer_start": 0}],
    }
    impossible = {"question": "Who?", "id": "2", "answers": [], "is_impossible": True}
    data = load_text(
        json.dumps(
            {
                "data": [
                    {
                        "paragraphs": [
                            {"context": "White tea.", "qas": [answered, impossible]}
                        ]
                    }
                ]
            }
        )
    )
    assert texts(data) == [["Which?\n\nWhite tea.", "White"]]
    assert [p.row for p in data.problems if p.severity == "error"] == [2]

    def entry(title: str) -> dict[str, Any]:
        return {
            "title": title,
            "products": ["Gemini Apps"],
            "safeHtmlItem": [{"html": "<p>White tea.</p>"}],
        }

    data = rows(entry("Prompted Which tea is mild?"), entry("Gave feedback"))
    assert texts(data) == [["Which tea is mild?", "White tea."]]
    assert [p.row for p in data.problems if p.severity == "error"] == [2]
    record = {"question": "Open?", "answers": "Yes", "context": "A shop."}
    assert texts(rows(record, record))[0] == ["Open?\n\nA shop.", "Yes"]


@pytest.mark.parametrize("odd", [{"x": 1}, ["x"], 7, None])
def test_a_damaged_document_of_linked_entries_is_read_as_far_as_it_can_be(
    odd: Any,
) -> None:
    entry = {
        "id": "1",
        "attributes": {"prompt": "Open?", "completion": "Yes"},
        "relationships": {"to": {"data": odd}},
    }
    others = [{"attributes": odd, "relationships": odd}, odd]
    whole = {
        "data": [entry, *others],
        "included": [{"type": odd, "id": odd, "attributes": odd}],
    }
    first, *_ = load_text(json.dumps(whole), "a.json").rows
    assert [message["content"] for message in first.messages] == ["Open?", "Yes"]
