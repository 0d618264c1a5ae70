"""Jobs whose job.json or status.json can't be read: listed by their folder, deletable, and in nobody's way."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import RunProblem, WorkspaceProblem
from jobs import store
from jobs.records import State
from jobs.runner import Runner
from tests.jobs.conftest import FOREVER, counting, finish, is_free, until


def damage(runner: Runner, job_id: str, name: str = "job.json") -> None:
    """Puts what no program can read in place of a file: also the system reports an error."""
    path = runner.folder(job_id) / name
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["job.json", "status.json"])
@pytest.mark.parametrize("state", [State.QUEUED, State.COMPLETED])
def test_an_unreadable_job_is_listed_deletable_and_blocks_nothing(runner: Runner, name: str, state: State) -> None:
    job_id = runner.submit("noop", {"steps": 0}, "")
    if state is State.COMPLETED:
        finish(runner, job_id)
    damage(runner, job_id, name)
    runner = Runner(runner.workspace)

    assert runner.damaged() == [job_id]
    assert runner.jobs() == []
    assert finish(runner, runner.submit("noop", {"steps": 0}, "")).state is State.COMPLETED
    runner.delete(job_id)
    assert runner.damaged() == []
    assert job_id not in [folder.id for folder in store.folders(runner.workspace)]


def test_sound_jobs_are_not_damaged(runner: Runner) -> None:
    finish(runner, runner.submit("noop", {"steps": 0}, ""))
    runner.submit("export", {}, "")
    assert runner.damaged() == []


def test_a_damaged_job_that_runs_keeps_its_lane_and_is_not_deleted(runner: Runner) -> None:
    running = runner.submit("noop", FOREVER, "")
    counting(runner, running)
    damage(runner, running)
    waiting = runner.submit("noop", {"steps": 0}, "")
    for _ in range(3):
        runner.tick()
    assert runner.job(waiting).state is State.QUEUED
    with pytest.raises(RunProblem, match="deleted yet"):
        runner.delete(running)
    runner.stop(running)
    assert finish(runner, waiting).state is State.COMPLETED
    runner.delete(running)


def test_times_that_no_clock_shows_count_as_damage(runner: Runner) -> None:
    job_id = runner.submit("noop", {}, "")
    (runner.folder(job_id) / "job.json").write_text('{"kind": "noop", "name": "", "created": 1e999}')
    with pytest.raises(WorkspaceProblem):
        runner.job(job_id)
    assert runner.damaged() == [job_id]


def test_a_damaged_child_does_not_stop_its_parent_from_being_deleted(runner: Runner, tmp_path: Path) -> None:
    parent = runner.submit("noop", {"steps": 0}, "")
    finish(runner, parent)
    child = runner.submit("export", {}, "", parent=parent)
    runner.stop(child)
    damage(runner, child, "status.json")
    runner.delete(parent)
    assert store.folders(runner.workspace) == []


def test_a_damaged_worker_that_died_frees_its_lane(runner: Runner) -> None:
    running = runner.submit("noop", FOREVER, "")
    worker = counting(runner, running)
    damage(runner, running)
    folder = store.find(runner.workspace, running)
    worker.kill()
    until(lambda: is_free(folder))
    assert finish(runner, runner.submit("noop", {"steps": 0}, "")).state is State.COMPLETED
    runner.delete(running)
