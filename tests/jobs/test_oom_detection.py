"""Out of memory: at most three retries with less; kills by the system are distinguished
from a person's.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.records.events import NoteEvent
from jobs import oom_detection, supervisor
from jobs.context import Context
from jobs.oom_detection import MemorySnapshot
from jobs.records import Failure, State
from jobs.runner import Runner
from jobs.status import MAX_MEMORY_RETRIES
from jobs.supervisor import (
    DIED,
    KILLED,
    KILLED_NOT_BY_OOM,
    OUT_OF_MEMORY,
    PROBABLY_OUT_OF_MEMORY,
)
from tests.jobs.conftest import (
    FOREVER,
    counting,
    events,
    finish,
    folder_of,
    kill,
    status_of,
    steps,
    until,
)


def notes(runner: Runner, job_id: str) -> int:
    return len(events(runner, job_id, NoteEvent))


def test_after_three_retries_with_less_the_job_fails_and_can_be_resumed(
    runner: Runner,
) -> None:
    job_id = runner.submit(
        "noop", {"steps": 5, "exhaust_at": 3, "exhausted_attempts": 5}, ""
    )
    job = finish(runner, job_id)
    assert (job.state, job.attempt) == (State.FAILED, 1 + MAX_MEMORY_RETRIES)
    assert job.failure == Failure(
        what="The noop job ran out of memory.", why="It was asked to at step 3.", next="Resume it.",
        error="OutOfMemory",
    )  # fmt: skip
    assert notes(runner, job_id) == MAX_MEMORY_RETRIES
    runner.resume(job_id)
    job = finish(runner, job_id)
    assert (job.state, job.attempt, job.failure) == (State.COMPLETED, 6, None), (
        "resumed, and retried once more"
    )
    assert steps(runner, job_id) == [1, 2, 3, 4, 5]


@pytest.fixture
def counter(tmp_path: Path, worker_that: Callable[[str], None]) -> Path:
    """The file with the system's counter, for workers that start from now on."""
    file = tmp_path / "memory.events"
    file.write_text("low 0\nhigh 0\nmax 7\noom 4\noom_kill 2\n")
    worker_that(
        "from jobs import oom_detection\nimport pathlib\n"
        f"oom_detection._group_files = lambda: [pathlib.Path({str(file)!r})]"
    )
    return file


def at_work(runner: Runner) -> str:
    job_id = runner.submit("noop", {**FOREVER, "steps": 30}, "")
    counting(runner, job_id)
    return job_id


def test_a_worker_that_the_system_killed_for_memory_is_retried_with_less(
    runner: Runner, counter: Path
) -> None:
    job_id = at_work(runner)
    kill(runner, job_id)
    counter.write_text("oom_kill 3\n")
    runner.tick()
    assert status_of(runner, job_id).short_of_memory
    job = finish(runner, job_id)
    assert (job.state, job.attempt) == (State.COMPLETED, 2)
    assert steps(runner, job_id) == list(range(1, 31))


def test_a_worker_that_ended_by_itself_did_not_run_out_of_memory(
    runner: Runner, counter: Path
) -> None:
    """Meanwhile the system ended another process for memory."""
    job_id = runner.submit("noop", {**FOREVER, "steps": 30, "crash_at": 10}, "")
    counting(runner, job_id)
    counter.write_text("oom_kill 3\n")
    job = finish(runner, job_id)
    assert (job.state, job.failure) == (State.INTERRUPTED, DIED)


def test_another_process_killed_earlier_does_not_explain_a_death(
    runner: Runner, counter: Path
) -> None:
    """The worker has written its status since: it was not the one that the system
    ended.
    """
    job_id = at_work(runner)
    counter.write_text("oom_kill 3\n")
    until(lambda: status_of(runner, job_id).memory.count == 3)
    kill(runner, job_id)
    runner.tick()
    job = runner.job(job_id)
    assert (job.state, job.failure) == (State.INTERRUPTED, KILLED_NOT_BY_OOM)


