"""Background reading: the first rows come before the rest, and a cancelled upload leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.datasets.background import BackgroundTask, BackgroundTasks, ProgressListener
from backend.datasets.store import DatasetStore
from backend.errors import BadInput
from backend.records.reading import Cancelled
from backend.records.rows import Dataset

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


def test_first_rows_and_progress_arrive_during_reading(store: DatasetStore, big: Path) -> None:
    recorder = Recorder()
    data_id = store.add(big, "big.jsonl", recorder)
    store.open(data_id, None, listener=recorder)
    assert recorder.first is not None
    assert [row.messages[0]["content"] for row in recorder.first.rows[:2]] == ["what is 0?", "what is 1?"]
    assert len(recorder.first.rows) == 20
    assert recorder.phases == ["Reading", "Checking every example"]
    assert len({round(fraction, 1) for fraction in recorder.fractions}) > 5


def test_a_cancelled_upload_leaves_nothing_behind(store: DatasetStore, big: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        store.add(big, "big.jsonl", Recorder(until=2))
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_failed_task_has_its_error() -> None:
    assert (done := BackgroundTask("a", lambda task: None)).wait(PATIENCE)
    assert done.error is None

    def fail(task: BackgroundTask) -> None:
        raise BadInput("No.")

    assert (failed := BackgroundTask("a", fail)).wait(PATIENCE)
    assert isinstance(failed.error, BadInput)


def test_a_cancelled_task_has_no_error() -> None:
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
