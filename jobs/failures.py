"""How an attempt ends after an exception: failed, with a reason in plain words, or retried with less memory."""

from backend.errors import ApprenticeError, OutOfMemory, is_out_of_memory
from backend.files.disk_errors import FULL, disk_words
from jobs.records import Failure, State
from jobs.status import Status


def status_after_error(error: BaseException, status: Status, *, stop_requested: bool) -> Status:
    """The last status of the attempt that `error` ended, or the next attempt's if memory ran out and using less may
    help. status: as last written."""
    retry = isinstance(error, OutOfMemory) and not stop_requested
    return (status.retry_with_less_memory() if retry else None) or status.ended_as(State.FAILED, failure_of(error))


def failure_of(error: BaseException) -> Failure:
    """An error in plain words; the technical details are in the log."""
    if isinstance(error, ApprenticeError):
        return Failure(**error.to_dict())
    if is_out_of_memory(error):
        return Failure(
            what="There was not enough memory.",
            why="With these settings it needs more than is free on this computer.",
            next="Close other programs or choose a smaller model, then try again.",
            error=OutOfMemory.__name__,
        )
    if isinstance(error, OSError) and error.errno in FULL:
        return Failure(
            what="The disk is full.",
            why="The run could not write to its folder.",
            next="Free some disk space, then resume it: it continues from its last checkpoint.",
        )
    if isinstance(error, OSError):
        why, way_out = disk_words(error)[0], "Check the disk, then resume the run."
        return Failure(what="A file could not be read or written.", why=why, next=way_out)
    if isinstance(error, ImportError):
        return Failure(
            what=f"A required library can't be loaded: {error.name or 'unknown'}.",
            why="It is not installed, or its files are damaged.",
            next="Run the start script again: it installs what is missing.",
        )
    return Failure(
        what="Something unexpected went wrong.",
        why="The technical details are in the file log.txt of this run.",
        next="Resume it; if it happens again, report it with that file.",
    )
