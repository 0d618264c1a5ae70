"""Several runners, damaged folders: still one job per lane at a time, and damage blocks
nothing else.
"""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.errors import RunProblem, WorkspaceProblem
from backend.settings import PROJECT_ROOT
from jobs import store
from jobs.records import State
from jobs.runner import Runner
from jobs.scheduler import Busy
from tests.jobs.conftest import (
    FOREVER,
    counting,
    finish,
    folder_of,
    is_free,
    steps,
    until,
)

A_FOLDER = "a folder in its place"  # the system too reports an error
DAMAGES: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink, A_FOLDER: lambda path: (path.unlink(), path.mkdir()),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-5]), "empty": lambda path: path.write_bytes(b""),
    "overwritten": lambda path: path.write_bytes(b"\0 not json at all" * 400),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "flipped": lambda path: path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes())),
    "other types": lambda path: path.write_text(
        '{"kind": 3, "name": [], "created": {}, "state": "rumbling", "attempt": null}'
    ),
    "a time that no clock shows": lambda path: path.write_text('{"kind": "noop", "name": "", "created": 1e999}'),
}  # fmt: skip


def test_a_new_runner_needs_only_the_folders(runner: Runner) -> None:
    ids = [runner.submit("noop", {"steps": 1}, "") for _ in range(3)]
    runner.stop(runner.submit("noop", {}, "stopped"))
    for path in runner.workspace.root.glob("*.lock"):
        path.unlink()
    runner = Runner(runner.workspace)
    assert [job.state for job in runner.jobs()] == [State.STOPPED, *[State.QUEUED] * 3]
    assert finish(runner, ids[2]).state is State.COMPLETED
    jobs = [runner.job(job_id) for job_id in ids]
    assert all(
        later.started >= earlier.ended for earlier, later in itertools.pairwise(jobs)
    ), "in order"


@pytest.mark.parametrize("name", ["job.json", "spec.json", "status.json"])
def test_no_damaged_folder_blocks(runner: Runner, name: str) -> None:
    damages: dict[str, str] = {}
    for damage in DAMAGES:
        queued, stopped = (runner.submit("noop", {"steps": 0}, "") for _ in range(2))
        runner.stop(stopped)
        damages |= {queued: damage, stopped: damage}
    for job_id, damage in damages.items():
        DAMAGES[damage](runner.folder(job_id) / name)
    sound = runner.submit("noop", {"steps": 0}, "")
    assert finish(runner, sound).state is State.COMPLETED
    assert sound in [job.id for job in runner.jobs()]
    again = Runner(runner.workspace)
    assert (
        finish(again, again.submit("noop", {"steps": 0}, "")).state is State.COMPLETED
    )
    unreadable = {
        job
        for job in damages
        if name == "job.json" or (name, damages[job]) == ("status.json", A_FOLDER)
    }
    assert again.damaged() == sorted(unreadable, reverse=True)
    for job_id in damages:
        until(
            lambda job_id=job_id: (
                job_id in unreadable
                or again.tick()
                or not again.job(job_id).state.is_active
            )
        )
        again.delete(job_id)
    assert again.damaged() == []
    assert not damages.keys() & {folder.id for folder in store.folders(again.workspace)}


def test_other_files_among_the_runs_are_ignored(runner: Runner) -> None:
    for name in ("a file", ".new-x", ".hidden"):
        (runner.workspace.runs / name).touch()
    (runner.workspace.runs / "an empty folder").mkdir()
    assert (
        finish(runner, runner.submit("noop", {"steps": 0}, "")).state is State.COMPLETED
    )


def test_a_workspace_that_cannot_be_locked_is_reported(runner: Runner) -> None:
    job_id = runner.submit("noop", {"steps": 1, "fail_at": 1}, "")
    waiting = runner.submit("noop", {}, "")
    finish(runner, job_id)
    lock = runner.workspace.root / "jobs.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pytest.raises(WorkspaceProblem, match="can't be written"):
        runner.stop(waiting)
    with pytest.raises(WorkspaceProblem):
        runner.wait(waiting)
    assert runner.wait(job_id).state is State.FAILED, (
        "how it ended is known all the same"
    )


def test_while_another_runner_holds_the_lock_a_tick_does_nothing_and_a_change_raises_busy(
    runner: Runner,
) -> None:
    other = Runner(runner.workspace)
    job_id = runner.submit("noop", {}, "")
    with other.scheduler.locked():
        runner.tick()
        assert runner.job(job_id).state is State.QUEUED
        with pytest.raises(Busy), runner.scheduler.locked(timeout=0):
            pass


@pytest.mark.parametrize("runner_restarts", [False, True])
def test_a_worker_that_has_not_exited_keeps_its_lane(
    runner: Runner, runner_restarts: bool
) -> None:
    ending = folder_of(runner, runner.submit("noop", {}, ""))
    waiting = runner.submit("noop", {"steps": 0}, "")
    with ending.claim() as free:  # as its worker would
        assert free
        ending.write_status(ending.status().ended_as(State.COMPLETED))
        runner = Runner(runner.workspace) if runner_restarts else runner
        for _ in range(3):
            runner.tick()
            assert runner.job(waiting).state is State.QUEUED
    assert finish(runner, waiting).state is State.COMPLETED


