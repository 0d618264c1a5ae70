"""Workers that die, freeze, do not stop or never start, and runners that close."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import pytest

from backend.files.json_file import read_json
from backend.settings import PROJECT_ROOT, Workspace
from jobs import process, supervisor
from jobs.records import State
from jobs.runner import Runner
from jobs.supervisor import NEVER_STARTED, STOP_TIMED_OUT
from tests.jobs.conftest import (
    FOREVER,
    counting,
    finish,
    folder_of,
    is_free,
    kill,
    status_of,
    steps,
    until,
)


@pytest.mark.parametrize("app_restarts", [False, True])
def test_a_worker_killed_while_starting_is_interrupted_and_resumable(
    runner: Runner,
    worker_that: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    app_restarts: bool,
) -> None:
    command = process.WORKER
    worker_that(
        "from jobs import worker; import time; worker._function = lambda name: time.sleep(600)"
    )
    job_id = runner.submit("noop", {"steps": 2}, "")
    runner.tick()
    until(lambda: status_of(runner, job_id).pid)
    assert runner.job(job_id).state is State.STARTING
    kill(runner, job_id)
    runner = Runner(runner.workspace) if app_restarts else runner
    runner.tick()
    assert runner.job(job_id).state is State.INTERRUPTED
    monkeypatch.setattr(process, "WORKER", command)
    runner.resume(job_id)
    assert finish(runner, job_id).state is State.COMPLETED


def test_a_worker_without_a_lock_is_a_failed_start(
    runner: Runner, worker_that: Callable[[str], None]
) -> None:
    worker_that("print('no such library'); sys.exit(127)")
    job_id = runner.submit("noop", {}, "")
    job = finish(runner, job_id)
    assert job.state is State.FAILED
    assert job.failure.what == NEVER_STARTED.what
    assert "no such library" in (runner.folder(job_id) / "log.txt").read_text()


def test_a_worker_that_misses_the_start_deadline_is_a_failed_start_and_then_does_nothing(
    workspace: Workspace, worker_that: Callable[[str], None]
) -> None:
    runner = Runner(workspace, start_deadline=0.1)
    gate = workspace.cache / "gate"
    worker_that(
        f"import time, pathlib\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)"
    )
    job_id = runner.submit("noop", {}, "")
    assert finish(runner, job_id).state is State.FAILED
    gate.touch()
    assert process._children[job_id, 1].wait(30) == 3
    assert runner.job(job_id).state is State.FAILED
    assert steps(runner, job_id) == []


def test_a_worker_that_cannot_be_spawned_stops_no_other(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(process, "WORKER", ("/there/is/no/python",))
        job_id = runner.submit("noop", {}, "")
        runner.tick()
    job = runner.job(job_id)
    assert job.state is State.FAILED
    assert job.failure.what == NEVER_STARTED.what
    assert finish(runner, runner.submit("noop", {}, "")).state is State.COMPLETED


def test_the_worker_outlives_its_app_and_a_new_runner_adopts_it(
    workspace: Workspace,
) -> None:
    program = (
        "from backend.settings import Workspace; from jobs.runner import Runner; from tests.jobs import noop\n"
        "import sys, pathlib; noop.register()\n"
        "runner = Runner(Workspace.open(pathlib.Path(sys.argv[1])))\n"
        "job_id = runner.submit('noop', {'steps': 50, 'seconds_per_step': 0.02}, ''); runner.start()\n"
        "while not runner.job(job_id).started: pass\n"
        "runner.close(); print(job_id)"
    )
    app = subprocess.run(
        [sys.executable, "-c", program, workspace.root],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    job_id = app.stdout.strip()
    runner = Runner(workspace)
    queued = runner.submit("noop", {"steps": 1}, "")
    runner.tick()
    assert runner.job(job_id).state.is_active
    assert runner.job(queued).state is State.QUEUED
    assert finish(runner, queued).state is State.COMPLETED
    job = runner.job(job_id)
    assert (job.state, job.attempt) == (State.COMPLETED, 1)
    assert steps(runner, job_id) == list(range(1, 51))


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows freezes no process from outside"
)
def test_a_frozen_worker_does_not_count_as_dead(workspace: Workspace) -> None:
    runner = Runner(workspace, stop_deadline=0.0, start_deadline=0.0)
    job_id = runner.submit("noop", {**FOREVER, "steps": 20}, "")
    worker = counting(runner, job_id)
    worker.send_signal(signal.SIGSTOP)
    for _ in range(20):
        runner.tick()
    assert runner.job(job_id).state is State.RUNNING
    assert Runner(workspace).job(job_id).state is State.RUNNING
    worker.send_signal(signal.SIGCONT)
    assert finish(runner, job_id).state is State.COMPLETED
    assert steps(runner, job_id) == list(range(1, 21))


@dataclass
class Clock:
    """Replaces `time` in the supervisor."""

    now: float = 0.0
    time = staticmethod(time.time)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(supervisor, "time", clock)
    return clock


def test_a_worker_that_saves_slowly_is_not_killed_and_can_be_resumed(
    workspace: Workspace, clock: Clock
) -> None:
    runner = Runner(workspace, stop_deadline=100)
    spec = {**FOREVER, "steps": 60, "checkpoint_every": 3000, "seconds_to_save": 0.5}
    job_id = runner.submit("noop", spec, "")
    counting(runner, job_id)
    folder = folder_of(runner, job_id)
    runner.stop(job_id)
    while not is_free(folder):
        seen = folder.activity()
        until(lambda seen=seen: folder.activity() != seen or is_free(folder))
        clock.now += 90
        runner.tick()
    assert clock.now > 300
    job = runner.job(job_id)
    assert (job.state, job.stop_requested) == (State.STOPPED, False)
    assert job.result == {"steps": len(steps(runner, job_id))}
    assert read_json(folder.path / "counter.json") == {"step": job.result["steps"]}
    again = runner.resume(job_id)
    assert (again.state, again.attempt, again.ended) == (State.QUEUED, 2, None)
    assert (finish(runner, job_id).result, steps(runner, job_id)) == (
        {"steps": 60},
        list(range(1, 61)),
    )


def test_a_worker_without_activity_after_a_stop_is_killed(
    workspace: Workspace, clock: Clock
) -> None:
    runner = Runner(workspace, stop_deadline=100)
    job_id = runner.submit("noop", {**FOREVER, "deaf": True}, "")
    worker = counting(runner, job_id)
    worker.suspend()
    runner.stop(job_id)
    for seconds in (0, 99):
        clock.now += seconds
        runner.tick()
        assert runner.job(job_id).state is State.STOPPING
    clock.now += 1
    job = finish(runner, job_id)
    assert (job.state, job.failure) == (State.INTERRUPTED, STOP_TIMED_OUT)
    assert not worker.is_running()
    assert runner.resume(job_id).state is State.QUEUED


@pytest.fixture
def decoy() -> Iterator[psutil.Process]:
    """A process that got a dead worker's process id."""
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    yield psutil.Process(child.pid)
    child.kill()
    child.wait()


