"""Uploaded files are read in the background, stored once, listed, and can be cancelled
or deleted.
"""

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from backend.datasets.background import (
    BackgroundTask,
    BackgroundTasks,
    ProgressListener,
)
from backend.datasets.choices import FixChoices, ValidationFiles
from backend.datasets.editing import Editor
from backend.datasets.store import DatasetStore
from backend.errors import BadInput, WorkspaceProblem
from backend.records.reading import Cancelled
from backend.records.rows import Dataset, Row


def folders(tmp_path: Path) -> set[str]:
    return {folder.name for folder in (tmp_path / "datasets").iterdir()}


def test_the_same_file_under_the_same_name_is_stored_once(
    store: DatasetStore, file: Path, tmp_path: Path
) -> None:
    first = store.add(file, "orders.jsonl")
    assert store.add(file, "orders.jsonl") == first
    assert DatasetStore(tmp_path / "datasets").add(file, "orders.jsonl") == first
    assert folders(tmp_path) == {first}


def test_another_name_or_another_text_of_the_same_length_is_another_dataset(
    store: DatasetStore, file: Path
) -> None:
    first, renamed = store.add(file, "orders.jsonl"), store.add(file, "more.jsonl")
    file.write_text(file.read_text().replace("one?", "six?"))
    ids = {first, renamed, store.add(file, "orders.jsonl")}
    assert len(ids) == 3


def test_a_fixed_dataset_is_not_reused_for_the_same_file(
    store: DatasetStore, file: Path
) -> None:
    fixed = store.add(file, "orders.jsonl")
    FixChoices(store).accept(fixed, "empty_answer", "all")
    fresh = store.add(file, "orders.jsonl")
    assert fresh != fixed
    assert (
        store.open(fresh, None).info.accepted,
        len(store.open(fixed, None).dataset.rows),
    ) == ({}, 3)


def test_examples_written_about_any_file_stay_readable(
    store: DatasetStore, file: Path
) -> None:
    data_id = store.add(file, "orders.jsonl")  # older versions took any
    store.info.update(data_id, lambda info: replace(info, written=True))
    row = Row(
        0,
        0,
        [
            {"role": "user", "content": "Where?"},
            {"role": "assistant", "content": "Here."},
        ],
    )
    Editor(store).add(data_id, row)
    assert (
        [row.row for row in store.open(data_id, None).rows],
        store.material(data_id),
    ) == ([1], [])


def test_deleting_a_dataset_keeps_the_others(
    store: DatasetStore, file: Path, tmp_path: Path
) -> None:
    gone, stays = store.add(file, "orders.jsonl"), store.add(file, "more.jsonl")
    store.open(gone, None)
    assert [(stored.id, stored.name, stored.bytes) for stored in store.all()] == [
        (one, name, file.stat().st_size)
        for one, name in sorted(
            [(gone, "orders.jsonl"), (stays, "more.jsonl")], reverse=True
        )
    ]
    store.remove(gone)
    assert folders(tmp_path) == {stays}
    assert (store.has(gone), store.has(stays)) == (False, True)
    for late in (store.remove, lambda one: store.open(one, None)):
        with pytest.raises(BadInput, match="no longer"):
            late(gone)


def test_adding_under_an_existing_id_changes_nothing(
    store: DatasetStore, file: Path, tmp_path: Path
) -> None:
    data_id = store.add(file, "orders.jsonl")
    with pytest.raises(WorkspaceProblem, match="could not be saved"):
        store.add(file, "orders.jsonl", data_id=data_id)
    assert folders(tmp_path) == {data_id}
    assert store.open(data_id, None).dataset.rows


TABLE = "Frage;Antwort\n" + "".join(
    f"Wie groß ist {i}?;Größe Nummer {i}.\n" for i in range(30)
)


def test_read_options_can_be_changed_and_reset(
    store: DatasetStore, tmp_path: Path
) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(TABLE.encode("cp1252"))
    data_id = store.add(file, "table.csv")
    found = store.original(data_id)
    FixChoices(store).accept(data_id, "duplicate", "all")
    turned = {
        "shape": "question_answer",
        "mapping": {"question": "Antwort", "answer": "Frage"},
    }
    store.read_again(data_id, {"encoding": "mac-roman", **turned})
    changed = DatasetStore(tmp_path / "datasets").open(
        data_id, None
    )  # also after a restart
    assert changed.dataset.rows[0].messages[1]["content"].startswith("Wie gro")
    assert "ß" not in changed.dataset.rows[0].messages[1]["content"]
    assert changed.info.accepted == {}, "the accepted fix was about other rows"
    store.read_again(data_id, {})
    assert store.original(data_id).rows == found.rows


def test_read_options_that_fail_change_nothing(store: DatasetStore, file: Path) -> None:
    data_id = store.add(file, "orders.jsonl")
    before = store.open(data_id, None)
    for options in (
        {"encoding": "no-such"},
        {"shape": "alpaca"},
        {"mapping": {"question": "no", "answer": "such"}},
    ):
        with pytest.raises(BadInput):
            store.read_again(data_id, options)
    assert store.open(data_id, None) is before


fail = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))


def test_a_file_is_on_the_disk_before_it_counts_as_added(
    store: DatasetStore, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, fsync = [], os.fsync

    def flush(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, len(store.all())))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    data_id = store.add(file, "orders.jsonl")
    assert ((tmp_path / "datasets" / data_id / "source").stat().st_ino, 0) in flushed
    ValidationFiles(store).set(data_id, file, "other.jsonl")
    (copy,) = (tmp_path / "datasets" / data_id).glob("validation-*")
    assert copy.stat().st_ino in [number for number, _ in flushed]


