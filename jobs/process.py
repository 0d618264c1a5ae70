"""Start and kill the worker's process."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import psutil

from backend.settings import (
    HOME_VARIABLE,
    PROJECT_ROOT,
    Workspace,
    child_environment,
    secret,
)
from jobs.folder import JobFolder
from jobs.registry import JOB_TYPES

WORKER = (sys.executable, "-m", "jobs.worker")
_CREATION_TOLERANCE = 1.0  # seconds

# On Windows: a console of its own, so that neither Ctrl-C nor closing the window
# reaches it, but an invisible one. Without any (DETACHED_PROCESS) its children would
# open windows.
_OWN_CONSOLE = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(
    subprocess, "CREATE_NEW_PROCESS_GROUP", 0
)

# By job and attempt: the workers that this process started, for any Runner.
_children: dict[tuple[str, int], subprocess.Popen[bytes]] = {}


def environment(workspace: Workspace, secrets: Sequence[str] = ()) -> dict[str, str]:
    """The worker's environment: this process's without secrets, except the named ones."""
    return {
        **child_environment(),
        **{name: value for name in secrets if (value := secret(name))},
        HOME_VARIABLE: str(workspace.root),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",  # a crash in native code leaves its stack in log.txt
        "OMP_WAIT_POLICY": "PASSIVE",  # idle threads sleep, so the page stays responsive
    }


def spawn(folder: JobFolder, attempt: int, workspace: Workspace) -> None:
    """Start the worker of a job, detached: it outlives this process and its terminal.
    Raises OSError.
    """
    with folder.log.open("ab") as log:
        _children[folder.id, attempt] = subprocess.Popen(
            [*WORKER, folder.id],
            cwd=PROJECT_ROOT,
            env=environment(workspace, JOB_TYPES[folder.identity().kind].secrets),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # ignored on Windows
            creationflags=_OWN_CONSOLE,
        )


def exit_code(job_id: str, attempt: int, timeout: float = 0.0) -> int | None:
    """The exit code of an attempt's worker; None if it still runs after `timeout`
    seconds or was not started here.
    """
    child = _children.get((job_id, attempt))
    if child and timeout:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout)
    return child.poll() if child else None


def reap() -> None:
    """Let the system forget the workers that have ended."""
    for child in list(_children.values()):
        child.poll()


def forget(job_id: str) -> None:
    """Forget a job's ended workers."""
    for key, child in list(_children.items()):
        if key[0] == job_id and child.poll() is not None:
            del _children[key]


def kill(pid: int, created: float) -> bool:
    """Kill process `pid` and its group, if it is the one created at `created` (seconds
    since 1970). Call it only while the worker holds the job's lock. Returns False if it
    is another process.
    """
    try:
        if pid < 2 or pid == os.getpid():
            return False
        process = psutil.Process(pid)
        if abs(process.create_time() - created) > _CREATION_TOLERANCE:
            return False
        if sys.platform != "win32" and os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            for member in [*process.children(recursive=True), process]:
                member.kill()
    except (psutil.Error, ProcessLookupError):
        return False
    return True
