"""Fixes are accepted and refused, for all rows or single ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.datasets.choices import FixChoices
from backend.datasets.store import DatasetStore
from tests.backend.datasets.builders import ROW


@pytest.fixture
def fixes(store: DatasetStore) -> FixChoices:
    return FixChoices(store)


def test_one_row_can_be_fixed_after_all_were_refused(store: DatasetStore, fixes: FixChoices) -> None:
    rows = [{"question": f"What is {i}?", "answer": "" if i % 10 == 0 else f"It is {i}."} for i in range(1, 41)]
    data_id = store.add_text("".join(json.dumps(row) + "\n" for row in rows), "faults.jsonl")
    fixes.refuse(data_id, "empty_answer")
    fixes.accept(data_id, "empty_answer", [20])
    checked = store.open(data_id, None)
    at_fault = [problem for problem in checked.report.problems if problem.kind == "empty_answer"]
    assert [problem.row for problem in at_fault if checked.info.is_accepted(problem)] == [20]
    assert [problem.row for problem in at_fault if checked.info.is_refused(problem)] == [10, 30, 40]
    assert 20 not in [row.row for row in checked.dataset.rows]


def test_a_refused_row_stays_when_the_fix_is_accepted_for_all(
    store: DatasetStore, fixes: FixChoices, tmp_path: Path
) -> None:
    file = tmp_path / "copies.jsonl"
    file.write_text("".join(ROW % (f"where is {word}", f"{word} is here") for word in ("a", "a", "a", "b")))
    data_id = store.add(file, "copies.jsonl")
    fixes.refuse(data_id, "duplicate", [3])
    fixes.accept(data_id, "duplicate", "all")
    assert [row.row for row in store.open(data_id, None).dataset.rows] == [1, 3, 4]
    fixes.accept(data_id, "duplicate", [3])
    assert [row.row for row in store.open(data_id, None).dataset.rows] == [1, 4]
    fixes.refuse(data_id, "duplicate")
    assert len(store.open(data_id, None).dataset.rows) == 4
    fixes.accept(data_id, "duplicate", "all")
    assert [row.row for row in store.open(data_id, None).dataset.rows] == [1, 4]
    fixes.undo(data_id, "duplicate")
    assert len(store.open(data_id, None).dataset.rows) == 4


def test_leaving_out_one_unreadable_row_does_not_accept_the_others(
    store: DatasetStore, fixes: FixChoices, tmp_path: Path
) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text("".join(ROW % (f"what is {i}", f"it is {i}") for i in range(12)) + "{broken\n{broken too\n")
    data_id = store.add(file, "broken.jsonl")
    fixes.accept(data_id, "bad_json", [13])
    assert "Example 14" in store.open(data_id, None).blocked
    fixes.accept(data_id, "bad_json", [14])
    assert store.open(data_id, None).blocked == ""


def test_accepting_a_system_message_fix_replaces_the_other(
    store: DatasetStore, fixes: FixChoices, file: Path
) -> None:
    data_id = store.add(file, "orders.jsonl")
    fixes.accept(data_id, "remove_system", "all")
    fixes.accept(data_id, "add_system", "all")
    assert store.open(data_id, None).info.accepted == {"add_system": "all"}


def test_each_fix_has_a_preview(store: DatasetStore, tmp_path: Path) -> None:
    file = tmp_path / "faults.jsonl"
    faulty = ROW % ("may I call +49 170 5551234 then", "yes you may") + ROW % ("empty one", "")
    file.write_text("".join(ROW % (f"what is {i}", f"it is {i}") for i in range(12)) + faulty)
    fix_previews = store.open(store.add(file, "faults.jsonl"), None).fix_previews
    (phone,) = fix_previews["personal_phone"]
    assert (phone.row, phone.after) == (13, "user: may I call [phone] then?")
    (empty,) = fix_previews["empty_answer"]
    assert (empty.row, empty.after) == (14, "")
