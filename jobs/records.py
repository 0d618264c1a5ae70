"""The records that the runner returns: a job, its state, progress, failure and events."""

from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import Field, ValidationError

from backend.records.base import StoredRecord
from backend.records.events import LoggedEvent

R = TypeVar("R", bound=StoredRecord)
Seconds = Annotated[
    float, Field(ge=0, le=1e11, allow_inf_nan=False)
]  # since 1970; any date that can be shown


class State(StrEnum):
    """The state of a job. queued, starting, running, then completed or failed;
    stopping, then stopped, after a request; interrupted if its process died. Stopped,
    failed and interrupted jobs can be resumed: they are queued again as a new attempt.
    """

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_active(self) -> bool:
        """A process works on it, or should."""
        return self in (State.STARTING, State.RUNNING, State.STOPPING)

    @property
    def is_terminal(self) -> bool:
        """It has ended, unless it is resumed."""
        return not self.is_active and self is not State.QUEUED

    @property
    def can_resume(self) -> bool:
        return self in (State.STOPPED, State.FAILED, State.INTERRUPTED)


class Progress(StoredRecord):
    """phase: in plain words. done, total: steps, MiB and the like; total is 0 if
    unknown. detail: more about it.
    """

    phase: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    detail: str = ""


class Failure(StoredRecord):
    """Why a job failed: what happened, why, and what to do next, in plain words. error:
    the class in `backend.errors`, "" if it was none.
    """

    what: str
    why: str = ""
    next: str = ""
    error: str = ""


class EventBatch(NamedTuple):
    """The result of `Runner.events`. position: pass it as `after` next time. reset:
    `events` starts from the beginning, so it replaces the events you have; otherwise
    append them.
    """

    events: list[LoggedEvent]
    position: int
    reset: bool


class Identity(StoredRecord):
    """What a job is: job.json. created: seconds since 1970."""

    kind: str
    name: str
    parent: str | None = None
    created: Seconds


class JobStatus(StoredRecord):
    """Where a job stands. Times in seconds since 1970; started and ended are those of
    the latest attempt. earlier: seconds that the attempts before it took together, None
    where that is unknown. queued: its place in the queue; the smallest starts first.
    """

    state: State
    attempt: int = 1
    queued: Seconds = 0.0
    started: Seconds | None = None
    ended: Seconds | None = None
    earlier: Seconds | None = None
    progress: Progress | None = None
    failure: Failure | None = None
    result: dict[str, Any] = Field(default_factory=dict)


class Job(Identity, JobStatus):
    """A job as the runner returns it."""

    id: str
    stop_requested: bool = False

    def result_as(self, record: type[R]) -> R | None:
        """What the job reported; an empty record before it has completed, None for a
        damaged or too old result.
        """
        with suppress(ValidationError):
            return record.model_validate(self.result)
        return None
