"""What a worker hands to the work: its folder and spec, and the ways to tell and to be stopped."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

from backend.records.events import Event
from backend.settings import Workspace
from jobs.events import EventLog
from jobs.failures import ending_of
from jobs.folder import JobFolder
from jobs.oom_detection import free_share, snapshot
from jobs.records import Progress, State
from jobs.status import Status

_SECONDS_BETWEEN_WRITES = 0.5
_SECONDS_OF_SILENCE = 5.0

log = logging.getLogger(__name__)


class Context:
    """The work's side of a job.

    folder: the job's folder. spec: what was submitted. attempt: 1, then one more for each resume.
    short_of_memory: whether the attempt before ran out of memory, so that this one must do with less.
    The work calls `should_stop` at every step; when it is true it saves and returns.
    """

    def __init__(self, folder: JobFolder, workspace: Workspace, status: Status) -> None:
        self.folder = folder.path
        self.workspace = workspace
        self.spec: dict[str, Any] = folder.spec()
        self.attempt = status.attempt
        self.short_of_memory = status.short_of_memory
        self.stopping = False  # whether the work was told to stop
        self.status = status
        self._job = folder
        self._log = EventLog(folder.events, status.attempt)
        self._lock = threading.Lock()
        self._written = 0.0

    def begin(self) -> None:
        """The work begins now. Raises OSError."""
        self.status = self.status.changed(state=State.RUNNING)
        self._job.write_status(self.status)

    def emit(self, event: Event) -> None:
        """Add an event to the log. Raises OSError on a full disk."""
        with self._lock:
            self._log.append(event)

    def progress(self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None) -> None:
        """Say how far the work is. Written when the phase changes, else twice a second. Raises OSError."""
        with self._lock:
            before = self.status.progress
            progress = Progress(phase=phase, done=done, total=total, seconds_left=seconds_left)
            self.status = self.status.changed(progress=progress)
            due = time.monotonic() - self._written >= _SECONDS_BETWEEN_WRITES
            if before is None or before.phase != phase or due:
                self._write()

    def alive(self) -> None:
        """Say, in the midst of something long, that the work goes on: without it a stopping worker is ended.

        Writes the status again after five seconds of silence. Raises OSError.
        """
        with self._lock:
            if time.monotonic() - self._written >= _SECONDS_OF_SILENCE:
                self._write()

    def reset_oom_count(self) -> None:
        """Say that what the system ended for lack of memory until now was a process that the work can do without.

        Raises OSError.
        """
        with self._lock:
            self.status = self.status.changed(memory=snapshot())
            self._write()

    def _write(self) -> None:
        memory = self.status.memory.model_copy(update={"free": free_share()})
        self.status = self.status.changed(memory=memory)
        self._job.write_status(self.status)
        self._written = time.monotonic()

    def should_stop(self) -> bool:
        """Whether a stop is asked for. A few microseconds; once true it stays so."""
        self.stopping = self.stopping or self._job.stop_requested
        return self.stopping

    def fail(self, error: Exception) -> None:
        """End this attempt and this process as if the work had raised `error`: where the work can't be interrupted.

        Nothing is written after that. A status that can't be written leaves the attempt interrupted.
        """
        with self._lock:
            log.error("the work is given up: %s", error)
            try:
                self._job.write_status(ending_of(error, self.status, stop_requested=self._job.stop_requested))
            finally:
                os._exit(1)

    def close(self) -> None:
        """See all events on the disk. Raises OSError."""
        try:
            self._log.sync()
        finally:
            self._log.close()