CHANGES: dict[str, Callable[[DatasetStore, str, Path], None]] = {
    "accept": lambda store, data_id, file: FixChoices(store).accept(
        data_id, "empty_answer", "all"
    ),
    "refuse": lambda store, data_id, file: FixChoices(store).refuse(
        data_id, "empty_answer"
    ),
    "undo": lambda store, data_id, file: FixChoices(store).undo(
        data_id, "empty_answer"
    ),
    "set": lambda store, data_id, file: ValidationFiles(store).set(
        data_id, file, "other.jsonl"
    ),
    "clear": lambda store, data_id, file: ValidationFiles(store).clear(data_id),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_full_disk_is_said_to_be_full_and_changes_nothing(
    store: DatasetStore,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    data_id = store.add(file, "orders.jsonl")
    before, files = (
        store.info.read(data_id),
        sorted((tmp_path / "datasets" / data_id).iterdir()),
    )
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(WorkspaceProblem) as problem:
            CHANGES[change](store, data_id, file)
    assert problem.value.why == "The disk is full."
    assert store.info.read(data_id) == before
    assert [
        one
        for one in sorted((tmp_path / "datasets" / data_id).iterdir())
        if one.name != ".lock"
    ] == files


def test_what_a_crash_left_behind_is_deleted_later(
    store: DatasetStore, file: Path, tmp_path: Path
) -> None:
    stays = store.add(file, "orders.jsonl")
    unfinished, deleted = (
        tmp_path / "datasets" / "20260101-000000-aaaaaaaa",
        tmp_path / "datasets" / ".deleted-x",
    )
    for folder in (unfinished, deleted):
        folder.mkdir()
        (folder / "source").write_bytes(file.read_bytes())
    DatasetStore(tmp_path / "datasets")
    assert folders(tmp_path) == {stays, unfinished.name}, (
        "it may be an import of another window"
    )
    os.utime(unfinished, (0, 0))
    DatasetStore(tmp_path / "datasets")
    assert folders(tmp_path) == {stays}


def test_an_undeletable_dataset_stays(
    store: DatasetStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_id = store.add(file, "orders.jsonl")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(WorkspaceProblem):
            store.remove(data_id)
    assert len(store.open(data_id, None).original.rows) == 4


ROW = '{"messages": [{"role": "user", "content": "what is %d?"}, {"role": "assistant", "content": "number %d"}]}\n'
PATIENCE = 60.0  # seconds, for a computer that is busy


class Recorder(ProgressListener):
    """Records the progress; cancels after `until` updates."""

    def __init__(self, until: int = 1_000_000) -> None:
        self.phases: list[str] = []
        self.fractions: list[float] = []
        self.first: Dataset | None = None
        self._until = until

    def start_phase(self, phase: str) -> Callable[[float], None]:
        self.phases.append(phase)
        return self.fractions.append

    def on_first_rows(self, first: Dataset) -> None:
        assert max(self.fractions) < 1, "the first rows come before the end"
        self.first = first

    def cancelled(self) -> bool:
        return len(self.fractions) >= self._until


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.jsonl"
    path.write_text("".join(ROW % (i, i) for i in range(20_000)))
    return path


def test_first_rows_and_progress_arrive_during_reading(
    store: DatasetStore, big: Path
) -> None:
    recorder = Recorder()
    data_id = store.add(big, "big.jsonl", recorder)
    store.open(data_id, None, listener=recorder)
    assert [row.messages[0]["content"] for row in recorder.first.rows[:2]] == [
        "what is 0?",
        "what is 1?",
    ]
    assert (len(recorder.first.rows), recorder.phases) == (
        20,
        ["Reading", "Checking every example"],
    )
    assert len({round(fraction, 1) for fraction in recorder.fractions}) > 5


def test_a_cancelled_upload_leaves_nothing_behind(
    store: DatasetStore, big: Path, tmp_path: Path
) -> None:
    with pytest.raises(Cancelled):
        store.add(big, "big.jsonl", Recorder(until=2))
    assert list((tmp_path / "datasets").iterdir()) == []


def test_only_a_failed_task_has_an_error_not_a_cancelled_one() -> None:
    assert (done := BackgroundTask("a", lambda task: None)).wait(PATIENCE)
    assert done.error is None
    assert (failed := BackgroundTask("a", Mock(side_effect=BadInput("No.")))).wait(
        PATIENCE
    )
    assert isinstance(failed.error, BadInput)
    begun, go_on = threading.Event(), threading.Event()

    def run(task: BackgroundTask) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        if task.cancelled():
            raise Cancelled

    task = BackgroundTask("a", run)
    begun.wait(PATIENCE)
    assert not task.ended
    task.cancel()
    go_on.set()
    assert task.wait(PATIENCE)
    assert task.error is None


def test_a_running_task_is_not_started_again() -> None:
    tasks, go_on = BackgroundTasks(), threading.Event()

    def run(task: BackgroundTask) -> None:
        go_on.wait(PATIENCE)

    first = tasks.start("key", "a", run)
    assert tasks.start("key", "a", run) is first
    go_on.set()
    assert first.wait(PATIENCE)
    assert tasks.start("key", "a", run) is not first
