"""The contents of status.json in a job's folder."""

from __future__ import annotations

import time
from typing import Any

from jobs.oom_detection import MemorySnapshot
from jobs.records import Failure, JobStatus, State

MAX_MEMORY_RETRIES = 3  # attempts that start by themselves after memory ran out


class Status(JobStatus):
    """status.json. pid, pid_created: the worker, once it holds the lock.
    memory_retries: attempts so far that started by themselves because memory ran out.
    short_of_memory: whether this attempt is one of them. memory: as the worker last saw
    it.
    """

    pid: int | None = None
    pid_created: float | None = None
    memory_retries: int = 0
    short_of_memory: bool = False
    memory: MemorySnapshot = MemorySnapshot()

    def changed(self, **changes: Any) -> Status:
        return self.model_copy(update=changes)

    def ended_as(
        self, state: State, failure: Failure | None = None, **changes: Any
    ) -> Status:
        """The status after this attempt has ended now."""
        return self.changed(state=state, failure=failure, ended=time.time(), **changes)

    def next_attempt(self, queued: float) -> Status:
        """The status of a resumed job, at this place in the queue."""
        earlier = 0.0 if self.attempt == 1 else self.earlier
        if self.state is State.INTERRUPTED:
            earlier = None  # nobody knows when its process ended
        elif earlier is not None and self.started:
            earlier += max(0.0, (self.ended or time.time()) - self.started)
        return Status(
            state=State.QUEUED,
            attempt=self.attempt + 1,
            queued=queued,
            progress=self.progress,
            earlier=earlier,
        )

    def retry_with_less_memory(self) -> Status | None:
        """The next attempt, at this one's place in the queue; None after
        MAX_MEMORY_RETRIES.
        """
        if self.memory_retries == MAX_MEMORY_RETRIES:
            return None
        retried = self.next_attempt(self.queued)
        return retried.changed(
            memory_retries=self.memory_retries + 1, short_of_memory=True
        )
