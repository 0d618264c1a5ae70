"""Disk errors while saving weights, raised as OSError like those of any other file."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def disk_errors() -> Iterator[None]:
    """Wrap save_file and save_pretrained: turns their SafetensorError into an OSError with the system's error number.

    safetensors gives the number only in its text: "I/O error: No space left on device (os error 28)".
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        number = int(found.group(1)) if found else errno.EIO
        raise OSError(number, os.strerror(number), None, number) from error  # the last is for Windows
