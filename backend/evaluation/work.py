"""The report of an evaluation, and its progress."""

from __future__ import annotations

from collections.abc import Callable

from backend.work import JobContext

REPORT = "evaluation.json"  # in the job's folder


class Stopped(Exception):
    """A stop was requested."""


def reporting(work: JobContext) -> Callable[[str, int, int], None]:
    """Reports phase, done and total to `work`. Raises Stopped once a stop is requested."""

    def progress(phase: str, done: int, total: int) -> None:
        if work.should_stop():
            raise Stopped
        work.progress(phase, done, total)

    return progress
