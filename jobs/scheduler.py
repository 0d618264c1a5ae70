"""Decides which jobs run: reconciles them with their workers and starts the next ones,
under one lock file.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from filelock import FileLock, Timeout

from backend.errors import ApprenticeError, RunProblem, WorkspaceProblem
from backend.files.disk_errors import disk_words
from backend.records.base import FileVersion
from backend.settings import Workspace
from jobs import process, store
from jobs.folder import JobFolder, unreadable
from jobs.records import State
from jobs.registry import JOB_TYPES, BeforeStart, Lane
from jobs.supervisor import Supervisor

log = logging.getLogger(__name__)


class Busy(RunProblem):
    """Another copy of the app holds the workspace's lock."""


class Unfinished(NamedTuple):
    """A job that is queued or active. queued: seconds since 1970."""

    queued: float
    id: str
    lane: Lane
    state: State


class Scheduler:
    """The queue of a workspace, in the order of submission; one job at a time runs in
    each lane. problems: by job id, why its folder can't be read or written.
    before_start: called with a job's lane before its worker starts.
    """

    def __init__(
        self,
        workspace: Workspace,
        supervisor: Supervisor,
        before_start: BeforeStart | None = None,
    ) -> None:
        self.problems: dict[str, WorkspaceProblem] = {}
        self._workspace, self._supervisor, self._before_start = (
            workspace,
            supervisor,
            before_start,
        )
        self._lock = FileLock(workspace.root / "jobs.lock")
        self._finished: dict[
            str, FileVersion | None
        ] = {}  # by id, the status.json that said so

    def tick(self) -> None:
        """Notice which workers ended, kill those that do not stop, start the next jobs:
        one at a time in each lane. Does nothing while another runner holds the lock.
        """
        with suppress(Busy), self.locked(timeout=0):
            unfinished = self.reconcile()
            busy = {job.lane for job in unfinished if job.state.is_active}
            for job in unfinished:
                if job.lane not in busy and self._start(job):
                    busy.add(job.lane)
        process.reap()

    def reconcile(self) -> list[Unfinished]:
        """All queued and active jobs in the order of the queue, once it is written
        which workers have died. After a job has ended its files are not read again
        until its status.json changes.
        """
        unfinished, finished = [], {}
        for job_id, version in store.status_versions(self._workspace):
            if job_id in self._finished and self._finished[job_id] == version:
                finished[job_id] = version
                continue
            with self._recording_problems(job_id):
                folder = store.find(self._workspace, job_id)
                status = self._supervisor.reconcile(folder)
                if status.state.is_terminal:
                    finished[job_id] = version
                elif lane := _lane(folder, status.state):
                    unfinished.append(
                        Unfinished(status.queued, job_id, lane, status.state)
                    )
        self._finished = finished
        return sorted(unfinished)

    def unfinished(self) -> list[Unfinished]:
        """The result of `reconcile`. Raises Busy while another runner holds the lock."""
        with self.locked(timeout=0):
            return self.reconcile()

    def start_queued(self, job: Unfinished) -> bool:
        """Start one job, if it still waits; returns whether its lane is taken now.
        Raises Busy.
        """
        with self.locked(timeout=0):
            queued = {
                other.id for other in self.reconcile() if other.state is State.QUEUED
            }
            started = job.id in queued and self._start(job)
        process.reap()
        return started

    def _start(self, job: Unfinished) -> bool:
        """Start a queued job; returns whether its lane is taken now."""
        state = State.FAILED
        if self._before_start:
            self._before_start(job.lane)
        with self._recording_problems(job.id):
            state = self._supervisor.launch(store.find(self._workspace, job.id))
        return state is not State.FAILED

    @contextmanager
    def _recording_problems(self, job_id: str) -> Iterator[None]:
        """Keeps a job whose folder can't be read or written from blocking the others."""
        try:
            yield
        except Exception as error:
            expected = (
                error
                if isinstance(error, OSError | ApprenticeError)
                else OSError(str(error))
            )
            if job_id not in self.problems:
                log.warning(
                    "%s can't be read or written: %s",
                    job_id,
                    expected,
                    exc_info=expected is not error,
                )
            self.problems[job_id] = unreadable(expected)
        else:
            self.problems.pop(job_id, None)

    @contextmanager
    def locked(self, timeout: float = 20.0) -> Iterator[None]:
        """Hold the workspace's lock for the block. Raises Busy if another runner holds
        it for `timeout` seconds, WorkspaceProblem on an OSError in the block.
        """
        try:
            with self._lock.acquire(timeout=timeout):
                yield
        except Timeout:
            what = "Another copy of Apprentice is busy with the list of runs."
            raise Busy(what, "", "Try again in a moment.") from None
        except OSError as error:
            log.warning("the workspace can't be written: %r", error)
            raise WorkspaceProblem(
                "The workspace can't be written.", *disk_words(error)
            ) from error


def _lane(folder: JobFolder, state: State) -> Lane | None:
    """The lane of a job; None for an unknown kind. Raises WorkspaceProblem for a
    damaged job that can't start. A damaged one that already runs may be a training run.
    """
    try:
        job_type = JOB_TYPES.get(folder.identity().kind)
    except WorkspaceProblem:
        if state.is_active:
            return "training"
        raise
    return job_type.lane if job_type else None
