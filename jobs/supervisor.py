"""What became of a worker, judged by its lock and its folder; ending one that overstays, starting one."""

from __future__ import annotations

import logging
import time

from backend.errors import OutOfMemory
from backend.settings import Workspace
from jobs import oom_detection, process
from jobs.records import Failure, State
from jobs.registry import KINDS
from jobs.store import JobFolder, Status

log = logging.getLogger(__name__)

_RESUME = "Resume it: it goes on from its last checkpoint."
_LOG = "The file log.txt in its folder says more. Then resume it."

KILLED = Failure(
    what="The run ended before it was done, without a word.",
    why="Its process was ended from outside, ran out of memory, or the computer went off.",
    next=_RESUME,
)
ENDED = Failure(
    what="The run ended before it was done, without a word.",
    why="Its process was ended from outside, or the computer went off; the system counted no lack of memory.",
    next=_RESUME,
)
RAN_OUT = Failure(
    what="The run ended because the computer's memory ran out.",
    why="The system ended its process to get memory back.",
    next="Close other programs, then resume it: it goes on from its last checkpoint. Or choose a smaller model.",
    error=OutOfMemory.__name__,
)
PERHAPS_RAN_OUT = Failure(
    what="The run ended before it was done, without a word.",
    why="Hardly any memory was free shortly before, so it probably ran out; this system does not say for sure.",
    next=RAN_OUT.next,
    error=OutOfMemory.__name__,
)
OVERDUE = Failure(
    what="The run did not stop in time and was ended.",
    why="What it did after its last checkpoint is lost.",
    next=_RESUME,
)
NEVER_STARTED = Failure(what="The run could not be started.", why="Its process did not come up.", next=_LOG)


class Supervisor:
    """Call its methods only under the index's lock. They raise OSError when a folder can't be read or written."""

    def __init__(self, workspace: Workspace, stop_deadline: float, start_deadline: float) -> None:
        self._workspace = workspace
        self._deadlines = {"stop": stop_deadline, "start": start_deadline}
        self._since: dict[tuple[str, int, str], tuple[object, float]] = {}
        self._ended: set[tuple[str, int]] = set()

    def settle(self, folder: JobFolder) -> State:
        """The state of a job, after writing down the end of a worker that is gone.

        A worker that has said its last word but still holds its lock counts as stopping.
        """
        with folder.claim() as free:
            status = folder.status()
            if not free:
                self._end_overdue(folder, status)
                return State.STOPPING if status.state.is_terminal else folder.state(status)
            if not status.state.is_active:
                self._forget(folder.id)
                return status.state
            if status.pid is None and self._may_still_come(folder, status):
                return folder.state(status)
            status = self._ending(folder, status)
            folder.write_status(status)
            log.info("%s: %s", folder.id, status.state)
            return status.state

    def launch(self, folder: JobFolder) -> State:
        """Start the worker of a queued job. Gives QUEUED when that must wait, FAILED when it can't be started."""
        with folder.claim() as free:
            status = folder.status()
            if not free:
                return State.QUEUED
            status = status.changed(state=State.STARTING, started=time.time())
            folder.write_status(status)
        try:
            process.spawn(folder, status.attempt, self._workspace)
        except OSError as error:
            log.error("%s could not be started: %s", folder.id, error)
            why = f"The system says: {error.strerror or error}."
            with folder.claim():
                folder.write_status(status.ending(State.FAILED, NEVER_STARTED.model_copy(update={"why": why})))
            return State.FAILED
        return State.STARTING

    def _end_overdue(self, folder: JobFolder, status: Status) -> None:
        wanted = folder.stop_requested or status.state.is_terminal
        if not wanted or status.pid is None or status.pid_created is None:
            return
        silent = self._passed("stop", folder, status, folder.signs_of_life())
        if silent and process.end(status.pid, status.pid_created):
            log.warning("%s overstayed and was ended", folder.id)
            self._ended.add((folder.id, status.attempt))

    def _may_still_come(self, folder: JobFolder, status: Status) -> bool:
        ended = process.exit_code(folder.id, status.attempt) is not None
        return not ended and not self._passed("start", folder, status)

    def _ending(self, folder: JobFolder, status: Status) -> Status:
        """How the worker, now gone, ended; or the next attempt, where memory ran out and less of it may do."""
        if (folder.id, status.attempt) in self._ended:
            return status.ending(State.INTERRUPTED, OVERDUE)
        if status.pid is None and (process.exit_code(folder.id, status.attempt) or 0) >= 0:
            return status.ending(State.FAILED, NEVER_STARTED)
        ran_out = oom_detection.ran_out(status.memory)
        if ran_out or (ran_out is None and oom_detection.was_short(status.memory)):
            kind = KINDS.get(folder.identity().kind)
            again = kind is not None and kind.lighter and not folder.stop_requested
            failure = RAN_OUT if ran_out else PERHAPS_RAN_OUT
            return (status.with_less_memory() if again else None) or status.ending(State.INTERRUPTED, failure)
        return status.ending(State.INTERRUPTED, KILLED if ran_out is None else ENDED)

    def _passed(self, deadline: str, folder: JobFolder, status: Status, signs: object = None) -> bool:
        """Whether the deadline has passed since it was first asked with these `signs` of life.

        Times of files are only compared for being the same: the clock on the wall may be set meanwhile.
        """
        key, now = (folder.id, status.attempt, deadline), time.monotonic()
        if key not in self._since or self._since[key][0] != signs:
            self._since[key] = signs, now
        return now - self._since[key][1] >= self._deadlines[deadline]

    def _forget(self, job_id: str) -> None:
        process.forget(job_id)
        self._since = {key: since for key, since in self._since.items() if key[0] != job_id}
