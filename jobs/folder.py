"""A job's folder, the only record of the job.

WORKSPACE/runs/<id>/
    job.json       what it is: kind, name, parent, created; never changes
    spec.json      everything that defines the work; never changes
    data/          the work's input
    status.json    its state; written by the worker while it lives, by the runner otherwise
    events.jsonl   see jobs/events.py
    stop           exists once someone asked it to stop
    trainer.lock   held by the worker for its whole life; if it is free, there is no worker
    reserve        a little disk space, freed so that the last status fits on a full disk
    log.txt        the worker's messages
    ...            the work's output
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from backend.errors import ApprenticeError, RunProblem, WorkspaceProblem
from backend.files.atomic import write_all
from backend.files.disk_errors import disk_words
from backend.files.json_file import read_json, write_json
from backend.records.base import FileVersion, file_version, read_record
from jobs.records import Failure, Identity, Job, State
from jobs.status import Status

_RESERVE_BYTES = 64 * 1024

DAMAGED = Failure(
    what="The state of this run is unknown.",
    why="Its file status.json is damaged.",
    next="Resume it: it continues from its last checkpoint.",
)


@dataclass(frozen=True)
class JobFolder:
    """Reading raises RunProblem when the folder is gone, WorkspaceProblem when it is
    damaged.
    """

    path: Path

    id = cached_property[str](lambda self: self.path.name)
    events = cached_property[Path](lambda self: self.path / "events.jsonl")
    log = cached_property[Path](lambda self: self.path / "log.txt")
    stop = cached_property[Path](lambda self: self.path / "stop")

    @property
    def stop_requested(self) -> bool:
        return self.stop.exists()

    def activity(self) -> tuple[FileVersion | None, ...]:
        """Differs whenever the worker has written its status or an event."""
        return file_version(self.path / "status.json"), file_version(self.events)

    def identity(self) -> Identity:
        try:
            return read_record(Identity, self.path / "job.json")
        except (OSError, ValueError) as error:
            if not self.path.is_dir():
                raise no_such_run(self.id) from None
            raise WorkspaceProblem(
                f"The run {self.id} is damaged.",
                "Its file job.json can't be read.",
                "You can only delete it.",
            ) from error

    def spec(self) -> dict[str, Any]:
        try:
            return read_json(self.path / "spec.json")
        except (OSError, ValueError) as error:
            raise WorkspaceProblem(
                f"The run {self.id} is damaged.",
                "Its file spec.json can't be read.",
                "Start a new run.",
            ) from error

    def status(self) -> Status:
        """The job's status from status.json; a damaged file reads as interrupted."""
        try:
            return read_record(Status, self.path / "status.json")
        except (FileNotFoundError, ValueError):
            if not self.path.is_dir():
                raise no_such_run(self.id) from None
            return Status(state=State.INTERRUPTED, failure=DAMAGED)
        except OSError as error:
            raise unreadable(error) from error

    def write_status(self, status: Status) -> None:
        """Only the holder of the lock may call this. Raises OSError."""
        if status.state.is_terminal:
            (self.path / "reserve").unlink(missing_ok=True)
        write_json(self.path / "status.json", status.model_dump(mode="json"))

    def reserve_disk_space(self) -> None:
        """Occupy a little disk space for the last status. Raises OSError."""
        descriptor = os.open(
            self.path / "reserve", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
        )
        try:
            write_all(descriptor, bytes(_RESERVE_BYTES))
        finally:
            os.close(descriptor)

    def state(self, status: Status) -> State:
        """The state in `status`, or STOPPING if a stop was requested while the job is
        active.
        """
        return (
            State.STOPPING
            if status.state.is_active and self.stop_requested
            else status.state
        )

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
        """Hold the lock for the block; yields False if a worker still has it after
        `timeout` seconds.
        """
        free = False
        with ExitStack() as held:
            with suppress(Timeout):
                held.enter_context(self.lock().acquire(timeout=timeout))
                free = True
            yield free


def no_such_run(job_id: str) -> RunProblem:
    return RunProblem(
        f"There is no run with the id {job_id[:80]!r}.",
        "",
        "Choose one from the list of your runs.",
    )


def unreadable(error: OSError | ApprenticeError) -> WorkspaceProblem:
    if isinstance(error, WorkspaceProblem):
        return error
    why, what_next = (
        disk_words(error) if isinstance(error, OSError) else (str(error), "")
    )
    return WorkspaceProblem(
        "The run's folder can't be read or written.", why, what_next
    )
