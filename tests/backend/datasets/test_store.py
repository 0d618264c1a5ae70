"""What a person brought is kept once, listed, and can be deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.datasets.store import Shelf
from backend.errors import BadInput, WorkspaceProblem

ROW = '{"messages": [{"role": "user", "content": "%s?"}, {"role": "assistant", "content": "%s"}]}\n'


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "datasets").mkdir()
    return Shelf(tmp_path / "datasets")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.jsonl"
    path.write_text("".join(ROW % (word, word * 2) for word in ("one", "two", "three")) + ROW % ("four", ""))
    return path


def folders(tmp_path: Path) -> set[str]:
    return {folder.name for folder in (tmp_path / "datasets").iterdir()}


def test_the_same_file_under_the_same_name_is_kept_once(shelf: Shelf, file: Path, tmp_path: Path) -> None:
    first = shelf.add(file, "orders.jsonl")
    assert shelf.add(file, "orders.jsonl") == first
    assert Shelf(tmp_path / "datasets").add(file, "orders.jsonl") == first
    assert folders(tmp_path) == {first}


def test_another_name_or_another_text_of_the_same_length_is_another_data_set(shelf: Shelf, file: Path) -> None:
    first, renamed = shelf.add(file, "orders.jsonl"), shelf.add(file, "more.jsonl")
    file.write_text(file.read_text().replace("one?", "six?"))
    ids = {first, renamed, shelf.add(file, "orders.jsonl")}
    assert len(ids) == 3


def test_a_data_set_that_was_mended_is_not_taken_for_the_file_as_it_came(shelf: Shelf, file: Path) -> None:
    mended = shelf.add(file, "orders.jsonl")
    shelf.accept(mended, "empty_answer", "all")
    fresh = shelf.add(file, "orders.jsonl")
    assert fresh != mended
    assert shelf.open(fresh, None).about.accepted == {}
    assert len(shelf.open(mended, None).dataset.rows) == 3


def test_a_deleted_data_set_is_gone_and_no_other(shelf: Shelf, file: Path, tmp_path: Path) -> None:
    gone, stays = shelf.add(file, "orders.jsonl"), shelf.add(file, "more.jsonl")
    shelf.open(gone, None)
    assert [(kept.id, kept.name, kept.bytes) for kept in shelf.all()] == [
        (one, name, file.stat().st_size)
        for one, name in sorted([(gone, "orders.jsonl"), (stays, "more.jsonl")], reverse=True)
    ]
    shelf.remove(gone)
    assert folders(tmp_path) == {stays}
    assert (shelf.has(gone), shelf.has(stays)) == (False, True)
    for late in (shelf.remove, lambda one: shelf.open(one, None)):
        with pytest.raises(BadInput, match="no longer here"):
            late(gone)


def test_what_is_brought_twice_under_one_id_takes_nothing_away(shelf: Shelf, file: Path, tmp_path: Path) -> None:
    data_id = shelf.add(file, "orders.jsonl")
    with pytest.raises(WorkspaceProblem, match="could not be kept"):
        shelf.add(file, "orders.jsonl", data_id=data_id)
    assert folders(tmp_path) == {data_id}
    assert shelf.open(data_id, None).dataset.rows


def test_one_row_can_be_mended_after_all_were_left_as_they_are(shelf: Shelf) -> None:
    rows = [{"question": f"What is {i}?", "answer": "" if i % 10 == 0 else f"It is {i}."} for i in range(1, 41)]
    data_id = shelf.add_text("".join(json.dumps(row) + "\n" for row in rows), "faults.jsonl")
    shelf.refuse(data_id, "empty_answer")
    shelf.accept(data_id, "empty_answer", [20])
    brought = shelf.open(data_id, None)
    at_fault = [problem for problem in brought.report.problems if problem.kind == "empty_answer"]
    assert [problem.row for problem in at_fault if brought.about.covers(problem)] == [20]
    assert [problem.row for problem in at_fault if brought.about.leaves(problem)] == [10, 30, 40]
    assert 20 not in [row.row for row in brought.dataset.rows]


TABLE = "Frage;Antwort\n" + "".join(f"Wie groß ist {i}?;Größe Nummer {i}.\n" for i in range(30))


def test_how_a_file_is_read_can_be_changed_and_taken_back(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(TABLE.encode("cp1252"))
    data_id = shelf.add(file, "table.csv")
    found = shelf.original(data_id)
    shelf.accept(data_id, "duplicate", "all")
    how = {"encoding": "mac-roman", "shape": "question_answer", "mapping": {"question": "Antwort", "answer": "Frage"}}
    shelf.read_again(data_id, how)
    changed = Shelf(tmp_path / "datasets").open(data_id, None)  # also after a restart
    assert changed.dataset.rows[0].messages[1]["content"].startswith("Wie gro")
    assert "ß" not in changed.dataset.rows[0].messages[1]["content"]
    assert changed.about.accepted == {}, "what was accepted was said of other rows"
    shelf.read_again(data_id, {})
    assert shelf.original(data_id).rows == found.rows


def test_a_way_to_read_that_fails_changes_nothing(shelf: Shelf, file: Path) -> None:
    data_id = shelf.add(file, "orders.jsonl")
    before = shelf.open(data_id, None)
    for how in ({"encoding": "no-such"}, {"shape": "alpaca"}, {"mapping": {"question": "no", "answer": "such"}}):
        with pytest.raises(BadInput):
            shelf.read_again(data_id, how)
    assert shelf.open(data_id, None) is before


def test_a_row_that_is_left_as_is_stays_when_all_are_mended(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "copies.jsonl"
    file.write_text("".join(ROW % (f"where is {word}", f"{word} is here") for word in ("a", "a", "a", "b")))
    data_id = shelf.add(file, "copies.jsonl")
    shelf.refuse(data_id, "duplicate", [3])
    shelf.accept(data_id, "duplicate", "all")
    assert [row.row for row in shelf.open(data_id, None).dataset.rows] == [1, 3, 4]
    shelf.accept(data_id, "duplicate", [3])
    assert [row.row for row in shelf.open(data_id, None).dataset.rows] == [1, 4]
    shelf.refuse(data_id, "duplicate")
    assert len(shelf.open(data_id, None).dataset.rows) == 4
    shelf.accept(data_id, "duplicate", "all")
    assert [row.row for row in shelf.open(data_id, None).dataset.rows] == [1, 4]
    shelf.undo(data_id, "duplicate")
    assert len(shelf.open(data_id, None).dataset.rows) == 4


def test_leaving_out_one_row_that_can_not_be_read_is_no_word_about_the_others(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text("".join(ROW % (f"what is {i}", f"it is {i}") for i in range(12)) + "{broken\n{broken too\n")
    data_id = shelf.add(file, "broken.jsonl")
    shelf.accept(data_id, "bad_json", [13])
    assert "Row 14" in shelf.open(data_id, None).blocked
    shelf.accept(data_id, "bad_json", [14])
    assert shelf.open(data_id, None).blocked == ""


def test_fixes_of_the_system_message_take_each_others_place(shelf: Shelf, file: Path) -> None:
    data_id = shelf.add(file, "orders.jsonl")
    shelf.accept(data_id, "remove_system", "all")
    shelf.accept(data_id, "add_system", "all")
    assert shelf.open(data_id, None).about.accepted == {"add_system": "all"}


def test_what_a_fix_would_change_is_known_before(shelf: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "faults.jsonl"
    faulty = ROW % ("may I call +49 170 5551234 then", "yes you may") + ROW % ("empty one", "")
    file.write_text("".join(ROW % (f"what is {i}", f"it is {i}") for i in range(12)) + faulty)
    trials = shelf.open(shelf.add(file, "faults.jsonl"), None).trials
    (phone,) = trials["personal_phone"]
    assert (phone.row, phone.after) == (13, "user: may I call [phone] then?")
    (empty,) = trials["empty_answer"]
    assert (empty.row, empty.after) == (14, "")
