"""The runner: the page's and the command line's access to jobs, and the tick that
starts and watches them. Several runners (a second window, the command line) may share a
workspace. Whatever changes a job's state happens under one lock file; whether a worker
lives is decided by its own lock, never by a process id.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from backend.errors import ApprenticeError, RunProblem, WorkspaceProblem
from backend.records.events import LoggedEvent
from backend.settings import Workspace, child_path
from jobs import process, store
from jobs.events import read_events, read_valid_events
from jobs.folder import JobFolder, unreadable
from jobs.records import EventBatch, Identity, Job, State
from jobs.registry import JOB_TYPES, BeforeStart
from jobs.repeating import RepeatingThread
from jobs.scheduler import Scheduler
from jobs.status import Status
from jobs.store import Prepare, Spec
from jobs.supervisor import Supervisor

_EXIT_TIMEOUT = 10.0  # seconds a worker that has ended may take to release its lock before a stop, resume or delete
_ENDING = 5.0  # seconds that a worker may take to end after its last word
TICK = 0.5  # seconds between two ticks of the thread


class Runner:
    """The jobs of a workspace. stop_deadline: seconds that a worker may show no
    activity after a stop before it is killed. start_deadline: seconds that it may take
    to acquire its lock. admit: called with the kind and spec of a job about to be
    queued or resumed, and the jobs so far. The job is queued inside the context that it
    returns, one job at a time; entering that may refuse it. before_start: called with
    the lane of a job before its worker starts. Methods raise RunProblem for an unknown
    id or a wrong state, WorkspaceProblem for a malformed id and when the workspace
    can't be read or written.
    """

    def __init__(
        self,
        workspace: Workspace,
        stop_deadline: float = 300.0,
        start_deadline: float = 60.0,
        admit: Callable[[str, Spec, list[Job]], AbstractContextManager[None]]
        | None = None,
        before_start: BeforeStart | None = None,
    ) -> None:
        self.workspace = workspace
        self._admit, self._admitting = admit, threading.Lock()
        self._supervisor = Supervisor(workspace, stop_deadline, start_deadline)
        self.scheduler = Scheduler(workspace, self._supervisor, before_start)
        self.tick = self.scheduler.tick
        self._thread = RepeatingThread("job-runner", self.tick, TICK)
        self.close = self._thread.close  # workers continue; the next runner adopts them
        store.delete_leftovers(workspace)
        with self.scheduler.locked():
            self.scheduler.reconcile()  # workers may have died while no runner was open

    # Reading

    def job(self, job_id: str) -> Job:
        return self._find(job_id).job()

    def jobs(self, kind: str | None = None, parent: str | None = None) -> list[Job]:
        """The jobs, newest first; of one kind, or made from one parent. Damaged ones
        are in `damaged`.
        """
        jobs = []
        for folder in store.folders(self.workspace):
            with suppress(ApprenticeError):
                identity = folder.identity()
                if kind in (None, identity.kind) and parent in (None, identity.parent):
                    jobs.append(folder.job())
        return sorted(jobs, key=lambda job: (job.created, job.id), reverse=True)

    def damaged(self) -> list[str]:
        """The ids of the jobs whose job.json or status.json can't be read, newest
        first. They can be deleted.
        """
        damaged = []
        for folder in store.folders(self.workspace):
            try:
                folder.job()
            except WorkspaceProblem:
                damaged.append(folder.id)
            except RunProblem:  # just deleted
                continue
        return sorted(damaged, reverse=True)

    def events(self, job_id: str, after: int = 0) -> EventBatch:
        """The valid events since position `after`."""
        try:
            return read_valid_events(self._find(job_id).events, after)
        except OSError as error:
            raise unreadable(error) from error

    def folder(self, job_id: str) -> Path:
        return self._find(job_id).path

    # Changing

    def submit(
        self,
        kind: str,
        spec: Spec,
        name: str,
        parent: str | None = None,
        prepare: Prepare | None = None,
    ) -> str:
        """Queue a job and return its id. Raises RunProblem for an unknown kind or
        parent, WorkspaceProblem when the folder can't be written, and whatever
        `prepare` raises; then nothing is left behind.

        kind: of JOB_TYPES
        spec: what to do, as the kind's function reads it; becomes spec.json
        parent: the id of the job that it was made from
        prepare: gets the folder and fills data/ in it before others see it
        """
        if kind not in JOB_TYPES:
            raise RunProblem(
                f"There is no job of kind {kind[:60]!r}.",
                "",
                f"The kinds are: {', '.join(JOB_TYPES)}.",
            )
        if parent is not None:
            self._find(parent)
        identity = Identity(kind=kind, name=name, parent=parent, created=time.time())
        with self._admitted(kind, spec):
            folder = store.create(self.workspace, identity, spec, prepare)
        self._thread.wake.set()
        return folder.id

    def add_completed(
        self,
        kind: str,
        spec: Spec,
        name: str,
        result: dict[str, Any],
        prepare: Prepare,
        parent: str | None = None,
    ) -> str:
        """Add a job that was completed elsewhere, and return its id; the arguments are
        those of `submit`. Raises WorkspaceProblem when the folder can't be written, and
        what `prepare` raises; then nothing is left behind.

        result: as the kind's function returns it
        """
        now = time.time()
        identity = Identity(kind=kind, name=name, created=now, parent=parent)
        started = now if parent else None  # after its parent had ended
        status = Status(
            state=State.COMPLETED, queued=now, started=started, ended=now, result=result
        )
        return store.create(self.workspace, identity, spec, prepare, ended=status).id

    @contextmanager
    def _admitted(self, kind: str, spec: Spec) -> Iterator[None]:
        """One step with what happens inside: no other job is admitted meanwhile."""
        if self._admit is None:
            yield
            return
        with self._admitting, self._admit(kind, spec, self.jobs()):
            yield

    def stop(self, job_id: str) -> None:
        """Ask a job to save and end; a queued one is stopped at once. Asking twice is
        fine.
        """
        folder = self._find(job_id)
        self._await_exit(folder)
        with self.scheduler.locked():
            state = self._supervisor.reconcile(folder).state
            if state.is_terminal:
                raise RunProblem(
                    f"This run can't be stopped: it is {state}.",
                    "It has already ended.",
                )
            if state is State.QUEUED:
                with folder.claim(_EXIT_TIMEOUT) as free:
                    if free:
                        folder.write_status(folder.status().ended_as(State.STOPPED))
                        return
            folder.stop.touch()

    def stop_unfinished(self, kind: str, parent: str) -> None:
        """Stop the jobs of a kind that were made from one parent, as far as they have
        not ended.
        """
        for job in self.jobs(kind, parent):
            if not job.state.is_terminal:
                with suppress(RunProblem):  # it has just ended by itself
                    self.stop(job.id)

    def resume(self, job_id: str) -> Job:
        """Queue a stopped, failed or interrupted job again, as a new attempt of the
        same run.
        """
        folder = self._find(job_id)
        self._await_exit(folder)
        with (
            self._admitted(folder.identity().kind, folder.spec()),
            self.scheduler.locked(),
        ):
            state = self._supervisor.reconcile(folder).state
            if not state.can_resume:
                why = (
                    "It is complete."
                    if state is State.COMPLETED
                    else "It has not ended yet."
                )
                raise RunProblem(f"This run can't be resumed: it is {state}.", why)
            with folder.claim(_EXIT_TIMEOUT) as free:
                if not free:
                    raise RunProblem(
                        "This run can't be resumed yet.",
                        "Its last process is still running.",
                    )
                folder.stop.unlink(missing_ok=True)
                folder.write_status(
                    folder.status().next_attempt(store.last_place(self.workspace))
                )
        self._thread.wake.set()
        return folder.job()

    def delete(self, job_id: str) -> None:
        """Delete a job, the jobs made from it, and their exports. Refused while one of
        them is queued or active.
        """
        folder = self._find(job_id)
        for member in store.with_descendants(folder, self.workspace):
            self._await_exit(member)  # Windows renames no folder whose log.txt is open
        with self.scheduler.locked():
            family = store.with_descendants(folder, self.workspace)
            for member in family:
                try:
                    member.identity()
                    state = self._supervisor.reconcile(member).state
                except (
                    WorkspaceProblem
                ):  # a damaged one can't start: it runs while a worker lives
                    with member.claim() as free:
                        state = State.INTERRUPTED if free else State.RUNNING
                if not state.is_terminal:
                    what_next = (
                        "Try again in a moment."
                        if state is State.STOPPING
                        else "Stop it first."
                    )
                    raise RunProblem(
                        "This run can't be deleted yet.",
                        f"{member.id} is {state}.",
                        what_next,
                    )
            hidden = [store.hide(member) for member in family]
        for path in [
            *hidden,
            *(child_path(self.workspace.exports, member.id) for member in family),
        ]:
            shutil.rmtree(path, ignore_errors=True)

    def wait(
        self,
        job_id: str,
        on_event: Callable[[LoggedEvent], None] | None = None,
        poll: float = 0.2,
        after: int = 0,
        on_job: Callable[[Job], None] | None = None,
    ) -> Job:
        """Wait until a job has ended, ticking meanwhile.

        on_event: called at each look, with each new event
        poll: seconds between two looks
        after: the position in the log from which events are new
        on_job: called at each look, before `on_event`, with the job
        """
        folder = self._find(job_id)
        while True:
            problem = None
            try:
                self.tick()
            except WorkspaceProblem as error:
                problem = error
            job = folder.job()
            if on_job:
                on_job(job)
            events, after = read_events(folder.events, after)
            for event in events:
                if on_event:
                    on_event(event)
            if job.state.is_terminal:
                return job
            problem = problem or self.scheduler.problems.get(job_id)
            if problem:
                raise problem
            time.sleep(poll)

    # Watching

    def start(self) -> None:
        """Tick in a thread until `close`."""
        self._thread.wake.set()
        self._thread.start()

    def has_news(self) -> bool:
        """Whether a job was submitted or resumed since the last call; for a runner
        whose thread was not started.
        """
        if not self._thread.wake.is_set():
            return False
        self._thread.wake.clear()  # what is submitted from here on is seen by the look that follows, or is news again
        return True

    def _await_exit(self, folder: JobFolder) -> None:
        """Wait until the worker of an ended job has exited; without the lock, which the
        queue needs meanwhile.
        """
        with suppress(ApprenticeError, OSError):  # told by the look under the lock
            if (status := folder.status()).state.is_terminal:
                with folder.claim(_EXIT_TIMEOUT):
                    pass
                process.exit_code(folder.id, status.attempt, _ENDING)

    def _find(self, job_id: str) -> JobFolder:
        return store.find(self.workspace, job_id)
