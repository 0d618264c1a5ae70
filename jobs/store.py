"""A job's folder, which is the truth about it.

WORKSPACE/runs/<id>/
    job.json       what it is: kind, name, parent, created; never changes
    spec.json      all that defines the work; never changes
    data/          what the work reads
    status.json    where it stands; written by the worker while it lives, by the runner only while it doesn't
    events.jsonl   what it told, see jobs/events.py
    stop           there when a stop is asked for
    trainer.lock   held by the worker for its whole life; a free lock proves that there is none
    reserve        a little disk space, given back to write the last status on a full disk
    log.txt        the worker's messages
    ...            what the work makes
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import Field

from backend.errors import RunProblem, WorkspaceProblem
from backend.files.atomic import fsync, retry_while_in_use, write_all
from backend.files.json_file import read_json, write_json
from backend.settings import Workspace
from jobs.oom_detection import Memory
from jobs.records import Failure, Job, Progress, Record, State

log = logging.getLogger(__name__)

NEW, GONE = ".new-", ".gone-"  # folders that are being made or deleted; no id begins with a dot
LIGHTER_ATTEMPTS = 3  # made by themselves after memory ran out, before a person is asked
_RESERVE_BYTES = 64 * 1024
_DAY = 24 * 3600.0

DAMAGED = Failure(
    what="The record of where this run stood is damaged.",
    why="Its file status.json can't be read.",
    next="Resume it: it goes on from its last checkpoint.",
)


class Identity(Record):
    """job.json."""

    kind: str
    name: str
    parent: str | None = None
    created: float


class Status(Record):
    """status.json. queued: when it last joined the queue. pid, pid_created: the worker, once it has the lock.

    lighter: how many attempts were made by themselves because memory ran out. short_of_memory: whether this attempt
    is one of them. memory: what was seen of the memory while the worker lived.
    """

    state: State
    attempt: int = 1
    queued: float = 0.0
    started: float | None = None
    ended: float | None = None
    progress: Progress | None = None
    failure: Failure | None = None
    result: dict[str, Any] = Field(default_factory=dict)
    pid: int | None = None
    pid_created: float | None = None
    lighter: int = 0
    short_of_memory: bool = False
    memory: Memory = Memory()

    def changed(self, **changes: Any) -> Status:
        return self.model_copy(update=changes)

    def ending(self, state: State, failure: Failure | None = None, **changes: Any) -> Status:
        return self.changed(state=state, failure=failure, ended=time.time(), **changes)

    def with_less_memory(self) -> Status | None:
        """The next attempt, queued where this one was; None after LIGHTER_ATTEMPTS of them."""
        if self.lighter == LIGHTER_ATTEMPTS:
            return None
        return Status(
            state=State.QUEUED,
            attempt=self.attempt + 1,
            queued=self.queued,
            progress=self.progress,
            lighter=self.lighter + 1,
            short_of_memory=True,
        )


@dataclass(frozen=True)
class JobFolder:
    """One job's folder. Reading raises RunProblem when it is gone, WorkspaceProblem when it is damaged."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def stop_requested(self) -> bool:
        return (self.path / "stop").exists()

    def request_stop(self) -> None:
        (self.path / "stop").touch()

    def clear_stop(self) -> None:
        (self.path / "stop").unlink(missing_ok=True)

    def signs_of_life(self) -> tuple[tuple[int, int], ...]:
        """What differs whenever the worker has told something: time and size of status.json and events.jsonl."""
        stats = [path.stat() for path in (self.path / "status.json", self.events) if path.exists()]
        return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)

    def identity(self) -> Identity:
        try:
            return Identity.model_validate(read_json(self.path / "job.json"))
        except (OSError, ValueError) as error:
            if not self.path.is_dir():
                raise unknown(self.id) from None
            log.warning("job.json of %s can't be read: %s", self.id, error)
            raise WorkspaceProblem(
                f"The run {self.id} is damaged.", "Its file job.json can't be read.", "You can only delete it."
            ) from error

    def spec(self) -> dict[str, Any]:
        try:
            return read_json(self.path / "spec.json")
        except (OSError, ValueError) as error:
            raise WorkspaceProblem(
                f"The run {self.id} is damaged.", "Its file spec.json can't be read.", "Start it anew."
            ) from error

    def status(self) -> Status:
        """Where it stands by its file alone; a damaged file reads as interrupted."""
        try:
            return Status.model_validate(read_json(self.path / "status.json"))
        except (FileNotFoundError, ValueError) as error:
            if not self.path.is_dir():
                raise unknown(self.id) from None
            log.warning("status.json of %s can't be read: %s", self.id, error)
            return Status(state=State.INTERRUPTED, failure=DAMAGED)
        except OSError as error:
            raise unreadable(error) from error

    def write_status(self, status: Status) -> None:
        """Only for who holds the lock. Raises OSError."""
        if status.state.is_terminal:
            (self.path / "reserve").unlink(missing_ok=True)
        write_json(self.path / "status.json", status.model_dump(mode="json"))

    def reserve(self) -> None:
        """Keep a little disk space for the last status. Raises OSError."""
        descriptor = os.open(self.path / "reserve", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            write_all(descriptor, bytes(_RESERVE_BYTES))
        finally:
            os.close(descriptor)

    def state(self, status: Status) -> State:
        """The state of `status`, seen together with the stop file."""
        return State.STOPPING if status.state.is_active and self.stop_requested else status.state

    def job(self) -> Job:
        identity, status = self.identity(), self.status()
        state = self.state(status)
        return Job.model_validate(
            {
                **identity.model_dump(),
                **status.model_dump(include=set(Job.model_fields)),
                "id": self.id,
                "state": state,
                "stop_requested": self.stop_requested and not state.is_terminal,
            }
        )

    def lock(self) -> FileLock:
        return FileLock(self.path / "trainer.lock")

    @contextmanager
    def claim(self, timeout: float = 0.0) -> Iterator[bool]:
        """Hold the lock for the block; gives False when a worker has it, still after `timeout` seconds."""
        lock = self.lock()
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def unknown(job_id: str) -> RunProblem:
    return RunProblem(f"There is no run with the id {job_id[:80]!r}.", "", "Look at the list of your models.")


def unreadable(error: Exception) -> WorkspaceProblem:
    return WorkspaceProblem(
        "The run's folder can't be read or written.", f"The system says: {error}.", "Check the disk, then try again."
    )


def find(workspace: Workspace, job_id: str) -> JobFolder:
    """The folder of a job. Raises RunProblem for an id that is not here, WorkspaceProblem for one that is none."""
    folder = JobFolder(workspace.run_folder(job_id))
    if not os.path.isdir(folder.path):  # unlike Path.is_dir, False for a name too long for the disk
        raise unknown(job_id)
    return folder


def folders(workspace: Workspace) -> list[JobFolder]:
    """All jobs' folders, damaged ones too, in no order."""
    with os.scandir(workspace.runs) as entries:
        return [
            JobFolder(Path(e.path)) for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)
        ]


