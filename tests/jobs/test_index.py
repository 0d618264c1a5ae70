"""The index can be lost, damaged and fought over; the folders stay the truth and one job a lane runs."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.errors import WorkspaceProblem
from backend.settings import PROJECT_ROOT, Workspace
from jobs.index import Busy, Index, Row
from jobs.records import State
from jobs.runner import Runner
from tests.jobs.conftest import FOREVER, counting, finish, steps


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    path.write_bytes(b"not a database at all, " * 400)


def flip_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(100, len(data), 7):
        data[place] ^= 0xFF
    path.write_bytes(data)


def age(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE jobs; CREATE TABLE jobs (old TEXT); PRAGMA user_version = 0;")


def drop_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE jobs;")


def invent_a_state(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA ignore_check_constraints = 1; UPDATE jobs SET state = 'rumbling';")


def lie(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("UPDATE jobs SET state = 'completed';")


DAMAGES = [remove, truncate, empty, overwrite, flip_bytes, age, drop_table, invent_a_state]


@pytest.mark.parametrize("damage", [*DAMAGES, lie])
def test_the_index_is_made_anew_when_a_runner_opens(runner: Runner, damage: Callable[[Path], None]) -> None:
    ids = [runner.submit("noop", {"steps": 1}, "") for _ in range(2)]
    runner.stop(runner.submit("noop", {}, "stopped"))
    damage(runner.workspace.root / "index.sqlite")

    runner = Runner(runner.workspace)

    assert [job.state for job in runner.jobs()] == [State.STOPPED, State.QUEUED, State.QUEUED]
    assert finish(runner, ids[1]).state is State.COMPLETED
    jobs = [runner.job(job_id) for job_id in ids]
    assert jobs[0].ended <= jobs[1].started, "the queue kept its order"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.skipif(sys.platform == "win32", reason="an open file is not replaced there")
def test_the_index_is_made_anew_under_a_runner_that_is_open(runner: Runner, damage: Callable[[Path], None]) -> None:
    job_id = runner.submit("noop", {"steps": 1}, "")
    damage(runner.workspace.root / "index.sqlite")
    assert finish(runner, job_id).state is State.COMPLETED


def test_the_index_is_made_anew_during_a_run(runner: Runner) -> None:
    job_id = runner.submit("noop", {"steps": 40, "seconds_per_step": 0.02}, "")
    counting(runner, job_id)
    overwrite(runner.workspace.root / "index.sqlite")
    waiting = runner.submit("noop", {"steps": 1}, "")
    runner.tick()
    assert runner.job(job_id).state is State.RUNNING
    assert runner.job(waiting).state is State.QUEUED
    assert finish(runner, waiting).state is State.COMPLETED
    assert steps(runner, job_id) == list(range(1, 41))


def test_a_lost_write_ahead_log_does_no_harm(runner: Runner) -> None:
    path = runner.workspace.root / "index.sqlite"
    reader = sqlite3.connect(path)  # as long as it is open, what is written stays in the log
    reader.execute("SELECT * FROM jobs").fetchall()
    job_id = runner.submit("noop", {"steps": 1}, "")
    log = path.with_name("index.sqlite-wal")
    assert log.stat().st_size > 0
    reader.close()
    log.write_bytes(b"")
    assert finish(Runner(runner.workspace), job_id).state is State.COMPLETED


def test_an_index_that_can_not_be_written_is_said_in_plain_words(workspace: Workspace) -> None:
    (workspace.root / "index.sqlite").mkdir()
    with pytest.raises(WorkspaceProblem, match="can't be written"):
        Runner(workspace)


def test_a_job_that_can_not_be_queued_leaves_nothing(runner: Runner) -> None:
    path = runner.workspace.root / "index.sqlite"
    path.unlink()
    path.mkdir()
    with pytest.raises(WorkspaceProblem):
        runner.submit("noop", {}, "")
    assert list(runner.workspace.runs.iterdir()) == []


def test_how_a_job_ended_is_told_although_the_index_can_not_be_written(runner: Runner) -> None:
    job_id = runner.submit("noop", {"steps": 1, "fail_at": 1}, "")
    finish(runner, job_id)
    path = runner.workspace.root / "index.sqlite"
    path.unlink()
    path.mkdir()
    assert finish(runner, job_id).state is State.FAILED


def test_an_index_that_another_copy_keeps_is_said_and_a_tick_passes_by(runner: Runner) -> None:
    other = Index(runner.workspace, list)
    with other.transaction(), pytest.raises(Busy), runner._index.transaction(timeout=0):
        pass
    job_id = runner.submit("noop", {}, "")
    with other.transaction():
        runner.tick()
        assert runner.job(job_id).state is State.QUEUED


def test_a_state_changes_only_from_what_it_was_and_a_lane_holds_one_active_job(workspace: Workspace) -> None:
    index = Index(workspace, list)
    with index.transaction() as table:
        assert table.add(Row("a", "training", State.QUEUED))
        assert table.add(Row("b", "training", State.QUEUED))
        assert table.add(Row("c", "light", State.QUEUED))
        assert not table.add(Row("a", "training", State.QUEUED))

        assert table.move("a", [State.QUEUED], State.STARTING)
        assert not table.move("a", [State.QUEUED], State.STARTING)
        assert not table.move("b", [State.QUEUED], State.STARTING), "the lane is taken"
        assert table.move("c", [State.QUEUED], State.STARTING)
        assert table.move("a", [State.STARTING], State.COMPLETED)
        assert table.move("b", [State.QUEUED], State.STARTING)

        assert table.requeue("a")
        assert not table.requeue("a")
        assert [row.id for row in table.queued("training")] == ["a"]


def test_an_error_undoes_the_whole_transaction(workspace: Workspace) -> None:
    index = Index(workspace, list)

    def fail() -> None:
        with index.transaction() as table:
            table.add(Row("a", "training", State.QUEUED))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with index.transaction() as table:
        assert table.queued("training") == []


RACERS = """
import sys, threading, time
from pathlib import Path
from backend.settings import Workspace
from jobs.runner import Runner
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


def test_sixteen_racing_runners_start_each_job_once_and_one_at_a_time(runner: Runner) -> None:
    ids = [runner.submit("noop", {"steps": 3, "seconds_per_step": 0.02}, "") for _ in range(3)]
    apps = [
        subprocess.Popen(
            [sys.executable, "-c", RACERS, runner.workspace.root], cwd=PROJECT_ROOT, stderr=subprocess.PIPE
        )
        for _ in range(4)
    ]
    (runner.workspace.cache / "go").touch()
    for app in apps:
        _, errors = app.communicate(timeout=60)
        assert (app.returncode, errors) == (0, b"")

    jobs = [runner.job(job_id) for job_id in ids]
    assert [(job.state, job.attempt) for job in jobs] == [(State.COMPLETED, 1)] * 3
    assert [steps(runner, job_id) for job_id in ids] == [[1, 2, 3]] * 3
    in_time = sorted(jobs, key=lambda job: job.started)
    assert all(later.started >= earlier.ended for earlier, later in itertools.pairwise(in_time))
    for job_id in ids:
        assert (runner.folder(job_id) / "log.txt").read_text().count("attempt 1 of") == 1, "one worker did it"


def test_threads_of_one_runner_do_not_get_in_each_others_way(runner: Runner) -> None:
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
    assert faults == []
    assert [finish(runner, job_id).state for job_id in ids] == [State.COMPLETED] * 2
