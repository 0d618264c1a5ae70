"""Faults in a short no-op job and in the runner: `python -m tests.faults.noop_job EVERY
EVERY`,
where only one operation of the worker, and one of the app, in so many fails.

After each fault the app starts again, and: no job is lost, none twice, no two ran at
once, a checkpoint is whole or ignored, and a resumed job ends as one that never failed.
"""

import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from backend.errors import ApprenticeError
from backend.files.json_file import read_json
from backend.records.events import StepEvent
from backend.settings import Workspace
from jobs import process
from jobs.records import Job, State
from jobs.runner import Runner
from tests.faults import failing_disk, forked_workers
from tests.faults.failing_disk import Fault, Tally
from tests.faults.forked_workers import wait
from tests.jobs import noop

STEPS = 3
SPEC = {"steps": STEPS}
ROWS = bytes(range(256)) * 40
START = 2.0  # seconds until a worker that a killed app had just started counts as lost


def submit(runner: Runner) -> str:
    def prepare(folder: Path) -> None:
        (folder / "data" / "rows").write_bytes(ROWS)

    return runner.submit("noop", SPEC, "", prepare=prepare)


def finished(workspace: Workspace, job_id: str, fault: Fault | None) -> None:
    """Starts the app again and brings the job to its end; what it did is then complete."""
    runner = Runner(workspace, start_deadline=START)
    assert runner.damaged() == [], "damaged"
    assert (runner.folder(job_id) / "data" / "rows").read_bytes() == ROWS, (
        "the rows are not whole"
    )
    job = wait(runner, job_id)
    counter = runner.folder(job_id) / "counter.json"
    saved = read_json(counter)["step"] if counter.exists() else 0
    assert 0 <= saved <= STEPS
    for _ in range(2):
        if job.state.can_resume:
            assert job.failure or job.state is State.STOPPED, (
                "it says nothing of why it ended"
            )
            runner.resume(job_id)
            job = wait(runner, job_id)
    assert job.state is State.COMPLETED, job
    assert job.result == {"steps": STEPS}
    assert read_json(counter) == {"step": STEPS}
    steps = [
        logged.event.step
        for logged in runner.events(job_id).events
        if isinstance(logged.event, StepEvent)
    ]
    whole = list(range(1, STEPS + 1))
    if fault is Fault.POWER_CUT:  # takes the events of the last second
        assert steps == sorted(set(steps) & set(whole))
    else:
        assert steps == whole, steps
    log = (runner.folder(job_id) / "log.txt").read_text("utf-8", "replace")
    assert all(log.count(f"attempt {attempt} of") <= 1 for attempt in range(1, 5)), (
        "one worker for each attempt"
    )


def one_at_a_time(jobs: list[Job]) -> None:
    ran = sorted(
        (job for job in jobs if job.started and job.ended),
        key=lambda job: job.started or 0,
    )
    assert all(
        (later.started or 0) >= (earlier.ended or 0)
        for earlier, later in itertools.pairwise(ran)
    )


def worker_fails(folder: Path, operation: int, fault: Fault | None) -> int:
    """The fault is in the worker of the first attempt."""
    workspace = Workspace.open(folder / "workspace")
    count = folder / "count"

    def arm() -> None:
        failing_disk.arm(workspace.root, operation, fault or 0)

    forked_workers.install(
        arm, lambda: count.write_text(str(failing_disk.operations())) and None
    )
    runner = Runner(workspace)
    job_id = submit(runner)
    other = submit(runner) if operation % 5 == 1 else ""
    runner.tick()
    forked_workers.install()
    process._children[job_id, 1].wait(20)
    finished(workspace, job_id, fault)
    if other:
        finished(workspace, other, None)
        one_at_a_time(Runner(workspace).jobs())
    return int(count.read_text()) if count.exists() else 0


def app_fails(folder: Path, operation: int, fault: Fault | None) -> int:
    """The fault is in the app, while it submits, starts, stops, resumes and deletes
    jobs.
    """
    forked_workers.install()

    def work(acknowledge: Callable[[str], None]) -> int:
        failing_disk.arm(folder, operation, fault or 0)
        try:
            use(folder / "workspace", acknowledge)
        except ApprenticeError as error:
            acknowledge(f"refused {error.what}")
        acknowledge(f"operations {failing_disk.operations()}")
        return 0

    code, lines = failing_disk.acknowledged(work)
    assert code in (0, failing_disk.KILLED), f"the app ended with {code}"
    said = [tuple(line.split(" ", 1)) for line in lines]
    workspace = Workspace.open(folder / "workspace")
    runner = Runner(workspace, start_deadline=START)
    there = {job.id for job in runner.jobs()}
    submitted = {about for word, about in said if word == "submitted"}
    deleting = {about for word, about in said if word == "deleting"}
    deleted = {about for word, about in said if word == "deleted"}
    assert submitted - deleting <= there, "lost"
    assert not deleted & there, "deleted and here again"
    assert len(there - submitted) <= 1, "more than was submitted"
    for job_id in sorted(there):
        finished(workspace, job_id, fault)
    jobs = Runner(workspace).jobs()
    assert {job.id for job in jobs} == there
    one_at_a_time(jobs)
    hidden = [path.name for path in workspace.runs.glob(".deleted-*")]
    assert not hidden, hidden
    return next((int(about) for word, about in said if word == "operations"), 0)


def use(root: Path, acknowledge: Callable[[str], None]) -> None:
    workspace = Workspace.open(root)
    runner = Runner(workspace)
    first = submit(runner)
    acknowledge(f"submitted {first}")
    second = submit(runner)
    acknowledge(f"submitted {second}")
    runner.stop(second)
    runner.resume(second)
    for job_id in (first, second):
        if runner.wait(job_id, poll=0.001).state.can_resume:
            runner.resume(job_id)
            runner.wait(job_id, poll=0.001)
    acknowledge(f"deleting {first}")
    runner.delete(first)
    acknowledge(f"deleted {first}")


def main() -> None:
    noop.register()
    of_worker, of_app = map(int, sys.argv[1:])
    tally = Tally()
    failing_disk.inject(tally, "worker", worker_fails, of_worker)
    failing_disk.inject(tally, "app", app_fails, of_app)
    print(tally.as_json(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
