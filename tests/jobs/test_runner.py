"""The life of a job as the page and the command line see it, with real worker
processes.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from unittest.mock import Mock

import pytest

from backend.errors import ApprenticeError, BadInput, RunProblem, WorkspaceProblem
from backend.records.events import LoggedEvent, StepEvent
from backend.settings import Workspace, new_id
from jobs.records import State
from jobs.registry import JOB_TYPES, JobType
from jobs.runner import Runner
from tests.jobs.conftest import FOREVER, finish, folder_of, is_free, steps, until

BAD_IDS = [
    "",
    ".",
    "..",
    "../models",
    "/etc",
    "a/b",
    "a\\b",
    "; touch x",
    "$(touch x)",
    "--flag",
    "nul\0",
    "x" * 300,
]


def test_a_job_goes_from_queued_to_completed_with_all_its_steps(runner: Runner) -> None:
    job_id = runner.submit("noop", {"steps": 4, "seconds_per_step": 0.2}, "Four steps")
    queued = runner.job(job_id)
    assert (queued.state, queued.name, queued.kind, queued.started) == (
        State.QUEUED,
        "Four steps",
        "noop",
        None,
    )
    heard: list[LoggedEvent] = []
    seen: list[State] = []
    job = runner.wait(
        job_id,
        on_event=heard.append,
        poll=0.01,
        on_job=lambda one: seen.append(one.state),
    )
    assert job.state is State.COMPLETED
    assert job.result == {"steps": 4}
    assert job.failure is None
    assert (job.progress.done, job.progress.total) == (4, 4)
    assert job.started is not None
    assert job.ended is not None
    assert job.created <= job.started <= job.ended
    assert (steps(runner, job_id), heard) == (
        [1, 2, 3, 4],
        runner.events(job_id).events,
    )
    assert list(dict.fromkeys(seen)) == [State.STARTING, State.RUNNING, State.COMPLETED]
    later: list[LoggedEvent] = []
    runner.wait(job_id, on_event=later.append, after=runner.events(job_id).position)
    assert later == []


def test_the_lane_is_known_before_a_worker_starts(tmp_path: Path) -> None:
    lanes: list[str] = []
    runner = Runner(Workspace.open(tmp_path / "workspace"), before_start=lanes.append)
    job_id = runner.submit("noop", {"steps": 1}, "")
    assert lanes == []
    runner.wait(job_id, poll=0.01)
    assert lanes == ["training"]


def test_a_light_job_does_not_wait_for_a_training(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, worker_that: Callable[[str], None]
) -> None:
    monkeypatch.setitem(JOB_TYPES, "light", JobType("tests.jobs.noop:run", "light"))
    worker_that(
        "from jobs.registry import JOB_TYPES; JOB_TYPES['light'] = JOB_TYPES['noop']"
    )
    training = runner.submit("noop", FOREVER, "")
    assert (
        finish(runner, runner.submit("light", {"steps": 1}, "")).state
        is State.COMPLETED
    )
    assert runner.job(training).state.is_active


def test_jobs_are_listed_newest_first_and_by_kind_and_parent(runner: Runner) -> None:
    first = runner.submit("noop", {}, "first")
    second = runner.submit("noop", {}, "second")
    export = runner.submit("export", {}, "export", parent=first)
    assert [job.id for job in runner.jobs()] == [export, second, first]
    assert [job.id for job in runner.jobs(kind="noop")] == [second, first]
    assert [job.id for job in runner.jobs(parent=first)] == [export]


# Stop and resume


def test_a_job_stopped_before_it_starts_does_no_work(runner: Runner) -> None:
    job_id = runner.submit("noop", {}, "")
    folder_of(runner, job_id).stop.touch()
    assert finish(runner, job_id).state is State.STOPPED
    assert steps(runner, job_id) == []


def test_a_resumed_job_replaces_the_steps_after_its_last_checkpoint(
    runner: Runner,
) -> None:
    job_id = runner.submit(
        "noop", {"steps": 10, "checkpoint_every": 4, "crash_at": 7}, ""
    )
    assert finish(runner, job_id).state is State.INTERRUPTED
    assert steps(runner, job_id) == [1, 2, 3, 4, 5, 6]
    seen = runner.events(job_id).position
    runner.resume(job_id)
    assert finish(runner, job_id).state is State.COMPLETED
    assert steps(runner, job_id) == list(range(1, 11))
    attempts = {
        each.event.step: each.attempt
        for each in runner.events(job_id).events
        if isinstance(each.event, StepEvent)
    }
    assert [attempts[step] for step in range(1, 11)] == [1] * 4 + [2] * 6
    assert runner.events(job_id, seen).reset


# Failures


def test_a_failed_job_has_its_error_and_can_be_resumed(runner: Runner) -> None:
    job_id = runner.submit("noop", {"steps": 5, "fail_at": 3}, "")
    job = finish(runner, job_id)
    assert job.state is State.FAILED
    assert job.failure.error == "TrainingFailed"
    assert "step 3" in job.failure.why
    runner.resume(job_id)
    job = finish(runner, job_id)
    assert (job.state, job.failure, job.result) == (State.COMPLETED, None, {"steps": 5})


def test_a_bug_is_reported_without_a_traceback_which_is_in_the_log(
    runner: Runner,
) -> None:
    job_id = runner.submit("noop", {"break_at": 2}, "")
    job = finish(runner, job_id)
    assert job.state is State.FAILED
    assert job.failure is not None
    assert "Traceback" not in str(job.failure)
    assert "ZeroDivisionError" not in str(job.failure)
    assert (
        "ZeroDivisionError: asked to break at step 2"
        in (runner.folder(job_id) / "log.txt").read_text()
    )


def test_a_missing_library_is_named(
    runner: Runner, worker_that: Callable[[str], None]
) -> None:
    worker_that(
        "from jobs import registry as r; r.JOB_TYPES['noop'] = r.JobType('not_installed_here:run', 'training')"
    )
    assert (
        "not_installed_here"
        in finish(runner, runner.submit("noop", {}, "")).failure.what
    )


# Submitting and deleting


def test_an_unknown_kind_or_parent_is_rejected(runner: Runner) -> None:
    with pytest.raises(RunProblem, match="noop"):
        runner.submit("rm -rf", {}, "")
    with pytest.raises(RunProblem):
        runner.submit("noop", {}, "", parent=new_id())
    assert runner.jobs() == []


def test_a_name_is_never_a_path_or_a_command(runner: Runner, tmp_path: Path) -> None:
    names = [
        "; touch x",
        "$(touch x)",
        "--flag",
        "../../x",
        "",
        "日本\N{LINE SEPARATOR}\ud800",
    ]
    ids = [runner.submit("noop", {"steps": 0}, name) for name in names]
    assert [finish(runner, job_id).state for job_id in ids] == [State.COMPLETED] * len(
        ids
    )
    assert [runner.job(job_id).name for job_id in ids] == names
    assert not list(tmp_path.rglob("x"))


@pytest.mark.parametrize("error", [errno.EROFS, errno.ENOSPC])
def test_a_disk_is_said_to_be_read_only_or_full(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    finished = runner.submit("noop", {}, "")
    monkeypatch.setattr(
        os, "fsync", Mock(side_effect=OSError(error, os.strerror(error)))
    )
    for change in (
        lambda: runner.submit("noop", {}, ""),
        lambda: runner.stop(finished),
    ):
        with pytest.raises(WorkspaceProblem) as problem:
            change()
        assert problem.value.why == (
            "The disk is read-only." if error == errno.EROFS else "The disk is full."
        )


def test_the_data_is_on_the_disk_before_the_job_is_seen(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed, fsync = [], os.fsync

    def flush(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, len(runner.jobs())))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    job_id = runner.submit(
        "noop",
        {},
        "",
        prepare=lambda folder: (folder / "data" / "rows").write_bytes(b"rows"),
    )
    assert ((runner.folder(job_id) / "data" / "rows").stat().st_ino, 0) in flushed


@pytest.mark.parametrize(
    "fault", [BadInput("Row 3 is empty."), OSError(28, "No space left on device")]
)
def test_a_job_that_cannot_be_prepared_or_published_leaves_nothing(
    runner: Runner, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(folder: Path) -> None:
        (folder / "data" / "half").write_bytes(b"ro")
        raise fault

    with pytest.raises(ApprenticeError):
        runner.submit("noop", {}, "", prepare=prepare)
    monkeypatch.setattr(
        os, "replace", Mock(side_effect=OSError(28, "No space left on device"))
    )
    with pytest.raises(WorkspaceProblem):
        runner.submit("noop", {}, "")
    assert list(runner.workspace.runs.iterdir()) == []


def test_delete_deletes_the_job_its_descendants_and_their_exports(
    runner: Runner,
) -> None:
    parent = runner.submit("noop", {"steps": 0}, "")
    finish(runner, parent)
    child = runner.submit("noop", {"steps": 0}, "", parent=parent)
    grandchild = runner.submit("noop", {"steps": 0}, "", parent=child)
    other = runner.submit("noop", {"steps": 0}, "")
    finish(runner, other)
    for job_id in (parent, child, other):
        (runner.workspace.exports / job_id).mkdir()
    runner.delete(parent)
    assert [job.id for job in runner.jobs()] == [other]
    assert [path.name for path in runner.workspace.runs.iterdir()] == [other]
    assert [path.name for path in runner.workspace.exports.iterdir()] == [other]
    assert grandchild not in [job.id for job in Runner(runner.workspace).jobs()]


def test_a_deletion_waits_for_the_worker_to_exit_without_the_lock(
    runner: Runner,
) -> None:
    job_id = runner.submit("noop", {"steps": 0}, "")
    finish(runner, job_id)
    until(lambda: is_free(folder_of(runner, job_id)))
    deletion = Thread(target=runner.delete, args=(job_id,))
    with folder_of(runner, job_id).claim():  # as a worker that has not exited
        deletion.start()
        deletion.join(0.3)
        with runner.scheduler.locked(timeout=1.0):
            assert runner.jobs()
    deletion.join(30)
    assert runner.jobs() == []


def test_a_job_is_not_deleted_while_a_child_is_queued(runner: Runner) -> None:
    parent = runner.submit("noop", {"steps": 0}, "")
    finish(runner, parent)
    child = runner.submit("noop", {}, "", parent=parent)
    with pytest.raises(RunProblem, match=child):
        runner.delete(parent)
    assert runner.job(parent).state is State.COMPLETED


@pytest.mark.parametrize("job_id", BAD_IDS)
def test_malformed_ids_are_rejected_everywhere(
    runner: Runner, workspace: Workspace, job_id: str
) -> None:
    before = sorted(workspace.root.rglob("*"))
    for method in (
        runner.job,
        runner.events,
        runner.stop,
        runner.resume,
        runner.delete,
        runner.wait,
        runner.folder,
    ):
        with pytest.raises((RunProblem, WorkspaceProblem)):
            method(job_id)
    with pytest.raises((RunProblem, WorkspaceProblem)):
        runner.submit("noop", {}, "", parent=job_id or "..")
    assert sorted(workspace.root.rglob("*")) == before


def test_a_link_out_of_the_workspace_is_rejected(
    runner: Runner, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").touch()
    try:
        (runner.workspace.runs / "link").symlink_to(outside, target_is_directory=True)
    except OSError:
        pytest.skip("this system makes no links")
    with pytest.raises(WorkspaceProblem):
        runner.delete("link")
    assert (outside / "keep").exists()
