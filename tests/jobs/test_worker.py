"""The worker: its environment, its arguments, its registry of jobs, and how it ends if
it can't write.
"""

import errno
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.settings import PROJECT_ROOT, Workspace
from jobs import process, worker
from jobs.context import Context
from jobs.folder import JobFolder
from jobs.records import State
from jobs.registry import JOB_TYPES
from jobs.runner import Runner
from jobs.supervisor import KILLED, NEVER_STARTED
from tests.jobs.conftest import (
    FOREVER,
    counting,
    finish,
    folder_of,
    is_free,
    steps,
    until,
)

AUTOGROUP = Path("/proc/self/autogroup")
HAS_AUTOGROUPS = AUTOGROUP.exists() and bool(AUTOGROUP.read_text("ascii").strip())
shipped = (
    process.WORKER
)  # the other tests start a worker that knows their own kind of job
SECRETS = [
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "PGPASSWORD", "MY_PASSWORD_FILE", "CLIENT_SECRET", "github_token", "MY_BANK_PIN", "DATABASE_URL", "HTTPS_PROXY",
]  # fmt: skip


def test_a_worker_gets_only_its_id_no_secrets_and_an_own_session(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "s3cr3t-value")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    monkeypatch.delenv("APPRENTICE_NICENESS")
    job_id = runner.submit("noop", FOREVER, "; touch x")
    worker_process = counting(runner, job_id)
    environment = worker_process.environ()
    assert not {name.upper() for name in SECRETS} & {
        name.upper() for name in environment
    }
    assert "s3cr3t-value" not in str(environment)
    assert (environment["TOKENIZERS_PARALLELISM"], environment["OMP_WAIT_POLICY"]) == (
        "true",
        "PASSIVE",
    )
    assert environment["APPRENTICE_HOME"] == str(runner.workspace.root)
    assert worker_process.cmdline()[1:] == ["-m", "tests.jobs.noop", job_id]
    if sys.platform != "win32":
        assert os.getsid(worker_process.pid) == worker_process.pid
    if HAS_AUTOGROUPS:
        nice = int(
            Path(f"/proc/{worker_process.pid}/autogroup").read_text("ascii").split()[-1]
        )
        assert nice > int(AUTOGROUP.read_text("ascii").split()[-1])


def test_the_time_left_runs_on_through_a_phase_that_knows_none(runner: Runner) -> None:
    folder = folder_of(runner, runner.submit("noop", {}, ""))
    context = Context(folder, runner.workspace, folder.status())
    context.progress("Training", 1, 2, 90.0)
    context.progress("Checking")
    context.close()
    assert 80 < (context.status.progress.seconds_left or 0) < 90


