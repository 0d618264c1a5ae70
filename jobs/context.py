"""The work's access to its job: its folder and spec, reporting, and whether to stop."""

import threading
import time
from typing import Any

from backend.records.events import Event
from backend.settings import Workspace
from jobs.events import EventLog
from jobs.folder import JobFolder
from jobs.oom_detection import snapshot
from jobs.records import Progress, State
from jobs.status import Status

_SECONDS_BETWEEN_WRITES = 0.5
_SECONDS_WITHOUT_ACTIVITY = 5.0


class Context:
    """The work's access to its job. folder: the job's folder. spec: as submitted.
    short_of_memory: the last attempt ran out of memory, so this one must use less. The
    work calls `should_stop` at every step; when it returns True, the work saves and
    returns.
    """

    def __init__(self, folder: JobFolder, workspace: Workspace, status: Status) -> None:
        self.folder = folder.path
        self.workspace = workspace
        self.spec: dict[str, Any] = folder.spec()
        self.short_of_memory = status.short_of_memory
        self.stopping = False  # whether should_stop has returned True
        self.status = status
        self._job = folder
        self._log = EventLog(folder.events, status.attempt)
        self.close = self._log.close
        self._lock = threading.Lock()
        self._written = 0.0
        self._ends = 0.0  # when all will be done, as last reported

    def begin(self) -> None:
        """Mark the job as running. Raises OSError."""
        self.status = self.status.changed(state=State.RUNNING)
        self._job.write_status(self.status)

    def emit(self, event: Event) -> None:
        """Add an event to the log. Raises OSError on a full disk."""
        with self._lock:
            self._log.append(event)

    def progress(
        self,
        phase: str,
        done: int = 0,
        total: int = 0,
        seconds_left: float | None = None,
        detail: str = "",
    ) -> None:
        """Report progress; written when the phase changes, else at most twice a second.
        Raises OSError.

        phase: what is being done, for people
        done: how much of `total`, in any unit
        total: 0 if it is unknown
        seconds_left: until all of it is done; None if it is unknown: then the last
            estimate counts down
        """
        with self._lock:
            before, now = self.status.progress, time.monotonic()
            if seconds_left is not None:
                self._ends = now + seconds_left
            elif self._ends > now:
                seconds_left = self._ends - now
            progress = Progress(
                phase=phase,
                done=done,
                total=total,
                seconds_left=seconds_left,
                detail=detail,
            )
            self.status = self.status.changed(progress=progress)
            if (
                before is None
                or before.phase != phase
                or now - self._written >= _SECONDS_BETWEEN_WRITES
            ):
                self._write()

    def alive(self) -> None:
        """Show activity during a long operation; a stopping worker that shows none is
        killed. Writes the status again if nothing was written for five seconds. Raises
        OSError.
        """
        with self._lock:
            if time.monotonic() - self._written >= _SECONDS_WITHOUT_ACTIVITY:
                self._write()

    def reset_oom_count(self) -> None:
        """Ignore what the system has killed for memory so far: the work goes on without
        it. Raises OSError.
        """
        with self._lock:
            self._write()

    def _write(self) -> None:
        """Kills counted until now were not of this process, so only later ones can
        explain its death.
        """
        self.status = self.status.changed(memory=snapshot())
        self._job.write_status(self.status)
        self._written = time.monotonic()

    def should_stop(self) -> bool:
        """Whether a stop was requested. Takes microseconds; once True, always True."""
        self.stopping = self.stopping or self._job.stop_requested
        return self.stopping