@pytest.mark.parametrize("worker_lives", [True, False])
def test_another_process_of_that_id_lives(
    workspace: Workspace, decoy: psutil.Process, worker_lives: bool
) -> None:
    """With the lock held (the recorded id is wrong) and free (the id does not matter)."""
    runner = Runner(workspace, stop_deadline=0.0)
    job_id = runner.submit("noop", {**FOREVER, "deaf": True}, "")
    worker = counting(runner, job_id)
    folder, created = folder_of(runner, job_id), decoy.create_time()
    if worker_lives:
        worker.suspend()
        created -= 60
    else:
        kill(runner, job_id)
    folder.write_status(folder.status().changed(pid=decoy.pid, pid_created=created))
    folder.stop.touch()
    for _ in range(3):
        runner.tick()
    assert decoy.is_running()
    assert decoy.status() != psutil.STATUS_ZOMBIE
    assert runner.job(job_id).state is (
        State.STOPPING if worker_lives else State.INTERRUPTED
    )
    if worker_lives:
        worker.kill()
        until(lambda: is_free(folder))


@pytest.mark.parametrize("pid", [-1, 0, 1])
def test_no_signal_goes_to_process_ids_below_2(pid: int) -> None:
    assert process.kill(pid, time.time()) is False


def test_a_damaged_status_reads_as_interrupted_and_can_be_resumed(
    runner: Runner,
) -> None:
    job_id = runner.submit("noop", {"steps": 4, "crash_at": 3}, "")
    finish(runner, job_id)
    (runner.folder(job_id) / "status.json").write_bytes(b'{"state": "runn')
    assert runner.job(job_id).state is State.INTERRUPTED
    runner.resume(job_id)
    assert finish(runner, job_id).state is State.COMPLETED
    assert steps(runner, job_id) == [1, 2, 3, 4]
