"""Starts a job's worker, finds out what became of it, and kills it if it does not stop."""

import logging
import sys
import time
from contextlib import suppress

from backend.errors import ApprenticeError, OutOfMemory
from backend.files.disk_errors import disk_words
from backend.settings import Workspace
from jobs import oom_detection, process
from jobs.folder import JobFolder
from jobs.records import Failure, State
from jobs.registry import JOB_TYPES
from jobs.status import Status

log = logging.getLogger(__name__)

_SIGKILL = 9  # the signal with which the system ends a process when memory runs out
_REAPED = 1.0  # seconds between the end of a process, when its lock is free, and its exit code
_EXIT_MAX = 60.0  # seconds that a worker may take to exit after its last status, if no runner watched it end

_RESUME = "Start it again: a training run continues from its last checkpoint."


def _unexpected(why: str, **more: str) -> Failure:
    return Failure(
        **{
            "what": "The run stopped unexpectedly and reported no error.",
            "next": _RESUME,
            **more,
        },
        why=why,
    )


KILLED = _unexpected(
    "Its process was killed or the computer shut down. This system does not record whether memory ran out."
)
DIED = _unexpected(
    "Its process ended without writing why. The end of log.txt in its folder may say more."
)
KILLED_NOT_BY_OOM = _unexpected(
    "Its process was killed or the computer shut down. It was not out of memory."
)
OUT_OF_MEMORY = Failure(
    what="The computer ran out of memory.",
    why="The system ended the run's process to free memory.",
    next="Close other programs, or choose a smaller model. Then start it again: a training run continues from its "
    "last checkpoint.",
    error=OutOfMemory.__name__,
)
PROBABLY_OUT_OF_MEMORY = _unexpected(
    "Shortly before, the computer had hardly any free memory, so it probably ran out.",
    next=OUT_OF_MEMORY.next,
    error=OutOfMemory.__name__,
)
STOP_TIMED_OUT = _unexpected(
    "Its progress since its last checkpoint is lost.",
    what="The run did not stop in time and was killed.",
)
NEVER_STARTED = Failure(
    what="The run could not be started.",
    why="Its process ended before it began.",
    next="The file log.txt in its folder has the details. Then resume it.",
)


class Supervisor:
    """stop, start: the deadlines of a worker, in seconds. Call the methods only under
    the runner's lock. They raise OSError when a folder can't be read or written.
    """

    def __init__(self, workspace: Workspace, stop: float, start: float) -> None:
        self._workspace = workspace
        self._deadlines = {"stop": stop, "start": start}
        self._since: dict[tuple[str, int, str], tuple[object, float]] = {}
        self._killed: set[tuple[str, int]] = set()
        self._unfinished: set[str] = set()  # as last seen

    def reconcile(self, folder: JobFolder) -> Status:
        """The job's current status; if its worker has died, how it ended is written
        first. A worker that wrote its last status but still holds its lock counts as
        stopping.
        """
        status = folder.status()
        ended_long_ago = (
            status.state.is_terminal
            and abs(time.time() - (status.ended or 0.0)) > _EXIT_MAX
        )
        if folder.id not in self._unfinished and ended_long_ago:
            return (
                status  # without trying its lock, which takes longer than all the rest
            )
        status = self._reconcile(folder)
        if status.state.is_terminal:
            self._unfinished.discard(folder.id)
        else:
            self._unfinished.add(folder.id)
        return status

    def _reconcile(self, folder: JobFolder) -> Status:
        with folder.claim() as free:
            status = folder.status()
            if not free:
                self._kill_if_overdue(folder, status)
                state = (
                    State.STOPPING if status.state.is_terminal else folder.state(status)
                )
                return status.changed(state=state)
            if not status.state.is_active:
                process.forget(folder.id)
                self._since = {
                    key: since
                    for key, since in self._since.items()
                    if key[0] != folder.id
                }
                return status
            starts = (
                status.pid is None
                and process.exit_code(folder.id, status.attempt) is None
            )
            if starts and not self._is_past("start", folder, status):
                return status.changed(state=folder.state(status))
            status = self._after_death(folder, status)
            folder.write_status(status)
            log.info("%s: %s", folder.id, status.state)
            return status

    def launch(self, folder: JobFolder) -> State:
        """Start the worker of a queued job: STARTING, FAILED, or QUEUED if its last
        worker has not gone yet.
        """
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
            failure = NEVER_STARTED.model_copy(update={"why": disk_words(error)[0]})
            with folder.claim():
                folder.write_status(status.ended_as(State.FAILED, failure))
            return State.FAILED
        return State.STARTING

    def _kill_if_overdue(self, folder: JobFolder, status: Status) -> None:
        should_end = folder.stop_requested or status.state.is_terminal
        if not should_end or status.pid is None or status.pid_created is None:
            return
        silent = self._is_past("stop", folder, status, folder.activity())
        if silent and process.kill(status.pid, status.pid_created):
            log.warning("%s did not stop in time and was killed", folder.id)
            self._killed.add((folder.id, status.attempt))

    def _after_death(self, folder: JobFolder, status: Status) -> Status:
        """How an attempt ended whose worker died, or the next attempt if memory ran
        out.
        """
        if (folder.id, status.attempt) in self._killed:
            return status.ended_as(State.INTERRUPTED, STOP_TIMED_OUT)
        if (
            status.pid is None
            and (process.exit_code(folder.id, status.attempt) or 0) >= 0
        ):
            return status.ended_as(State.FAILED, NEVER_STARTED)
        exit_code = process.exit_code(folder.id, status.attempt, _REAPED)
        if sys.platform != "win32" and exit_code not in (
            None,
            -_SIGKILL,
        ):  # Windows has no signals to tell it by
            return status.ended_as(State.INTERRUPTED, DIED)
        ran_out = oom_detection.ran_out(status.memory)
        free = status.memory.free  # when the worker last wrote its status
        if ran_out or (
            ran_out is None and free is not None and free < oom_detection.SHORT
        ):
            job_type = None
            with suppress(ApprenticeError):  # damaged
                job_type = JOB_TYPES.get(folder.identity().kind)
            retry = (
                job_type and job_type.can_use_less_memory and not folder.stop_requested
            )
            failure = OUT_OF_MEMORY if ran_out else PROBABLY_OUT_OF_MEMORY
            return (
                status.retry_with_less_memory() if retry else None
            ) or status.ended_as(State.INTERRUPTED, failure)
        return status.ended_as(
            State.INTERRUPTED, KILLED if ran_out is None else KILLED_NOT_BY_OOM
        )

    def _is_past(
        self, deadline: str, folder: JobFolder, status: Status, activity: object = None
    ) -> bool:
        """Whether the deadline has passed since the first call with this `activity`.
        File times are only compared for equality, so a clock that is changed does no
        harm.
        """
        key, now = (folder.id, status.attempt, deadline), time.monotonic()
        if key not in self._since or self._since[key][0] != activity:
            self._since[key] = activity, now
        return now - self._since[key][1] >= self._deadlines[deadline]