def test_the_shipped_command_starts_a_real_kind(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shipped == (sys.executable, "-m", "jobs.worker")
    monkeypatch.setattr(process, "WORKER", shipped)
    assert (
        finish(runner, runner.submit("export", {}, "")).failure.what
        == "The export can't be made."
    )


@pytest.mark.parametrize(
    "arguments", [[], ["a", "b"], [".."], ["--flag"], ["20260101-000000-aaaaaaaa"]]
)
def test_wrong_arguments_are_wrong_usage(
    workspace: Workspace,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("APPRENTICE_HOME", str(workspace.root))
    assert worker.main(arguments) == worker.USAGE
    assert "Traceback" not in capsys.readouterr().err


def test_a_worker_for_a_job_that_is_not_starting_does_nothing(runner: Runner) -> None:
    folder = folder_of(runner, runner.submit("noop", {}, ""))
    assert worker.attempt(folder, runner.workspace) == worker.NOTHING_TO_DO
    assert runner.job(folder.id).state is State.QUEUED
    assert not folder.events.exists()


class Disk:
    """Counts the calls that write to the disk, and fails the `at`-th one, or all from
    then on.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.at, self.stays_full = 0, 0, False
        for name in ("write", "fsync", "replace"):
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, action: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object) -> object:
            self.count += 1
            if self.at and (
                self.count == self.at or (self.stays_full and self.count > self.at)
            ):
                raise OSError(errno.ENOSPC, "No space left on device")
            return action(*arguments)

        return counted

    def fail(self, at: int, stays_full: bool = False) -> None:
        self.count, self.at, self.stays_full = 0, at, stays_full


@pytest.mark.parametrize("stays_full", [False, True])
def test_whichever_write_fails_the_job_ends_and_can_be_resumed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, stays_full: bool
) -> None:
    runner = Runner(workspace, start_deadline=0)
    monkeypatch.setattr(worker, "FINAL_WRITE_PAUSE", 0)
    disk = Disk(monkeypatch)
    at, unseen = 0, []

    def work_here(folder: JobFolder, attempt: int, workspace: Workspace) -> None:
        """In this process, because the fake disk errors happen here."""
        disk.fail(at if attempt == 1 else 0, stays_full)
        with folder.lock().acquire(timeout=10):
            worker.attempt(folder, workspace)
        unseen.append(disk.count < at)
        disk.fail(0)

    monkeypatch.setattr(process, "spawn", work_here)
    ends = []
    while not (unseen and unseen[-1]):
        at += 1
        job_id = runner.submit("noop", {"steps": 1}, "")
        job = finish(runner, job_id)
        ends.append(job.state)
        assert at < 100, "no attempt came through"
        if job.state is not State.COMPLETED:
            expected = (
                {"The disk is full."}
                if not stays_full
                else {KILLED.what, NEVER_STARTED.what}
            )
            assert job.failure.what in expected
            runner.resume(job_id)
            unseen.clear()
            job = finish(runner, job_id)
            unseen.clear()
        assert (job.state, job.result) == (State.COMPLETED, {"steps": 1})
        assert steps(runner, job_id) == [1]
        assert not list(folder_of(runner, job_id).path.glob(".*.tmp"))
    assert len(ends) > 10


def test_a_disk_full_for_the_runner_too_is_reported_later(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = runner.submit("noop", FOREVER, "")
    counting(runner, job_id).kill()
    until(lambda: is_free(folder_of(runner, job_id)))
    disk = Disk(monkeypatch)
    disk.fail(1, stays_full=True)
    with pytest.raises(Exception, match="can't be read or written"):
        runner.wait(job_id)
    disk.fail(0)
    runner.tick()
    assert runner.job(job_id).state is State.INTERRUPTED


def follow_up(context: Context, result: dict[str, Any]) -> dict[str, Any] | None:
    """The follow-up of a noop job with an odd number of steps: one with a step fewer."""
    if result["steps"] == 5:
        raise ValueError("a bug")
    return {"steps": result["steps"] - 1} if result["steps"] % 2 else None


@pytest.mark.parametrize(("steps", "children"), [(3, 1), (2, 0), (5, 0)])
def test_a_job_may_queue_the_next(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, steps: int, children: int
) -> None:
    """Its failure to do so is not the job's."""
    following = JOB_TYPES["noop"]._replace(
        follow_up=("noop", "The next", f"{__name__}:follow_up")
    )
    monkeypatch.setitem(JOB_TYPES, "noop", following)
    folder = folder_of(runner, runner.submit("noop", {"steps": steps}, ""))
    folder.write_status(folder.status().changed(state=State.STARTING))
    assert worker.attempt(folder, runner.workspace) == worker.DONE
    assert runner.job(folder.id).state is State.COMPLETED
    found = runner.jobs(parent=folder.id)
    assert [(job.name, job.state) for job in found] == [
        ("The next", State.QUEUED)
    ] * children
    first = folder.status().queued
    assert [JobFolder(runner.folder(job.id)).status().queued for job in found] == [
        first
    ] * children, "it goes first"
    assert [
        runner.folder(job.id).joinpath("spec.json").read_text() for job in found
    ] == ['{"steps": 2}'] * children


@pytest.mark.parametrize("kind", JOB_TYPES)
def test_the_functions_of_each_job_type_exist(kind: str) -> None:
    module, _, function = JOB_TYPES[kind].work.partition(":")
    assert str(importlib.util.find_spec(module).origin).startswith(str(PROJECT_ROOT))
    assert function == "run"
    if follow_up := JOB_TYPES[kind].follow_up:
        module, _, function = follow_up[2].partition(":")
        assert follow_up[0] in JOB_TYPES
        assert callable(getattr(importlib.import_module(module), function))
