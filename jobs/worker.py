"""The worker: `python -m jobs.worker JOB_ID` does the work of one job, in the workspace $APPRENTICE_HOME.

It holds the job's lock until its process is gone, and while it does it alone writes the job's status.
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
from filelock import FileLock, Timeout

from backend.errors import ApprenticeError
from backend.files.json_file import to_json
from backend.settings import Workspace
from jobs import oom_detection, store
from jobs.context import Context
from jobs.failures import ending_of
from jobs.folder import JobFolder
from jobs.records import State
from jobs.registry import JOB_TYPES
from jobs.status import Status

log = logging.getLogger("jobs.worker")

PATIENCE = 10.0  # seconds to wait for the lock: a runner holds it for a moment when it looks
LAST_WORD_TRIES, LAST_WORD_PAUSE = 5, 1.0  # seconds
DONE, FAILED, USAGE, NOTHING_TO_DO = 0, 1, 2, 3

Work = Callable[[Context], dict[str, Any] | None]

_held: list[FileLock] = []  # until the process is gone: a released lock would tell that it is


def main(arguments: list[str]) -> int:
    """Do the job named by the only argument; gives the process's exit code."""
    begin_log()
    if len(arguments) != 1:
        print("usage: python -m jobs.worker JOB_ID", file=sys.stderr)
        return USAGE
    try:
        workspace = Workspace.open()
        folder = store.find(workspace, arguments[0])
        lock = folder.lock()
        lock.acquire(timeout=PATIENCE)
    except ApprenticeError as error:
        print(error, file=sys.stderr)
        return USAGE
    except Timeout:
        log.info("another process holds the lock of this job")
        return NOTHING_TO_DO
    _held.append(lock)
    return attempt(folder, workspace)


def begin_log() -> None:
    """Logs to log.txt, but not each address that is fetched: a signed one is as good as a password."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)


def attempt(folder: JobFolder, workspace: Workspace) -> int:
    """Do one attempt of a starting job whose lock this process holds; gives the exit code."""
    status = folder.status()
    if status.state is not State.STARTING or status.pid is not None:
        log.info("the job is %s, there is nothing to do", status.state)
        return NOTHING_TO_DO
    log.info("attempt %s of %s begins", status.attempt, folder.id)
    me = psutil.Process()
    status = status.changed(pid=me.pid, pid_created=me.create_time(), memory=oom_detection.snapshot())
    context = None
    try:
        folder.write_status(status)
        folder.reserve_disk_space()
        context = Context(folder, workspace, status)
        ending = _work(folder, context)
    except (Exception, SystemExit) as error:
        log.exception("attempt %s failed", status.attempt)
        ending = ending_of(error, context.status if context else status, stop_requested=folder.stop_requested)
    log.info("attempt %s: %s", ending.attempt, ending.state)
    return DONE if _say_last_word(folder, ending) and ending.state is not State.FAILED else FAILED


def _say_last_word(folder: JobFolder, ending: Status) -> bool:
    """Write the last status, trying for a while: without it a runner can only call the job interrupted."""
    for _ in range(LAST_WORD_TRIES):
        try:
            folder.write_status(ending)
            return True
        except OSError:
            log.exception("the last status could not be written")
            time.sleep(LAST_WORD_PAUSE)
    return False


def _work(folder: JobFolder, context: Context) -> Status:
    """Load the work and do it; gives the status to end with. Raises what the work raises."""
    result = None
    try:
        if not context.should_stop():
            work = load(folder.identity().kind)
            context.begin()
            result = work(context)
            to_json(result or {})  # a result that is no JSON is a fault of the work
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            context.close()
        raise
    context.close()
    state = State.STOPPED if context.stopping else State.COMPLETED
    return context.status.ended_as(state, result=result or {})


def load(kind: str) -> Work:
    """The function that does a kind of work, imported now."""
    module, function = JOB_TYPES[kind].work.split(":")
    work: Work = getattr(importlib.import_module(module), function)
    return work


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
