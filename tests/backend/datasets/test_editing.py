"""Examples can be edited, added and deleted, and undone, and everything downstream sees
it.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from backend.datasets.editing import Editor
from backend.datasets.store import DatasetStore
from backend.errors import BadInput, NotInDemo, WorkspaceProblem
from backend.records.rows import Message, Row
from tests.backend.datasets.builders import clean_row

FULL = OSError(28, "No space left on device")


def turns(question: str, answer: str) -> list[Message]:
    return [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]


def answer(text: str) -> Message:
    return {"role": "assistant", "content": text}


def example(question: str, answer: str) -> Row:
    return Row(0, 0, turns(question, answer))


def lines(count: int, system: str = "") -> str:
    head = [{"role": "system", "content": system}] if system else []
    rows = [
        {"messages": [*head, *clean_row(i).messages[1:]]} for i in range(1, count + 1)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def editor(store: DatasetStore) -> Editor:
    return Editor(store)


@pytest.fixture
def data_id(store: DatasetStore) -> str:
    return store.add(lines(30), "orders.jsonl")


def numbers(store: DatasetStore, data_id: str) -> list[int]:
    return [row.row for row in store.open(data_id, None).dataset.rows]


def answer_of(store: DatasetStore, data_id: str, number: int) -> str:
    row = next(
        row for row in store.open(data_id, None).dataset.rows if row.row == number
    )
    return str(row.messages[-1]["content"])


def test_edits_reach_the_checked_rows_and_can_be_undone(
    store: DatasetStore, editor: Editor, data_id: str
) -> None:
    before = store.open(data_id, None)
    editor.replace(data_id, 3, example("When do you open?", "At seven, love."))
    editor.delete(data_id, 5)
    assert editor.add(data_id, example("Do you bake rye?", "Every Friday.")) == 31
    after = store.open(data_id, None)
    assert answer_of(store, data_id, 3) == "At seven, love."
    assert numbers(store, data_id) == [*range(1, 5), *range(6, 32)]
    assert (after.report.rows, after.original.highest) == (30, 31)
    assert after.original.source.edits == ("replace", "delete", "add")
    assert (
        after.original.source.sha256
        != before.original.source.sha256
        == after.original.source.file_sha256
    )
    assert numbers(DatasetStore(Path(store._root)), data_id) == numbers(
        store, data_id
    ), "also after a restart"
    for _ in range(3):
        editor.undo(data_id)
    assert store.open(data_id, None).dataset.rows == before.dataset.rows
    with pytest.raises(BadInput):
        editor.undo(data_id)


def test_the_number_of_a_deleted_row_is_not_used_again(
    store: DatasetStore, editor: Editor, data_id: str
) -> None:
    editor.delete(data_id, 30)
    assert editor.add(data_id, example("First?", "One.")) == 31
    editor.delete(data_id, 31)
    assert editor.add(data_id, example("Second?", "Two.")) == 32
    assert numbers(store, data_id) == [*range(1, 30), 32]


def test_undoing_an_edit_deletes_its_file(
    store: DatasetStore, editor: Editor, data_id: str, tmp_path: Path
) -> None:
    editor.delete(data_id, 1)
    editor.undo(data_id)
    editor.delete(data_id, 2)
    assert len(list((tmp_path / "datasets" / data_id / "edits").iterdir())) == 1
    assert numbers(store, data_id) == [1, *range(3, 31)]


def test_saving_what_is_there_already_is_no_edit(
    store: DatasetStore, editor: Editor, data_id: str
) -> None:
    row = store.original(data_id).rows[2]
    editor.replace(data_id, 3, Row(0, 0, [dict(message) for message in row.messages]))
    assert store.info.read(data_id).edits == []


def test_bad_rows_and_those_of_another_kind_are_refused(
    store: DatasetStore, editor: Editor, data_id: str
) -> None:
    texts = (
        ("", "An answer."),
        ("A question?", "  "),
        ("A question?", "A NUL \0 byte."),
    )
    others = (
        Row(0, 0, text="A plain text."),
        Row(0, 0, turns("a b", "c"), turns("", "d")[1:]),
    )
    for wrong in (*(example(*text) for text in texts), *others):
        with pytest.raises(BadInput):
            editor.add(data_id, wrong)
        with pytest.raises(BadInput):
            editor.replace(data_id, 3, wrong)
    assert store.info.read(data_id).edits == []
    for number in (0, 31, -1):
        with pytest.raises(BadInput):
            editor.delete(data_id, number)
        with pytest.raises(BadInput):
            editor.replace(data_id, number, example("a?", "b"))
    editor.delete(data_id, 4)
    with pytest.raises(BadInput):
        editor.delete(data_id, 4)
    assert len(store.info.read(data_id).edits) == 1


def test_a_row_that_could_not_be_read_can_be_replaced_or_deleted(
    store: DatasetStore, editor: Editor
) -> None:
    data_id = store.add(lines(12) + "{broken\n{broken too\n", "broken.jsonl")
    assert "Example 13" in store.open(data_id, None).blocked
    editor.replace(data_id, 13, example("Was it broken?", "Not any more."))
    editor.delete(data_id, 14)
    checked = store.open(data_id, None)
    assert (checked.blocked, checked.report.rows, checked.dataset.rows[-1].line) == (
        "",
        13,
        13,
    )


def test_an_edited_file_is_read_no_other_way(
    store: DatasetStore, editor: Editor, data_id: str, tmp_path: Path
) -> None:
    editor.delete(data_id, 1)
    with pytest.raises(BadInput):
        store.read_again(data_id, {"encoding": "cp1252"})
    assert 1 not in numbers(store, data_id)
    editor.undo(data_id)
    store.read_again(data_id, {"encoding": "cp1252"})
    assert not [*(tmp_path / "datasets" / data_id / "edits").iterdir()]


def test_an_edit_while_the_file_is_read_again_is_not_lost(
    store: DatasetStore, editor: Editor, data_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, read = store.info.read(data_id), store.files.source

    def edited_meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(store.files, "source", read)
        editor.delete(data_id, 2)
        return read(*args)

    monkeypatch.setattr(store.files, "source", edited_meanwhile)
    with pytest.raises(BadInput):
        store.read_again(data_id, {"encoding": "cp1252"})
    store.info.restore(data_id, before)
    assert (store.info.read(data_id).read_options, numbers(store, data_id)) == (
        {},
        [1, *range(3, 31)],
    )


def test_edits_of_two_processes_are_all_saved(
    store: DatasetStore, data_id: str, tmp_path: Path
) -> None:
    def delete(number: int) -> None:
        Editor(DatasetStore(tmp_path / "datasets")).delete(data_id, number)

    with ThreadPoolExecutor(8) as pool:
        [*pool.map(delete, range(1, 17))]
    assert numbers(store, data_id) == [*range(17, 31)]


def test_several_rows_are_added_together_or_not_at_all(
    store: DatasetStore,
    editor: Editor,
    data_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [example("Rye?", "On Fridays."), example("Oat?", "Never.")]
    with pytest.raises(BadInput):
        editor.add_together(data_id, [*rows, example("Spelt?", " ")])
    with monkeypatch.context() as patching:
        patching.setattr(store.info, "update", Mock(side_effect=FULL))
        with pytest.raises(WorkspaceProblem):
            editor.add_together(data_id, rows)
    assert (
        store.info.read(data_id).edits,
        [*(tmp_path / "datasets" / data_id / "edits").iterdir()],
    ) == ([], [])
    assert (editor.add_together(data_id, rows), answer_of(store, data_id, 32)) == (
        range(31, 33),
        "Never.",
    )


def test_a_damaged_edit_can_be_undone(
    store: DatasetStore, editor: Editor, data_id: str, tmp_path: Path
) -> None:
    editor.delete(data_id, 1)
    (file,) = (tmp_path / "datasets" / data_id / "edits").iterdir()
    file.write_text('{"kind": "delete"')
    with pytest.raises(WorkspaceProblem):
        DatasetStore(tmp_path / "datasets").open(data_id, None)
    editor.undo(data_id)
    assert numbers(store, data_id) == [*range(1, 31)]


def test_nothing_is_half_saved_on_a_full_disk(
    store: DatasetStore, editor: Editor, data_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (
        "backend.datasets.edits.write_json",
        "backend.datasets.info.write_text",
    ):
        with monkeypatch.context() as patching:
            patching.setattr(place, Mock(side_effect=FULL))
            with pytest.raises(WorkspaceProblem):
                editor.delete(data_id, 1)
    assert store.info.read(data_id).edits == []
    assert numbers(store, data_id) == [*range(1, 31)]


def test_the_instruction_is_set_changed_and_removed_everywhere(
    store: DatasetStore, editor: Editor
) -> None:
    data_id = store.add(lines(12, "Be brief."), "brief.jsonl")

    def found() -> set[str]:
        messages = [
            message
            for row in store.open(data_id, None).dataset.rows
            for message in row.messages
        ]
        return {
            message["content"] for message in messages if message["role"] == "system"
        }

    editor.set_instruction(data_id, " Be warm. ")
    assert found() == {"Be warm."}
    editor.add(data_id, example("And you?", "Fine, love."))
    assert store.original(data_id).rows[-1].messages[0] == {
        "role": "system",
        "content": "Be warm.",
    }
    editor.set_instruction(data_id, "")
    assert found() == set()
    editor.undo(data_id)
    assert found() == {"Be warm."}
    editor.set_instruction(data_id, "Be warm.")
    assert len(store.info.read(data_id).edits) == 2, "nothing changed"
    with pytest.raises(BadInput):
        editor.set_instruction(data_id, "x" * 20_001)


def test_plain_texts_have_no_instruction(store: DatasetStore, editor: Editor) -> None:
    texts = "".join(json.dumps({"text": f"Text number {i}."}) + "\n" for i in range(9))
    data_id = store.add(texts, "texts.jsonl")
    with pytest.raises(BadInput):
        editor.set_instruction(data_id, "Be warm.")
    editor.replace(data_id, 1, Row(0, 0, text="Another text."))
    assert store.original(data_id).rows[0].text == "Another text."


# Corrected answers


def test_a_corrected_answer_is_added_once_with_its_origin(
    store: DatasetStore, editor: Editor
) -> None:
    data_id = store.add(lines(12, "Be brief."), "brief.jsonl")
    asked = [{"role": "user", "content": "Do you have rye?"}]
    assert (
        editor.correct(data_id, asked, answer("On Fridays."), "I'm sorry.", "run-a")
        == 13
    )
    row = store.original(data_id).rows[-1]
    assert [m["content"] for m in row.messages] == [
        "Be brief.",
        "Do you have rye?",
        "On Fridays.",
    ]
    assert (row.origin, row.rejected) == ("corrected", None)
    assert (
        editor.correct(data_id, asked, answer("Every Friday."), "I'm sorry.", "run-b")
        == 13
    ), "corrected again"
    assert answer_of(store, data_id, 13) == "Every Friday."
    assert editor.corrections(data_id) == {"Do you have rye?": "Every Friday."}
    stored = store.edits.read(data_id, store.info.read(data_id).edits)
    assert [(edit.kind, edit.run_id) for edit in stored] == [
        ("add", "run-a"),
        ("replace", "run-b"),
    ]
    editor.undo(data_id)
    editor.undo(data_id)
    assert editor.corrections(data_id) == {}


def test_a_correction_replaces_the_row_with_the_same_conversation(
    store: DatasetStore, editor: Editor
) -> None:
    data_id = store.add(lines(12, "Be brief."), "brief.jsonl")
    rows = store.original(data_id).rows
    asked, right = rows[4].messages[:-1], "The right one, love."
    assert editor.correct(data_id, asked, answer(right), "I'm sorry.", "run-a") == 5
    row = store.original(data_id).rows[4]
    assert (
        row.origin,
        row.messages[-1]["content"],
        len(store.original(data_id).rows),
    ) == ("corrected", right, 12)
    confirmed = str(rows[6].messages[-1]["content"])
    assert (
        editor.correct(
            data_id, rows[6].messages[1:-1], answer(confirmed), "No.", "run-a"
        )
        == 7
    )
    assert store.original(data_id).rows[6].origin == "corrected", (
        "the answer was right, and is learned from now on"
    )
    other = [{"role": "system", "content": "Be a pirate."}, *rows[8].messages[1:-1]]
    assert editor.correct(data_id, other, answer("Arr."), "No.", "run-a") == 13, (
        "another instruction, another answer"
    )


def test_a_correction_among_pairs_makes_the_wrong_answer_the_worse_one(
    store: DatasetStore, editor: Editor
) -> None:
    pairs = [
        {
            "prompt": clean_row(i).messages[1:2],
            "chosen": f"good {i}",
            "rejected": f"bad {i}",
        }
        for i in range(9)
    ]
    data_id = store.add("".join(json.dumps(row) + "\n" for row in pairs), "pairs.jsonl")
    editor.correct(
        data_id,
        [{"role": "user", "content": "Do you have rye?"}],
        answer("On Fridays."),
        "No.",
        "run-a",
    )
    row = store.original(data_id).rows[-1]
    assert (row.messages[-1]["content"], row.rejected) == (
        "On Fridays.",
        [{"role": "assistant", "content": "No."}],
    )
    assert not store.open(data_id, None).blocked


def test_where_there_is_no_room_an_edit_can_only_be_undone(tmp_path: Path) -> None:
    store = DatasetStore(tmp_path, require_disk=(room := Mock()))
    data_id, editor = store.add(lines(3)), Editor(store)
    editor.delete(data_id, 1)
    room.side_effect = NotInDemo("There is no room left.", "", "")
    with pytest.raises(NotInDemo):
        editor.add(data_id, example("When do you open?", "At seven, love."))
    editor.undo(data_id)
    assert numbers(store, data_id) == [1, 2, 3]
