"""Reading and checking in background threads, with progress, cancellation and the error
of a failed task.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from backend.errors import NotYet
from backend.records.reading import Cancelled
from backend.records.rows import Dataset

_MAX_ENDED = 32  # tasks remembered after they ended
_LOOK = 0.1  # seconds between two looks at whether somebody who waits has cancelled


class ProgressListener:
    """Receives the progress of reading and checking. This one ignores everything and
    never cancels.
    """

    def start_phase(self, phase: str) -> Callable[[float], None]:
        """Starts a phase; returns a callback for its progress, 0 to 1."""
        return lambda fraction: None

    def on_first_rows(self, first: Dataset) -> None:
        """Receives the first rows as soon as they are read."""

    def cancelled(self) -> bool:
        """Whether to stop; the caller then raises Cancelled."""
        return False


NO_PROGRESS = ProgressListener()


@contextmanager
def held(lock: threading.Lock, listener: ProgressListener) -> Iterator[None]:
    """Holds the lock. Raises Cancelled when the listener cancels while another holds
    it.
    """
    if not lock.acquire(blocking=False):
        listener.start_phase("Waiting for its turn")
        while not lock.acquire(timeout=_LOOK):
            if listener.cancelled():
                raise Cancelled
    try:
        yield
    finally:
        lock.release()


def still_read() -> NotYet:
    """Instead of what takes too long for somebody who waits."""
    return NotYet(
        "These examples are still being read.",
        "",
        "Wait a few seconds, then try again.",
    )


class BackgroundTask(ProgressListener):
    """One function in its own thread; its return value is dropped. phase, fraction: the
    current phase and its progress, 0 to 1. first: the first rows, while it runs. error:
    what ended it; None while it runs, after success and after cancelling. changed: when
    it began, or ended, by the monotonic clock.
    """

    def __init__(self, name: str, do: Callable[[BackgroundTask], Any]) -> None:
        self.name, self.phase, self.fraction = name, "", 0.0
        self.first: Dataset | None = None
        self.error: Exception | None = None
        self._cancel, self._ended = threading.Event(), threading.Event()
        self.changed = monotonic()
        threading.Thread(
            target=self._run, args=(do,), name="reading", daemon=True
        ).start()

    def _run(self, do: Callable[[BackgroundTask], Any]) -> None:
        try:
            do(self)
        except Cancelled:
            pass
        except Exception as error:
            self.error = error
        finally:
            self.first, self.changed = None, monotonic()
            self._ended.set()

    def start_phase(self, phase: str) -> Callable[[float], None]:
        self.phase, self.fraction = phase, 0.0

        def update(fraction: float) -> None:
            self.fraction = fraction

        return update

    def on_first_rows(self, first: Dataset) -> None:
        self.first = self.first or first  # not those of its validation file

    def cancel(self) -> None:
        """Asks the task to stop; it does so soon."""
        self._cancel.set()

    def cancelled(self) -> bool:
        return self._cancel.is_set()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the task to end, until so many seconds after it began; returns
        whether it has ended.
        """
        left = (
            None if seconds is None else max(0.0, self.changed + seconds - monotonic())
        )
        return self._ended.wait(left)


class BackgroundTasks:
    """The tasks of one app by key; starting a key that is already running returns the
    running task.
    """

    def __init__(self) -> None:
        self._tasks: OrderedDict[Hashable, BackgroundTask] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> BackgroundTask | None:
        return self._tasks.get(key)

    def start(
        self, key: Hashable, name: str, do: Callable[[BackgroundTask], Any]
    ) -> BackgroundTask:
        """The task under `key`, started unless it is running."""
        with self._lock:
            task = self._tasks.get(key)
            if task is None or task.ended:
                self._tasks[key] = task = BackgroundTask(name, do)
                ended = [key for key, task in self._tasks.items() if task.ended]
                for old in ended[:-_MAX_ENDED]:
                    del self._tasks[old]
            return task

    def running(self) -> list[Hashable]:
        """The keys of the tasks that run."""
        with self._lock:
            return [key for key, task in self._tasks.items() if not task.ended]

    def of(self, data_id: str) -> list[BackgroundTask]:
        """The tasks of a dataset: those whose key is `data_id`, or a tuple that starts
        with it.
        """
        with self._lock:
            tasks = list(self._tasks.items())
        return [
            task
            for key, task in tasks
            if data_id == (key[0] if isinstance(key, tuple) else key)
        ]

    def cancel_all(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
