"""Reading in the background: the first rows come before the rest, and what is cancelled leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.datasets.background import BackgroundTask, BackgroundTasks, ProgressListener
from backend.datasets.options import Cancelled
from backend.datasets.store import DatasetStore
from backend.errors import BadInput
from backend.records.rows import Dataset

ROW = '{"messages": [{"role": "user", "content": "what is %d?"}, {"role": "assistant", "content": "number %d"}]}\n'
PATIENCE = 60.0  # seconds, for a computer that is busy


class Told(ProgressListener):
    """Notes what it is told; cancels once it has been told `until` fractions of a phase."""

    def __init__(self, until: int = 1_000_000) -> None:
        self.phases: list[str] = []
        self.fractions: list[float] = []
        self.first: Dataset | None = None
        self._until = until

    def start_phase(self, phase: str) -> Callable[[float], None]:
        self.phases.append(phase)
        return self.fractions.append

    def on_first_rows(self, first: Dataset) -> None:
        assert max(self.fractions) < 1, "the first rows come before all is read"
        self.first = first

    def cancelled(self) -> bool:
        return len(self.fractions) >= self._until


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    (tmp_path / "datasets").mkdir()
    return DatasetStore(tmp_path / "datasets")


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.jsonl"
    path.write_text("".join(ROW % (i, i) for i in range(20_000)))
    return path


def test_the_first_rows_and_the_progress_are_told_while_the_rest_is_read(store: DatasetStore, big: Path) -> None:
    told = Told()
    data_id = store.add(big, "big.jsonl", told)
    store.open(data_id, None, listener=told)
    assert told.first is not None
    assert [row.messages[0]["content"] for row in told.first.rows[:2]] == ["what is 0?", "what is 1?"]
    assert len(told.first.rows) == 20
    assert told.phases == ["Reading", "Checking every row"]
    assert len({round(fraction, 1) for fraction in told.fractions}) > 5


def test_what_is_cancelled_leaves_nothing_behind(store: DatasetStore, big: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        store.add(big, "big.jsonl", Told(until=2))
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_work_tells_its_error() -> None:
    assert (done := BackgroundTask("a", lambda work: None)).wait(PATIENCE)
    assert done.error is None

    def fail(work: BackgroundTask) -> None:
        raise BadInput("No.")

    assert (failed := BackgroundTask("a", fail)).wait(PATIENCE)
    assert isinstance(failed.error, BadInput)


def test_a_work_that_gives_up_has_no_error() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work_on(work: BackgroundTask) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        if work.cancelled():
            raise Cancelled

    work = BackgroundTask("a", work_on)
    begun.wait(PATIENCE)
    assert not work.ended
    work.cancel()
    go_on.set()
    assert work.wait(PATIENCE)
    assert work.error is None


def test_the_same_work_is_done_once_at_a_time() -> None:
    works, go_on = BackgroundTasks(), threading.Event()

    def work_on(work: BackgroundTask) -> None:
        go_on.wait(PATIENCE)

    first = works.start("key", "a", work_on)
    assert works.start("key", "a", work_on) is first
    go_on.set()
    assert first.wait(PATIENCE)
    assert works.start("key", "a", work_on) is not first
