"""The protocols through which the code of a job uses the runner."""

from pathlib import Path
from typing import Any, Protocol

from backend.records.events import Event
from backend.settings import Workspace


class Work(Protocol):
    """The part of `jobs.context.Context` that training needs, in a dry run too."""

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


class JobContext(Work, Protocol):
    """`jobs.context.Context`."""

    workspace: Workspace

    def reset_oom_count(self) -> None: ...