def test_ended_jobs_are_not_reconciled_until_they_change(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = [runner.submit("noop", {"steps": 0}, "") for _ in range(3)]
    for job_id in ended:
        finish(runner, job_id)
        until(lambda job_id=job_id: is_free(folder_of(runner, job_id)))
    runner.tick()
    looked_at: list[str] = []
    reconcile = runner._supervisor.reconcile
    monkeypatch.setattr(
        runner._supervisor,
        "reconcile",
        lambda f: looked_at.append(f.id) or reconcile(f),
    )
    runner.tick()
    assert looked_at == []
    Runner(runner.workspace).stop(runner.submit("noop", {}, ""))
    status = folder_of(runner, ended[1]).status()
    folder_of(runner, ended[1]).write_status(
        status.next_attempt(time.time())
    )  # as another runner's resume does
    runner.tick()
    assert ended[1] in looked_at
    assert not {ended[0], ended[2]} & set(looked_at)
    assert finish(runner, ended[1]).attempt == 2


RACERS = """
import sys, threading, time
from pathlib import Path
from backend.settings import Workspace
from jobs.runner import Runner
from tests.jobs import noop
noop.register()
workspace = Workspace.open(Path(sys.argv[1]))
def race():
    runner = Runner(workspace)
    while not (workspace.cache / "go").exists(): time.sleep(0.005)
    while not all(job.state.is_terminal for job in runner.jobs()):
        runner.tick()
        time.sleep(0.02)
racers = [threading.Thread(target=race) for _ in range(4)]
for racer in racers: racer.start()
for racer in racers: racer.join()
"""


def test_sixteen_racing_runners_start_each_job_once_and_one_at_a_time(
    runner: Runner,
) -> None:
    ids = [
        runner.submit("noop", {"steps": 3, "seconds_per_step": 0.02}, "")
        for _ in range(3)
    ]
    command = [sys.executable, "-c", RACERS, runner.workspace.root]
    apps = [
        subprocess.Popen(command, cwd=PROJECT_ROOT, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    (runner.workspace.cache / "go").touch()
    for app in apps:
        _, errors = app.communicate(timeout=60)
        assert (app.returncode, errors) == (0, b"")
    jobs = [runner.job(job_id) for job_id in ids]
    assert [(job.state, job.attempt) for job in jobs] == [(State.COMPLETED, 1)] * 3
    assert [steps(runner, job_id) for job_id in ids] == [[1, 2, 3]] * 3
    by_start = sorted(jobs, key=lambda job: job.started)
    assert all(
        later.started >= earlier.ended
        for earlier, later in itertools.pairwise(by_start)
    )
    for job_id in ids:
        assert (runner.folder(job_id) / "log.txt").read_text().count(
            "attempt 1 of"
        ) == 1, "one worker did it"


def test_no_third_job_starts_while_two_are_active_in_a_lane(runner: Runner) -> None:
    """As after a folder was copied into the workspace while it ran."""
    first = runner.submit("noop", FOREVER, "")
    counting(runner, first)
    copied = folder_of(runner, runner.submit("noop", FOREVER, ""))
    waiting = runner.submit("noop", {"steps": 0}, "")
    with copied.claim() as free:
        assert free
        copied.write_status(
            copied.status().changed(
                state=State.RUNNING, pid=os.getpid(), pid_created=0.0
            )
        )
        runner.tick()
        assert {job.state for job in runner.jobs()} == {State.RUNNING, State.QUEUED}
    runner.stop(first)
    assert finish(runner, first).state is State.STOPPED
    assert finish(runner, waiting).state is State.COMPLETED


def test_a_runner_can_be_used_from_several_threads(runner: Runner) -> None:
    ids = [runner.submit("noop", {"steps": 1}, "") for _ in range(2)]
    faults: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(8):
                runner.tick()
                runner.jobs()
                runner.stop(runner.submit("noop", FOREVER, ""))
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (faults, [finish(runner, job_id).state for job_id in ids]) == (
        [],
        [State.COMPLETED] * 2,
    )


@pytest.mark.parametrize("dies", [False, True])
def test_a_damaged_job_that_runs_keeps_its_lane_and_is_not_deleted(
    runner: Runner, dies: bool
) -> None:
    running = runner.submit("noop", FOREVER, "")
    worker = counting(runner, running)
    DAMAGES[A_FOLDER](runner.folder(running) / "job.json")
    waiting = runner.submit("noop", {"steps": 0}, "")
    for _ in range(3):
        runner.tick()
    assert runner.job(waiting).state is State.QUEUED
    with pytest.raises(RunProblem, match="deleted yet"):
        runner.delete(running)
    worker.kill() if dies else runner.stop(running)
    assert finish(runner, waiting).state is State.COMPLETED
    runner.delete(running)


def test_a_damaged_child_does_not_stop_its_parent_from_being_deleted(
    runner: Runner,
) -> None:
    parent = runner.submit("noop", {"steps": 0}, "")
    finish(runner, parent)
    child = runner.submit("export", {}, "", parent=parent)
    runner.stop(child)
    DAMAGES[A_FOLDER](runner.folder(child) / "status.json")
    runner.delete(parent)
    assert store.folders(runner.workspace) == []