@contextmanager
def staged(
    workspace: Workspace,
    job_id: str,
    identity: Identity,
    spec: dict[str, Any],
    prepare: Callable[[Path], None] | None,
) -> Iterator[Callable[[], JobFolder]]:
    """Write a queued job's folder out of sight; what the block gets makes it appear, in one step.

    An error in the block, or before it, takes the folder away again, seen or not. `prepare` gets the folder
    and fills its data/. Raises OSError, and what `prepare` raises.
    """
    staging, folder = workspace.runs / (NEW + job_id), workspace.run_folder(job_id)

    def publish() -> JobFolder:
        retry_while_in_use(lambda: os.replace(staging, folder))
        fsync(workspace.runs)
        return JobFolder(folder)

    try:
        (staging / "data").mkdir(parents=True)
        if prepare:
            prepare(staging)
        write_json(staging / "job.json", identity.model_dump(mode="json"))
        write_json(staging / "spec.json", spec)
        write_json(staging / "status.json", Status(state=State.QUEUED, queued=time.time()).model_dump(mode="json"))
        yield publish
    except BaseException:
        for path in (staging, folder):
            shutil.rmtree(path, ignore_errors=True)
        raise


def put_away(folder: JobFolder) -> Path:
    """Take a folder out of sight in one step; the path is then to be deleted. Raises OSError."""
    gone = folder.path.with_name(GONE + folder.id)
    retry_while_in_use(lambda: os.replace(folder.path, gone))
    return gone


def sweep(workspace: Workspace) -> None:
    """Delete what an interrupted submission (a day ago or more) or deletion left behind."""
    for path in workspace.runs.glob(".*"):
        with suppress(OSError):
            forgotten = path.name.startswith(NEW) and time.time() - path.stat().st_mtime > _DAY
            if forgotten or path.name.startswith(GONE):
                shutil.rmtree(path, ignore_errors=True)
