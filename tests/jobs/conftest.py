"""Fixtures and helpers for the runner's tests; no worker outlives its test."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from backend.records.events import Event, StepEvent
from backend.settings import Workspace
from jobs import process
from jobs.folder import JobFolder
from jobs.records import Job
from jobs.runner import Runner
from jobs.status import Status
from tests.workers import end_workers

E = TypeVar("E", bound=Event)
FOREVER = {"steps": 3000, "seconds_per_step": 0.02}


def until(
    condition: Callable[[], object], seconds: float = 30.0, pause: float = 0.01
) -> None:
    """Wait for something that must happen; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(pause)


def events(runner: Runner, job_id: str, kind: type[E]) -> list[E]:
    """The valid events of one kind."""
    return [
        logged.event
        for logged in runner.events(job_id).events
        if isinstance(logged.event, kind)
    ]


def steps(runner: Runner, job_id: str) -> list[int]:
    return [event.step for event in events(runner, job_id, StepEvent)]


def folder_of(runner: Runner, job_id: str) -> JobFolder:
    return JobFolder(runner.folder(job_id))


def status_of(runner: Runner, job_id: str) -> Status:
    return folder_of(runner, job_id).status()


def worker_of(runner: Runner, job_id: str) -> psutil.Process:
    """The job's live worker, once it has the lock."""
    until(lambda: status_of(runner, job_id).pid)
    return psutil.Process(status_of(runner, job_id).pid)


def is_free(folder: JobFolder) -> bool:
    with folder.claim() as free:
        return free


def counting(runner: Runner, job_id: str, at_least: int = 3) -> psutil.Process:
    """Tick, and wait until the job has counted some steps; returns its worker."""
    runner.tick()
    until(lambda: len(steps(runner, job_id)) >= at_least)
    return worker_of(runner, job_id)


def kill(runner: Runner, job_id: str) -> None:
    """kill -9 the job's worker and wait until it is gone."""
    worker_of(runner, job_id).kill()
    until(lambda: is_free(folder_of(runner, job_id)))


def finish(runner: Runner, job_id: str) -> Job:
    return runner.wait(job_id, poll=0.01)


@pytest.fixture(autouse=True)
def _noop(noop_kind: None) -> None:
    """Every test of the runner may submit jobs that only count."""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = Workspace.open(
        tmp_path / "Jürgens Übungen für 東京"
    )  # a name as people give to folders
    yield workspace
    end_workers(workspace)


@pytest.fixture
def runner(workspace: Workspace) -> Runner:
    return Runner(workspace)


@pytest.fixture
def worker_that(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """worker_that(code): workers that start from now on run `code` first."""

    def install(code: str) -> None:
        first = "import sys\nfrom tests.jobs import noop\nnoop.register()\n"
        last = "\nfrom jobs import worker\nsys.exit(worker.main(sys.argv[1:]))"
        monkeypatch.setattr(
            process, "WORKER", (sys.executable, "-c", first + code + last)
        )

    return install
