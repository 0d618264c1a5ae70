"""The runner against a model of it: whatever people, workers, crashes, restarts and the
clock do, in any order, each job is in the state that the model expects, the queue keeps
its order, and no two jobs run at once.
"""

import errno
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backend.errors import OutOfMemory, RunProblem
from backend.settings import Workspace
from jobs import process
from jobs.folder import JobFolder
from jobs.records import State
from jobs.runner import Runner
from jobs.status import MAX_MEMORY_RETRIES
from jobs.worker import failure_of, status_after_error

PICK = st.integers(0, 1000)


@dataclass
class Expected:
    """A job as it should be. place: in the queue. died: the exit code of a worker whose
    death no one has noticed yet. lock: held by its worker.
    """

    place: int
    state: State = State.QUEUED
    attempt: int = 1
    stop: bool = False
    retries: int = 0
    lock: FileLock | None = None
    died: int | None = None

    @property
    def shown(self) -> State:
        return State.STOPPING if self.state.is_active and self.stop else self.state


class Jobs(RuleBasedStateMachine):
    """Workers are played by this process: they hold the locks and write the files that
    a worker would.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(process, "spawn", lambda folder, attempt, workspace: None)
        self.patch.setattr(process, "exit_code", self.exit_code)
        self.clock, real = 0.0, time.time
        self.patch.setattr(time, "time", lambda: real() + self.clock)
        self.runner = Runner(
            Workspace.open(self.folder / "workspace"), start_deadline=1e9
        )
        self.jobs: dict[str, Expected] = {}
        self.places = 0

    def teardown(self) -> None:
        for job in self.jobs.values():
            if job.lock:
                job.lock.release()
        self.patch.undo()
        shutil.rmtree(self.folder, ignore_errors=True)

    def exit_code(self, job_id: str, attempt: int, timeout: float = 0.0) -> int | None:
        return self.jobs[job_id].died if attempt == self.jobs[job_id].attempt else None

    def next_place(self) -> int:
        self.places += 1
        return self.places

    def pick(self, number: int, *states: State) -> str:
        """A job, one in these states if there is one."""
        found = [
            job_id
            for job_id, job in self.jobs.items()
            if not states or job.state in states
        ]
        return found[number % len(found)] if found else ""

    def look(self, job: Expected) -> State:
        """The state of a job once it is noticed that its worker has died."""
        if job.died is None:
            return job.state
        return (
            State.FAILED
            if job.state is State.STARTING and job.died >= 0
            else State.INTERRUPTED
        )

    def notice_deaths(self, *jobs: Expected) -> None:
        for job in jobs or self.jobs.values():
            job.state, job.died = self.look(job), None

    # The person

    @rule()
    def submit(self) -> None:
        self.jobs[self.runner.submit("noop", {}, "")] = Expected(self.next_place())

    @precondition(lambda self: self.jobs)
    @rule(number=PICK)
    def stop(self, number: int) -> None:
        job_id = self.pick(number)
        job = self.jobs[job_id]
        ended = self.look(job).is_terminal
        if ended:
            with pytest.raises(RunProblem, match="can't be stopped"):
                self.runner.stop(job_id)
        else:
            self.runner.stop(job_id)
        self.notice_deaths(job)
        if ended:
            return
        if job.state is State.QUEUED:
            job.state = State.STOPPED
        else:
            job.stop = True

    @precondition(lambda self: self.jobs)
    @rule(number=PICK)
    def resume(self, number: int) -> None:
        job_id = self.pick(number)
        job = self.jobs[job_id]
        if not self.look(job).can_resume:
            with pytest.raises(RunProblem):
                self.runner.resume(job_id)
            self.notice_deaths(job)
            return
        self.runner.resume(job_id)
        job.died = None
        job.state, job.place, job.stop, job.retries = (
            State.QUEUED,
            self.next_place(),
            False,
            0,
        )
        job.attempt += 1

    @precondition(lambda self: self.jobs)
    @rule(number=PICK)
    def delete(self, number: int) -> None:
        job_id = self.pick(number)
        job = self.jobs[job_id]
        if not self.look(job).is_terminal:
            with pytest.raises(RunProblem, match="can't be deleted yet"):
                self.runner.delete(job_id)
            self.notice_deaths(job)
            return
        self.runner.delete(job_id)
        del self.jobs[job_id]

    # The app

    @rule()
    def tick(self) -> None:
        self.runner.tick()
        self.notice_deaths()
        waiting = [job for job in self.jobs.values() if job.state is State.QUEUED]
        if waiting and not any(job.state.is_active for job in self.jobs.values()):
            min(waiting, key=lambda job: job.place).state = State.STARTING

    @rule()
    def restart(self) -> None:
        self.runner = Runner(self.runner.workspace, start_deadline=1e9)
        self.notice_deaths()

    @rule(seconds=st.sampled_from([-86400.0, -3600.0, -1.0, 30.0, 3600.0]))
    def change_clock(self, seconds: float) -> None:
        self.clock += seconds

    # The worker

    def worker(self) -> tuple[str, Expected, JobFolder]:
        job_id = self.pick(0, State.STARTING, State.RUNNING)
        return job_id, self.jobs[job_id], JobFolder(self.runner.folder(job_id))

    def works(self) -> bool:
        return any(
            job.state is State.RUNNING and job.died is None
            for job in self.jobs.values()
        )

    def starts(self) -> bool:
        return any(
            job.state is State.STARTING and job.died is None
            for job in self.jobs.values()
        )

    @precondition(starts)
    @rule()
    def begin(self) -> None:
        _, job, folder = self.worker()
        job.lock = folder.lock()
        job.lock.acquire(timeout=0)
        folder.write_status(
            folder.status().changed(state=State.RUNNING, pid=1, pid_created=0.0)
        )
        job.state = State.RUNNING

    def end(self, job: Expected, state: State) -> None:
        job.lock.release()
        job.state, job.lock = state, None

    @precondition(works)
    @rule(fails=st.booleans())
    def finish(self, fails: bool) -> None:
        _, job, folder = self.worker()
        state = (
            State.FAILED
            if fails
            else State.STOPPED
            if folder.stop_requested
            else State.COMPLETED
        )
        folder.write_status(
            folder.status().ended_as(state, failure_of(ValueError()) if fails else None)
        )
        self.end(job, state)

    @precondition(works)
    @rule()
    def run_out_of_memory(self) -> None:
        _, job, folder = self.worker()
        status = status_after_error(
            OutOfMemory("Out."), folder.status(), stop_requested=folder.stop_requested
        )
        folder.write_status(status)
        again = not job.stop and job.retries < MAX_MEMORY_RETRIES
        self.end(job, State.QUEUED if again else State.FAILED)
        job.retries, job.attempt = job.retries + again, job.attempt + again

    @precondition(lambda self: self.works() or self.starts())
    @rule(code=st.sampled_from([-9, -11, 1]))
    def die(self, code: int) -> None:
        _, job, _ = self.worker()
        if job.lock:
            job.lock.release()
        job.lock, job.died = None, code

    # What always holds

    @invariant()
    def every_job_is_as_expected(self) -> None:
        seen = {job.id: (job.state, job.attempt) for job in self.runner.jobs()}
        assert seen == {
            job_id: (job.shown, job.attempt) for job_id, job in self.jobs.items()
        }

    @invariant()
    def at_most_one_runs(self) -> None:
        assert sum(job.state.is_active for job in self.runner.jobs()) <= 1

    @invariant()
    def the_queue_has_its_order(self) -> None:
        shown = sorted(
            (job for job in self.runner.jobs() if job.state is State.QUEUED),
            key=lambda job: job.queued,
        )
        wanted = sorted(
            (job.place, job_id)
            for job_id, job in self.jobs.items()
            if job.state is State.QUEUED
        )
        assert [job.id for job in shown] == [job_id for _, job_id in wanted]


def check(examples: int, steps: int) -> None:
    options: dict[str, Any] = {
        "max_examples": examples,
        "stateful_step_count": steps,
        "deadline": None,
    }
    run_state_machine_as_test(Jobs, settings=settings(**options))


def test_the_runner_agrees_with_its_model() -> None:
    check(20, 20)


@pytest.mark.slow
def test_the_runner_agrees_with_its_model_in_long_stories() -> None:
    check(400, 60)


def test_memory_that_ran_out_is_named_whoever_says_so() -> None:
    for error in (
        MemoryError(),
        RuntimeError("CUDA out of memory."),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ):
        assert failure_of(error).what == "There was not enough memory."
    assert (
        failure_of(RuntimeError("shape mismatch")).what
        == "Something unexpected went wrong."
    )
