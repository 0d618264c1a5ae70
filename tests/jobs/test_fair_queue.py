"""Several workspaces share one queue: one job at a time, in turn, and none for longer
than allowed.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from backend.settings import Workspace
from jobs.fair_queue import FairQueue
from jobs.records import State
from jobs.runner import Runner
from jobs.scheduler import Scheduler, Unfinished
from tests.jobs.conftest import FOREVER, until
from tests.workers import end_workers


@pytest.fixture
def runners(tmp_path: Path) -> Iterator[list[Runner]]:
    found = [
        Runner(Workspace.open(tmp_path / name)) for name in ("first", "second", "third")
    ]
    yield found
    for runner in found:
        end_workers(runner.workspace)


@pytest.fixture
def launched(runners: list[Runner], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the jobs that were started, in this order; their work is done at
    once.
    """
    names: list[str] = []

    def done(runner: Runner, job: Unfinished) -> bool:
        names.append(runner.job(job.id).name)
        runner.stop(job.id)
        return True

    for runner in runners:
        monkeypatch.setattr(runner.scheduler, "start_queued", partial(done, runner))
    return names


def submit(runner: Runner, name: str, steps: int = 1) -> str:
    return runner.submit("noop", {**FOREVER, "steps": steps}, name)


def shared(runners: list[Runner], longest: float = float("inf")) -> FairQueue:
    queue = FairQueue(longest)
    for runner in runners:
        queue.add(runner)
    return queue


def test_workspaces_take_turns_also_with_a_newcomer(
    runners: list[Runner], launched: list[str]
) -> None:
    greedy = [submit(runners[0], f"greedy {number}") for number in range(3)]
    submit(runners[1], "modest")
    queue = shared(runners)
    queue.tick()
    submit(runners[2], "late")
    queue.tick()
    assert (launched, queue.length(), queue.ahead(greedy[-1])) == (
        ["greedy 0", "modest"],
        4,
        3,
    )
    for _ in range(3):
        queue.tick()
    assert launched == ["greedy 0", "modest", "late", "greedy 1", "greedy 2"]


def test_one_job_runs_in_all_workspaces_together_and_the_next_follows(
    runners: list[Runner],
) -> None:
    first, second = submit(runners[0], "a", 3000), submit(runners[1], "b", 3000)
    queue = shared(runners)
    for _ in range(3):
        queue.tick()
    assert runners[0].job(first).state.is_active
    assert runners[1].job(second).state is State.QUEUED
    assert (queue.ahead(first), queue.ahead(second)) == (0, 1)
    runners[0].stop(first)

    def second_runs() -> bool:
        queue.tick()
        return runners[1].job(second).state is State.RUNNING

    until(second_runs)
    assert runners[0].job(first).state is State.STOPPED
    runners[1].stop(second)


def test_a_job_is_asked_to_save_and_stop_when_its_time_is_up(
    runners: list[Runner],
) -> None:
    job = submit(runners[0], "long", 3000)
    queue = shared(runners, longest=0.2)

    def stopped() -> bool:
        queue.tick()
        return runners[0].job(job).state is State.STOPPED

    until(stopped)


def test_a_workspace_without_jobs_is_looked_at_only_when_it_gets_one(
    runners: list[Runner], launched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Scheduler] = []
    look = Scheduler.unfinished
    monkeypatch.setattr(
        Scheduler, "unfinished", lambda self: looks.append(self) or look(self)
    )
    queue = shared(runners)
    for _ in range(3):
        queue.tick()
    assert looks == [runner.scheduler for runner in runners]
    submit(runners[1], "now")
    queue.tick()
    assert (looks[3:], launched) == ([runners[1].scheduler], ["now"])


def test_a_workspace_that_is_gone_is_forgotten(
    runners: list[Runner], launched: Callable[[], object]
) -> None:
    queue = shared(runners)
    submit(runners[0], "gone")
    queue.remove(runners[0])
    queue.tick()
    assert queue.length() == 0


def test_a_place_counts_what_is_being_created_and_half_of_all_stay_free_of_neighbours(
    tmp_path: Path,
) -> None:
    queue, here, elsewhere = (
        FairQueue(),
        [tmp_path / "a", tmp_path / "b"],
        tmp_path / "c",
    )
    with (
        queue.place("training", here[0], here, 4) as full,
        queue.place("training", here[1], here, 4) as next_full,
    ):
        assert (full, next_full) == (None, None)
        with queue.place("training", here[0], here, 4) as refused:
            assert refused == "neighbours"
        with queue.place("training", elsewhere, [elsewhere], 2) as refused:
            assert refused == "queue"
    assert queue.length() == 2, "they count until the queue has seen them"
