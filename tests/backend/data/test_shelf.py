"""What a person brought is kept once, listed, and can be deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.data.shelf import Shelf
from backend.errors import BadInput

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
