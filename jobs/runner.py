"""The runner: what the page and the command line ask about jobs, and the tick that starts and watches them.

Several runners (a second window, the command line) may work on one workspace. Whatever changes a job happens
under the index's lock; whether a worker lives is told by its lock alone, never by a process id.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.errors import ApprenticeError, RunProblem, WorkspaceProblem
from backend.records.events import LoggedEvent
from backend.settings import Workspace, child_path, new_id
from jobs import process, store
from jobs.events import read_lines, read_story
from jobs.index import Busy, Index, Row, Table
from jobs.records import Events, Job, State
from jobs.registry import KINDS, LANES
from jobs.store import Identity, JobFolder, Status
from jobs.supervisor import Supervisor

log = logging.getLogger(__name__)

TICK = 0.5  # seconds between two ticks of the thread
LEAVING = 10.0  # seconds an ended worker gets to leave its lock, before a resume or a deletion gives up


class Runner:
    """The jobs of a workspace.

    stop_deadline: seconds a worker may tell nothing after a stop, before it is ended; one that still saves tells so.
    start_deadline: seconds it gets to take its lock.
    Methods raise RunProblem for an unknown id or a wrong state, WorkspaceProblem for an id that is none and where
    the workspace can't be read or written.
    """

    def __init__(self, workspace: Workspace, stop_deadline: float = 300.0, start_deadline: float = 60.0) -> None:
        self.workspace = workspace
        self._supervisor = Supervisor(workspace, stop_deadline, start_deadline)
        self._troubles: dict[str, WorkspaceProblem] = {}
        self._index = Index(workspace, self._rows)
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        store.sweep(workspace)
        self._index.rebuild()

    # Asking

    def job(self, job_id: str) -> Job:
        return self._find(job_id).job()

    def jobs(self, kind: str | None = None, parent: str | None = None) -> list[Job]:
        """The jobs, newest first; of one kind, or made from one parent. A damaged folder is left out."""
        found = []
        for folder in store.folders(self.workspace):
            try:
                identity = folder.identity()
                if kind in (None, identity.kind) and parent in (None, identity.parent):
                    found.append(folder.job())
            except ApprenticeError:
                continue
        return sorted(found, key=lambda job: (job.created, job.id), reverse=True)

    def events(self, job_id: str, after: int = 0) -> Events:
        """The events that count, told since position `after`; see jobs.records.Events."""
        try:
            return read_story(self._find(job_id).events, after)
        except OSError as error:
            raise store.unreadable(error) from error

    def folder(self, job_id: str) -> Path:
        """Where a job's files lie."""
        return self._find(job_id).path

    # Acting

    def submit(
        self,
        kind: str,
        spec: dict[str, Any],
        name: str,
        parent: str | None = None,
        prepare: Callable[[Path], None] | None = None,
    ) -> str:
        """Queue a job and give its id. `prepare` gets its folder and fills data/ in it, before others see it.

        Raises RunProblem for an unknown kind or parent, WorkspaceProblem when the folder can't be written,
        and what `prepare` raises; then nothing is left behind.
        """
        if kind not in KINDS:
            raise RunProblem(f"There is no kind of work {kind[:60]!r}.", "", f"There are: {', '.join(KINDS)}.")
        if parent is not None:
            self._find(parent)
        identity = Identity(kind=kind, name=name, parent=parent, created=time.time())
        try:
            staged = store.staged(self.workspace, new_id(), identity, spec, prepare)
            with staged as publish, self._index.transaction() as table:
                folder = publish()
                table.add(Row(folder.id, KINDS[kind].lane, State.QUEUED))
        except OSError as error:
            log.warning("a run could not be written", exc_info=True)
            raise WorkspaceProblem(
                "The run could not be written to disk.",
                f"The system says: {error.strerror or error}.",
                "Make room, then try again.",
            ) from error
        self._wake.set()
        return folder.id

    def stop(self, job_id: str) -> None:
        """Ask a job to save and end; a queued one is stopped at once. Asking twice is no error."""
        folder = self._find(job_id)
        with self._index.transaction() as table:
            state = self._settle(table, folder)
            if state.is_terminal:
                raise RunProblem(f"This run can't be stopped: it is {state}.", "It has already ended.")
            if state is State.QUEUED:
                with folder.claim(LEAVING) as free:
                    if free:
                        folder.write_status(folder.status().ending(State.STOPPED))
                        table.move(job_id, [State.QUEUED], State.STOPPED)
                        return
            folder.request_stop()
            table.move(job_id, [State.STARTING, State.RUNNING], State.STOPPING)

    def resume(self, job_id: str) -> Job:
        """Queue a stopped, failed or interrupted job again, as a new attempt of the same run."""
        folder = self._find(job_id)
        with self._index.transaction() as table:
            state = self._settle(table, folder)
            if not state.can_resume:
                why = "Its work is done." if state is State.COMPLETED else "It has not ended yet."
                raise RunProblem(f"This run can't be resumed: it is {state}.", why)
            with folder.claim(LEAVING) as free:
                if not free:
                    raise RunProblem("This run can't be resumed yet.", "Its last process is still there.")
                folder.clear_stop()
                last = folder.status()
                folder.write_status(
                    Status(state=State.QUEUED, attempt=last.attempt + 1, queued=time.time(), progress=last.progress)
                )
            if not table.requeue(job_id):
                table.add(Row(job_id, KINDS[folder.identity().kind].lane, State.QUEUED))
        self._wake.set()
        return folder.job()

    def delete(self, job_id: str) -> None:
        """Delete a job, the jobs made from it, and their exports. Refused while one of them works or waits."""
        folder = self._find(job_id)
        with self._index.transaction() as table:
            family = self._family(folder)
            for member in family:
                state = self._settle(table, member)
                if not state.is_terminal:
                    raise RunProblem("This run can't be deleted yet.", f"{member.id} is {state}.", "Stop it first.")
            for member in family:
                table.remove(member.id)
            gone = [store.put_away(member) for member in family]
        for path in [*gone, *(child_path(self.workspace.exports, member.id) for member in family)]:
            shutil.rmtree(path, ignore_errors=True)

    def wait(
        self, job_id: str, on_event: Callable[[LoggedEvent], None] | None = None, poll: float = 0.2, after: int = 0
    ) -> Job:
        """Wait until a job has ended, ticking meanwhile; `on_event` gets each event told since position `after`."""
        folder = self._find(job_id)
        position = after
        while True:
            trouble = None
            try:
                self.tick()
            except WorkspaceProblem as error:
                trouble = error
            job = folder.job()
            events, position = read_lines(folder.events, position)
            for event in events:
                if on_event:
                    on_event(event)
            if job.state.is_terminal:
                return job
            trouble = trouble or self._troubles.get(job_id)
            if trouble:
                raise trouble
            time.sleep(poll)

    # Watching

    def start(self) -> None:
        """Tick in a thread of its own until `close`."""
        if self._thread is None:
            self._closing.clear()
            self._thread = threading.Thread(target=self._loop, name="job-runner", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread. Workers go on; the next runner adopts them."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        while not self._closing.is_set():
            try:
                self.tick()
            except ApprenticeError as error:
                log.warning("%s", error)
            except Exception:
                log.exception("a tick of the job runner failed")
            self._wake.wait(TICK)
            self._wake.clear()

    def tick(self) -> None:
        """Notice what ended, end what overstays, start what is next. Does nothing while another runner ticks."""
        with suppress(Busy), self._index.transaction(timeout=0) as table:
            for row in table.active():
                self._guarded(self._follow, table, row)
            for lane in LANES:
                for row in table.queued(lane):
                    if self._guarded(self._start, table, row):
                        break
        process.reap()

    def _follow(self, table: Table, row: Row) -> bool:
        """Bring the index up to what the folder says; gives whether the job is active."""
        folder = JobFolder(self.workspace.run_folder(row.id))
        if not folder.path.is_dir():
            table.remove(row.id)
            return False
        state = self._supervisor.settle(folder)
        if state is not row.state:
            table.move(row.id, [row.state], state)
        return state.is_active

    def _start(self, table: Table, row: Row) -> bool:
        """Start a queued job; gives whether its lane is taken now."""
        if self._follow(table, row):
            return True
        if not table.move(row.id, [State.QUEUED], State.STARTING):
            return any(active.lane == row.lane for active in table.active())
        state = self._supervisor.launch(JobFolder(self.workspace.run_folder(row.id)))
        table.move(row.id, [State.STARTING], state)
        return state is not State.FAILED

    def _guarded(self, action: Callable[[Table, Row], bool], table: Table, row: Row) -> bool:
        """One job that can't be read or written must not hold up the others."""
        try:
            taken = action(table, row)
        except (OSError, ApprenticeError) as error:
            if row.id not in self._troubles:
                log.warning("%s can't be followed: %s", row.id, error)
            self._troubles[row.id] = store.unreadable(error)
            return False
        self._troubles.pop(row.id, None)
        return taken

    def _settle(self, table: Table, folder: JobFolder) -> State:
        """The job's state, once a worker that has said its last word is gone; the index brought up to it."""
        if folder.status().state.is_terminal:
            with folder.claim(LEAVING):
                pass
        state = self._supervisor.settle(folder)
        table.move(folder.id, [s for s in State if not s.is_terminal], state)
        return state

    def _rows(self) -> list[Row]:
        """What the folders hold, for the index, oldest in the queue first."""
        rows = []
        for folder in store.folders(self.workspace):
            try:
                kind, status = KINDS.get(folder.identity().kind), folder.status()
                state = self._supervisor.settle(folder) if status.state.is_active else status.state
            except (OSError, ApprenticeError) as error:
                log.warning("%s is left out of the index: %s", folder.id, error)
                continue
            if kind:
                rows.append((status.queued, Row(folder.id, kind.lane, state)))
        return [row for _, row in sorted(rows)]

    def _find(self, job_id: str) -> JobFolder:
        return store.find(self.workspace, job_id)

    def _family(self, folder: JobFolder) -> list[JobFolder]:
        """The job, the jobs made from it, and so on."""
        parents = {}
        for other in store.folders(self.workspace):
            with suppress(ApprenticeError):
                parents[other.id] = other.identity().parent
        family = [folder.id]
        for member in family:
            family += [other for other, parent in parents.items() if parent == member and other not in family]
        return [JobFolder(self.workspace.run_folder(member)) for member in family]
