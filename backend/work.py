"""The protocols through which the code of a job uses the runner, and the disk space it
needs.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from backend.errors import NotEnough, Stopped
from backend.records.events import Event
from backend.records.units import MIB, format_sizes
from backend.settings import Workspace

ELSEWHERE = "Free some disk space, or choose another folder with --workspace DIR."


class Work(Protocol):
    """The part of `jobs.context.Context` that training needs, in a dry run too."""

    folder: Path
    spec: dict[str, Any]
    short_of_memory: bool

    def emit(self, event: Event) -> None: ...
    def progress(
        self,
        phase: str,
        done: int = 0,
        total: int = 0,
        seconds_left: float | None = None,
        detail: str = "",
    ) -> None: ...
    def alive(self) -> None: ...
    def should_stop(self) -> bool: ...


class JobContext(Work, Protocol):
    """`jobs.context.Context`."""

    workspace: Workspace

    def reset_oom_count(self) -> None: ...


@dataclass(frozen=True)
class Report:
    """Reports how far a job is. Raises Stopped when the person stopped it."""

    context: JobContext

    def __call__(
        self,
        phase: str,
        done: int = 0,
        total: int = 0,
        seconds_left: float | None = None,
    ) -> None:
        self.poll()
        self.context.progress(phase, done, total, seconds_left)

    def poll(self) -> None:
        if self.context.should_stop():
            raise Stopped


def require_disk(
    folder: Path,
    needed: float,
    what: str = "",
    advice: str = "Free some disk space, then try again.",
) -> None:
    """Raises NotEnough if the disk of `folder` has less than `needed` bytes free.

    what: the purpose, such as "for this model", for the message"""
    if needed > (free := shutil.disk_usage(folder).free):
        needs, has = format_sizes(needed / MIB, free / MIB)
        lacking = " ".join(filter(None, ("There is not enough disk space", what)))
        raise NotEnough(f"{lacking}.", f"It needs {needs}, and {has} is free.", advice)
