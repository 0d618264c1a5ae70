"""Disk errors: in plain words, and raised as OSError even while weights are saved."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

FULL = {
    errno.ENOSPC,
    getattr(errno, "EDQUOT", errno.ENOSPC),
}  # no space left, or over a quota
# Windows' numbers. A folder with an open file in it is "denied".
_WRITE_PROTECTED, _DENIED, _IN_USE = 19, 5, (32, 33, 1224)


def disk_words(error: OSError) -> tuple[str, str]:
    """Why the system could not read or write, and what to do next; two full sentences."""
    if error.errno in FULL:
        return (
            "The disk is full.",
            "Free some disk space (Apprentice can delete runs and models), then try again.",
        )
    if (
        error.errno == errno.EROFS
        or getattr(error, "winerror", None) == _WRITE_PROTECTED
    ):
        return (
            "The disk is read-only.",
            "Make it writable, or choose another folder with --workspace DIR.",
        )
    if getattr(error, "winerror", None) in _IN_USE:
        return (
            "Another program is using it.",
            "Close other programs that use it, or wait a moment; then try again.",
        )
    if getattr(error, "winerror", None) == _DENIED:
        return (
            "Another program is using it, or this user may not write it.",
            "Close other programs that use it, or change its permissions; then try again.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            "This user may not read or write it.",
            "Change its permissions, then try again.",
        )
    if error.errno == errno.EIO:
        return (
            "The disk reported an error; it may be damaged.",
            "Check the disk, then try again.",
        )
    return (
        f"The system reports: {error.strerror or error}.",
        "Check the disk, then try again.",
    )


@contextmanager
def disk_errors() -> Iterator[None]:
    """Wrap save_file and save_pretrained: turns their SafetensorError into an OSError
    with the system's error number. safetensors gives the number only in its text: "I/O
    error: No space left on device (os error 28)".
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        match = re.search(r"os error (\d+)", str(error))
        number = int(match.group(1)) if match else errno.EIO
        raise OSError(
            number, os.strerror(number), None, number
        ) from error  # the last is for Windows
