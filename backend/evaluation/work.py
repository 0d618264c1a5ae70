"""What the jobs of an evaluation need of their worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from backend.settings import Workspace

REPORT = "evaluation.json"  # in the job's folder


class Work(Protocol):
    """jobs.context.Context, as far as it is needed."""

    folder: Path
    workspace: Workspace
    spec: dict[str, Any]

    def progress(self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None) -> None: ...
    def should_stop(self) -> bool: ...


class Stopped(Exception):
    """A stop was requested."""


def reporting(work: Work) -> Callable[[str, int, int], None]:
    """Reports phase, done and total to `work`. Raises Stopped once a stop is requested."""

    def progress(phase: str, done: int, total: int) -> None:
        if work.should_stop():
            raise Stopped
        work.progress(phase, done, total)

    return progress