def test_kills_before_reset_oom_count_are_ignored(
    runner: Runner, counter: Path
) -> None:
    folder = folder_of(runner, runner.submit("noop", {}, ""))
    ran_short = MemorySnapshot(counter=str(counter), count=2)
    context = Context(
        folder,
        runner.workspace,
        folder.status().changed(state=State.RUNNING, pid=1, memory=ran_short),
    )
    counter.write_text("oom_kill 3\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oom_detection, "_group_files", lambda: [counter])
        context.reset_oom_count()
    context.close()
    made = supervisor.Supervisor(runner.workspace, 1, 1)._after_death(
        folder, folder.status()
    )
    assert (made.state, made.failure) == (State.INTERRUPTED, KILLED_NOT_BY_OOM)


def test_a_new_runner_knows_of_a_kill_for_memory_too(
    runner: Runner, counter: Path
) -> None:
    """The app that started the worker is gone, and a stop was requested, so there is no
    retry.
    """
    job_id = at_work(runner)
    folder_of(runner, job_id).stop.touch()
    kill(runner, job_id)
    counter.write_text("oom_kill 3\n")
    job = Runner(runner.workspace).job(job_id)
    assert (job.state, job.failure) == (State.INTERRUPTED, OUT_OF_MEMORY)


@pytest.mark.parametrize(
    ("free", "failure", "attempt"),
    [(0.02, PROBABLY_OUT_OF_MEMORY, 2), (0.4, KILLED, 1), (None, KILLED, 1)],
)
def test_without_a_counter_the_free_memory_decides(
    runner: Runner,
    monkeypatch: pytest.MonkeyPatch,
    free: float | None,
    failure: Failure,
    attempt: int,
) -> None:
    job_id = at_work(runner)
    kill(runner, job_id)
    folder = folder_of(runner, job_id)
    status = folder.status().changed(memory=MemorySnapshot(free=free))
    folder.write_status(status)
    runner.tick()
    assert runner.job(job_id).attempt == attempt
    folder = folder_of(runner, runner.submit("export", {}, ""))
    made = supervisor.Supervisor(runner.workspace, 1, 1)._after_death(folder, status)
    assert (made.state, made.failure) == (State.INTERRUPTED, failure)


def test_control_groups_of_both_versions_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, groups = tmp_path / "cgroup", tmp_path / "groups"
    monkeypatch.setattr(oom_detection, "_OWN", own)
    monkeypatch.setattr(oom_detection, "_GROUPS", groups)
    monkeypatch.setattr(oom_detection, "_MACHINE", tmp_path / "vmstat")
    assert oom_detection.ran_out(oom_detection.snapshot()) is None
    (tmp_path / "vmstat").write_text("pgfault 9\noom_kill 1\n")
    assert oom_detection.snapshot().count == 1
    for line, folder, name in (
        ("4:cpu,memory:/a/b\n", "memory/a/b", "memory.oom_control"),
        ("0::/user/app.scope\n", "user/app.scope", "memory.events"),
    ):
        own.write_text(line)
        (groups / folder).mkdir(parents=True)
        file = groups / folder / name
        file.write_text("oom 9\noom_kill 5\noom_group_kill 0\n")
        before = oom_detection.snapshot()
        assert (before.counter, before.count) == (str(file), 5)
        assert oom_detection.ran_out(before) is False
        file.write_text("oom_kill 6\n")
        assert oom_detection.ran_out(before) is True
        file.unlink()
        assert oom_detection.ran_out(before) is None


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group with 200 MiB of memory, if the system lets us create one."""
    (counter, *_) = [*oom_detection._group_files(), Path("/nowhere/counter")]
    group = counter.parent / "apprentice-test"
    try:
        group.mkdir()
        for name in ("memory.limit_in_bytes", "memory.max"):
            if (group / name).exists():
                (group / name).write_text(str(200 << 20))
        assert (group / "cgroup.procs").exists()
    except OSError:
        pytest.skip("this system lets us make no control group")
    yield group
    until(lambda: not (group / "cgroup.procs").read_text().split())
    with contextlib.suppress(OSError):
        group.rmdir()


GREEDY = """
import os, pathlib
(pathlib.Path({group!r}) / "cgroup.procs").write_text(str(os.getpid()))
from tests.jobs import noop
def greedy(spec, step):
    if step == 3:
        bytearray(os.urandom(1 << 20) * 400)
noop._misbehave = greedy
"""


@pytest.mark.slow
def test_a_real_kill_by_the_kernel_is_recognized_and_retried(
    runner: Runner, worker_that: Callable[[str], None], small_group: Path
) -> None:
    """The first attempt allocates 400 MiB at its third step, in a control group that
    has 200.
    """
    worker_that(GREEDY.format(group=str(small_group)))
    job_id = runner.submit("noop", {"steps": 5}, "")
    job = finish(runner, job_id)
    assert (job.state, job.attempt) == (State.COMPLETED, 2)
    assert (steps(runner, job_id), notes(runner, job_id)) == ([1, 2, 3, 4, 5], 1)
