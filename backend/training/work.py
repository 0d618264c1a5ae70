"""The parts of a job's context that training uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from backend.records.events import Event


class Work(Protocol):
    """See `jobs.context.Context`."""

    folder: Path
    spec: dict[str, Any]
    attempt: int
    short_of_memory: bool

    def emit(self, event: Event) -> None: ...
    def progress(
        self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None, detail: str = ""
    ) -> None: ...
    def alive(self) -> None: ...
    def should_stop(self) -> bool: ...
    def fail(self, error: Exception) -> None: ...
