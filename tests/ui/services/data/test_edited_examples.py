"""Examples as the page edits them: all their texts as fields, and back."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ApprenticeError, BadInput
from backend.records.rows import Row
from tests.backend.datasets.builders import clean_row
from ui.services.app import App
from ui.services.data.edited_examples import LONGEST
from ui.services.selection import Choice


def add(app: App, rows: list[Any], tmp_path: Path) -> str:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return app.datasets.add(file, file.name)


def chats(count: int) -> list[Any]:
    return [{"messages": clean_row(i).messages} for i in range(1, count + 1)]


def rows(app: App, data_id: str) -> dict[int, Row]:
    return {row.row: row for row in app.datasets.checked(data_id).dataset.rows}


def texts(app: App, data_id: str, row: int) -> dict[str, str]:
    return {
        field.name: field.text
        for field in app.edits.editable(Choice(data_id=data_id, row=row)).fields
    }


def test_every_turn_but_the_instruction_is_a_field(app: App, tmp_path: Path) -> None:
    messages = [
        *clean_row(1).messages, {"role": "user", "content": "And then?"},
        {"role": "assistant", "content": "Then you go home."},
    ]  # fmt: skip
    data_id = add(app, [{"messages": messages}, *chats(11)], tmp_path)
    fields = texts(app, data_id, 1)
    assert [*fields.values()] == [message["content"] for message in messages[1:]]
    last = list(fields)[-1]
    app.edits.save(Choice(data_id=data_id), 1, {**fields, last: "Then you stay."})
    saved = rows(app, data_id)[1].messages
    assert (saved[:-1], saved[-1]["content"]) == (messages[:-1], "Then you stay.")


def test_pasted_examples_join_those_that_are_open_or_change_nothing(
    app: App, tmp_path: Path
) -> None:
    data_id = add(app, chats(12), tmp_path)
    app.edits.add_text(
        data_id, 'question,answer\nDo you sell tea?,"Yes, green tea."\nAnd milk?,No.\n'
    )
    assert [row.messages[-1]["content"] for row in rows(app, data_id).values()][
        12:
    ] == ["Yes, green tea.", "No."]
    guessed = "Which tea\tWhat else\n" + "".join(
        f"When is tea {n} served?\tTea {n} comes at {n}.\n" for n in range(8)
    )
    for refused in (
        guessed,
        "hello",
        '{"question": "Why?", "answer": "So."}\n{"question": "What?", "answer": ""}',
    ):
        with pytest.raises(BadInput) as fault:
            app.edits.add_text(data_id, refused)
    assert "line 2" in fault.value.why, "the one without an answer"
    assert len(rows(app, data_id)) == 14
    app.edits.undo(data_id)
    assert len(rows(app, data_id)) == 12


def test_pairs_have_a_better_and_a_worse_answer(app: App, tmp_path: Path) -> None:
    pairs = [
        {"prompt": f"What is {i}?", "chosen": f"It is {i}.", "rejected": f"No {i}."}
        for i in range(12)
    ]
    data_id = add(app, pairs, tmp_path)
    example = app.edits.editable(Choice(data_id=data_id, row=2))
    assert [(field.label.split()[0], field.text) for field in example.fields] == [
        ("Question", "What is 1?"), ("Better", "It is 1."), ("Worse", "No 1."),
    ]  # fmt: skip
    new = app.edits.new(Choice(data_id=data_id))
    typed = dict(
        zip(
            (field.name for field in new.fields),
            ("Why?", "Because.", "No."),
            strict=True,
        )
    )
    assert app.edits.add(data_id, typed) == new.row == 13
    assert [m["content"] for m in rows(app, data_id)[13].rejected or ()] == ["No."]
    with pytest.raises(BadInput):
        app.edits.add(data_id, {**typed, list(typed)[2]: "Because."})


def test_the_name_and_arguments_of_a_tool_call_are_edited_as_json(
    app: App, tmp_path: Path
) -> None:
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "weather", "arguments": {"city": "Rome"}},
    }
    messages = [
        {"role": "user", "content": "Is it warm in Rome?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "28 degrees", "tool_call_id": "c1"}, {"role": "assistant", "content": "It is."},
    ]  # fmt: skip
    data_id = add(app, [{"messages": messages}, *chats(11)], tmp_path)
    fields = texts(app, data_id, 1)
    assert json.loads(fields["calls-message-1"]) == {
        "name": "weather",
        "arguments": {"city": "Rome"},
    }
    oslo = '{"name": "weather", "arguments": {"city": "Oslo"}}'
    app.edits.save(Choice(data_id=data_id), 1, {**fields, "calls-message-1": oslo})
    (saved,) = app.datasets.checked(data_id).original.rows[0].messages[1]["tool_calls"]
    assert saved == {
        **call,
        "function": {"name": "weather", "arguments": {"city": "Oslo"}},
    }
    for wrong, named in (('{"name": "weather"', "ends too early"), ('{"arguments": {}}', '"name"'), ("", "ends"),
                         ('{"name": "weather", "arguments": [1]}', '"arguments"')):  # fmt: skip
        with pytest.raises(BadInput) as refused:
            app.edits.save(
                Choice(data_id=data_id), 1, {**fields, "calls-message-1": wrong}
            )
        assert named in refused.value.why


def test_a_plain_text_has_one_field(app: App, tmp_path: Path) -> None:
    data_id = add(app, [{"text": f"Text number {i}."} for i in range(12)], tmp_path)
    assert texts(app, data_id, 3) == {"text": "Text number 2."}
    app.edits.save(
        Choice(data_id=data_id), 3, {"text": "Another one.\n\nIt is longer."}
    )
    assert rows(app, data_id)[3].text == "Another one.\n\nIt is longer."
    assert app.edits.instruction(Choice(data_id=data_id)).total == 0


def test_what_a_fix_added_stays_a_fix(app: App, tmp_path: Path) -> None:
    bare = [{"messages": clean_row(20).messages[1:]}]
    data_id = add(app, [*chats(11), *bare], tmp_path)
    app.fixes.accept(data_id, "add_system", "all")
    app.edits.save(
        Choice(data_id=data_id),
        12,
        {**texts(app, data_id, 12), "message-1": "Changed."},
    )
    app.fixes.undo(data_id, "add_system")
    assert [message["content"] for message in rows(app, data_id)[12].messages][1:] == [
        "Changed."
    ]


def test_an_example_that_could_not_be_read_can_be_written_anew(
    app: App, tmp_path: Path
) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in chats(11)) + "{broken\n")
    data_id = app.datasets.add(file, file.name)
    assert set(texts(app, data_id, 12).values()) == {""}
    app.edits.save(
        Choice(data_id=data_id),
        12,
        {"message-0": "Was it broken?", "message-1": "It was."},
    )
    assert app.datasets.checked(data_id).blocked == ""


@pytest.mark.parametrize(
    "typed", [{}, {"message-1": "x"}, {"message-1": "x" * LONGEST, "message-2": "x"}]
)
def test_an_incomplete_or_too_long_form_changes_nothing(
    app: App, tmp_path: Path, typed: dict[str, str]
) -> None:
    data_id = add(app, chats(12), tmp_path)
    with pytest.raises(BadInput):
        app.edits.save(Choice(data_id=data_id), 1, typed)
    assert app.datasets.checked(data_id).original.source.edits == ()


def test_an_example_too_long_for_the_page_is_not_offered(
    app: App, tmp_path: Path
) -> None:
    data_id = add(
        app, [{"text": "word " * (LONGEST // 5 + 1)}, {"text": "short"}], tmp_path
    )
    with pytest.raises(BadInput, match="too long"):
        app.edits.editable(Choice(data_id=data_id))


def test_a_deleted_example_is_named_and_the_next_one_is_nearest(
    app: App, tmp_path: Path
) -> None:
    data_id = add(app, chats(12), tmp_path)
    app.edits.delete(data_id, 5)
    app.edits.delete(data_id, 12)
    assert [app.datasets.nearest(data_id, row) for row in (4, 5, 12)] == [4, 6, 11]
    for shows in (app.datasets.preview, app.edits.editable):
        with pytest.raises(ApprenticeError, match=r"deleted|no example"):
            shows(Choice(data_id=data_id, row=5))


def test_the_instruction_is_counted(app: App, tmp_path: Path) -> None:
    other = [{"role": "system", "content": "Be brief."}, *clean_row(20).messages[1:]]
    data_id = add(
        app,
        [*chats(10), {"messages": other}, {"messages": clean_row(30).messages[1:]}],
        tmp_path,
    )
    found = app.edits.instruction(Choice(data_id=data_id))
    assert (found.text, found.count, found.different, found.total) == (
        clean_row(1).messages[0]["content"],
        10,
        1,
        12,
    )
    app.edits.set_instruction(data_id, "Be warm.")
    assert app.edits.instruction(Choice(data_id=data_id)).count == 12
    app.edits.set_instruction(data_id, "")
    found = app.edits.instruction(Choice(data_id=data_id))
    assert (found.text, found.count, found.different) == ("", 0, 0)
    app.fixes.accept(data_id, "remove_system", "all")
    with pytest.raises(BadInput):
        app.edits.set_instruction(data_id, "Be warm.")
