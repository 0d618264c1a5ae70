"""Workers as forks of the process that injects faults: an attempt then takes
milliseconds, not a second.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backend.settings import HOME_VARIABLE, Workspace
from jobs import process, worker
from jobs.folder import JobFolder
from jobs.records import Job
from jobs.runner import Runner
from tests.faults import failing_disk

Arm = Callable[[], None]


class ForkedWorker:
    """As much of subprocess.Popen as the runner uses."""

    def __init__(self, pid: int) -> None:
        self.pid, self._code = pid, None

    def poll(self) -> int | None:
        if self._code is None:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def wait(self, timeout: float) -> int | None:
        deadline = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        return self._code

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def wait(runner: Runner, job_id: str, seconds: float = 120.0) -> Job:
    """As Runner.wait, but not forever."""
    deadline = time.monotonic() + seconds
    while not (job := runner.job(job_id)).state.is_terminal:
        assert time.monotonic() < deadline, f"it stays {job.state}"
        runner.tick()
        time.sleep(0.001)
    return job


def install(arm: Arm = lambda: None, ended: Arm = lambda: None) -> None:
    """Workers that start from now on are forks, which call `arm` first and `ended`
    last.
    """

    def spawn(folder: JobFolder, attempt: int, workspace: Workspace) -> None:
        failing_disk.step()
        with folder.log.open("ab") as log:
            number = log.fileno()

            def work() -> int:
                os.setsid()
                os.dup2(number, 1)
                os.dup2(number, 2)
                os.closerange(3, 1024)  # among them the locks of the runner
                os.environ[HOME_VARIABLE] = str(workspace.root)
                failing_disk.arm(Path("/nowhere"))
                arm()
                code = worker.main([folder.id])
                ended()
                return code

            process._children[folder.id, attempt] = ForkedWorker(
                failing_disk.fork(work)
            )  # type: ignore[assignment]

    process.spawn = spawn
    worker.FINAL_WRITE_PAUSE = 0.001
