"""The worker: `python -m jobs.worker JOB_ID` does the work of one job, in the workspace
$APPRENTICE_HOME. It holds the job's lock until its process exits; meanwhile only it
writes the job's status.
"""

import importlib
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from backend.errors import ApprenticeError, OutOfMemory, Stopped, is_out_of_memory
from backend.files.disk_errors import FULL, disk_words
from backend.files.json_file import to_json
from backend.settings import Workspace
from jobs import oom_detection, store
from jobs.context import Context
from jobs.folder import JobFolder
from jobs.records import Failure, Identity, State
from jobs.registry import JOB_TYPES
from jobs.status import Status

log = logging.getLogger("jobs.worker")

LOCK_TIMEOUT = (
    10.0  # seconds; a runner holds the lock for a moment when it checks the job
)
FINAL_WRITE_TRIES, FINAL_WRITE_PAUSE = 5, 1.0  # seconds
DONE, FAILED, USAGE, NOTHING_TO_DO = 0, 1, 2, 3
_NICENESS = 10  # of this session, against those of the page and other programs

Work = Callable[[Context], dict[str, Any] | None]

_held: list[FileLock] = []  # until the process exits: a released lock means that it has


def main(arguments: list[str]) -> int:
    """Do the job named by the only argument; returns the process's exit code."""
    set_up_logging()
    if len(arguments) != 1:
        print("usage: python -m jobs.worker JOB_ID", file=sys.stderr)
        return USAGE
    try:
        workspace = Workspace.open()
        folder = store.find(workspace, arguments[0])
        lock = folder.lock()
        lock.acquire(timeout=LOCK_TIMEOUT)
    except ApprenticeError as error:
        print(error, file=sys.stderr)
        return USAGE
    except Timeout:
        log.info("another process holds the lock of this job")
        return NOTHING_TO_DO
    _held.append(lock)
    return attempt(folder, workspace)


def set_up_logging() -> None:
    """Log to log.txt, but no fetched addresses: a signed one is as good as a password."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)


def attempt(folder: JobFolder, workspace: Workspace) -> int:
    """Do one attempt of a starting job whose lock this process holds; returns the exit
    code.
    """
    status = folder.status()
    if status.state is not State.STARTING or status.pid is not None:
        log.info("nothing to do: the job is %s", status.state)
        return NOTHING_TO_DO
    log.info("attempt %s of %s", status.attempt, folder.id)
    me = psutil.Process()
    status = status.changed(
        pid=me.pid, pid_created=me.create_time(), memory=oom_detection.snapshot()
    )
    context = None
    try:
        folder.write_status(status)
        folder.reserve_disk_space()
        context = Context(folder, workspace, status)
        final = _work(folder, context)
    except (Exception, SystemExit) as error:
        log.exception("attempt %s failed", status.attempt)
        final = status_after_error(
            error,
            context.status if context else status,
            stop_requested=folder.stop_requested,
        )
    log.info("attempt %s: %s", final.attempt, final.state)
    return (
        DONE
        if _write_final_status(folder, final) and final.state is not State.FAILED
        else FAILED
    )


def status_after_error(
    error: BaseException, status: Status, *, stop_requested: bool
) -> Status:
    """The last status of the attempt that `error` ended, or the next attempt's if
    memory ran out and using less may help. status: as last written.
    """
    retry = isinstance(error, OutOfMemory) and not stop_requested
    return (status.retry_with_less_memory() if retry else None) or status.ended_as(
        State.FAILED, failure_of(error)
    )


def failure_of(error: BaseException) -> Failure:
    """An error in plain words; the technical details are in the log."""
    if isinstance(error, ApprenticeError):
        return Failure(**error.to_dict())
    if is_out_of_memory(error):
        return Failure(
            what="There was not enough memory.",
            why="With these settings it needs more than is free on this computer.",
            next="Close other programs or choose a smaller model, then try again.",
            error=OutOfMemory.__name__,
        )
    if isinstance(error, OSError) and error.errno in FULL:
        return Failure(
            what="The disk is full.",
            why="The run could not write to its folder.",
            next="Free some disk space, then resume it: it continues from its last checkpoint.",
        )
    if isinstance(error, OSError):
        why, way_out = disk_words(error)[0], "Check the disk, then resume the run."
        return Failure(
            what="A file could not be read or written.", why=why, next=way_out
        )
    if isinstance(error, ImportError):
        return Failure(
            what=f"A required library can't be loaded: {error.name or 'unknown'}.",
            why="It is not installed, or its files are damaged.",
            next="Run the start script again: it installs what is missing.",
        )
    return Failure(
        what="Something unexpected went wrong.",
        why="The technical details are in the file log.txt of this run.",
        next="Resume it; if it happens again, report it with that file.",
    )


def _write_final_status(folder: JobFolder, final: Status) -> bool:
    """Write the last status, retrying for a while: without it the job would count as
    interrupted.
    """
    for _ in range(FINAL_WRITE_TRIES):
        try:
            folder.write_status(final)
            return True
        except OSError:
            log.exception("the last status could not be written")
            time.sleep(FINAL_WRITE_PAUSE)
    return False


def _work(folder: JobFolder, context: Context) -> Status:
    """Load and do the work; returns the last status. Raises whatever the work raises."""
    result = None
    try:
        if not context.should_stop():
            work: Work = _function(JOB_TYPES[folder.identity().kind].work)
            context.begin()
            with suppress(Stopped):  # its result is what there is without one
                result = work(context)
            to_json(result or {})  # raises TypeError if the result is not JSON
    except BaseException:
        with suppress(OSError):  # the first error is the one to report
            context.close()
        raise
    context.close()
    state = State.STOPPED if context.stopping else State.COMPLETED
    if state is State.COMPLETED:
        queue_follow_up(folder, context, result or {})
    return context.status.ended_as(state, result=result or {})


def queue_follow_up(
    folder: JobFolder, context: Context, result: dict[str, Any]
) -> None:
    """Queue the job that follows a completed one of this kind, if any; its failure is
    not this job's. It counts as queued when this one was, and so goes before other jobs
    that wait.
    """
    follow_up = JOB_TYPES[folder.identity().kind].follow_up
    if follow_up is None:
        return
    kind, name, function = follow_up
    try:
        spec = _function(function)(context, result)
        if spec is not None:
            identity = Identity(
                kind=kind, name=name, parent=folder.id, created=time.time()
            )
            store.create(
                context.workspace, identity, spec, queued=folder.status().queued
            )
    except Exception:
        log.exception("the job %s could not be queued", kind)


def _function(name: str) -> Any:
    module, function = name.split(":")
    return getattr(importlib.import_module(module), function)


if __name__ == "__main__":
    # Other programs go first: Linux shares the processor out between sessions before it
    # looks at the niceness of their processes (sched(7), "autogroup"). With
    # APPRENTICE_NICENESS=0 tests don't wait for each other.
    with suppress(OSError):  # no such system, or it is off
        Path("/proc/self/autogroup").write_text(
            os.environ.get("APPRENTICE_NICENESS", str(_NICENESS)), "ascii"
        )
    sys.exit(main(sys.argv[1:]))
