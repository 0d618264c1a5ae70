"""How an attempt ends that could not do its work: failed, in plain words, or once more with less memory."""

from __future__ import annotations

import errno

from backend.errors import ApprenticeError, OutOfMemory
from jobs.records import Failure, State
from jobs.status import Status

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # no space, or none left of a quota


def ending_of(error: BaseException, status: Status, *, stop_requested: bool) -> Status:
    """The last status of the attempt that `error` ended, or the next attempt's where memory ran out and less of it
    may do. status: as it was last written."""
    again = isinstance(error, OutOfMemory) and not stop_requested
    return (status.retry_with_less_memory() if again else None) or status.ended_as(State.FAILED, failure_of(error))


def failure_of(error: BaseException) -> Failure:
    """An error in plain words; the technical detail is in the log."""
    if isinstance(error, ApprenticeError):
        return Failure(**error.to_dict())
    if isinstance(error, MemoryError):
        return Failure(
            what="There was not enough memory.",
            why="This work, with these settings, needs more than the machine has free.",
            next="Close other programs or choose a smaller model, then try again.",
            error=OutOfMemory.__name__,
        )
    if isinstance(error, OSError) and error.errno in _FULL:
        return Failure(
            what="The disk is full.",
            why="The run could not write to its folder.",
            next="Make room, then resume it: what was saved before is kept.",
        )
    if isinstance(error, OSError):
        return Failure(
            what="A file could not be read or written.",
            why=f"The system says: {error.strerror or error}.",
            next="Check the disk, then resume the run.",
        )
    if isinstance(error, ImportError):
        return Failure(
            what=f"A part that this needs can't be loaded: {error.name or 'unknown'}.",
            why="It is not installed, or its installation is damaged.",
            next="Run the start script again: it installs what is missing.",
        )
    return Failure(
        what="Something went wrong that was not foreseen.",
        why="The technical detail is in the file log.txt of this run.",
        next="Resume it; if it happens again, report it with that file.",
    )
