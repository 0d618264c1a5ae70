"""Weights that can't be saved are told like any other file that can't: as OSError."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def disk_errors() -> Iterator[None]:
    """Around save_file and save_pretrained: raises OSError, with the system's number, for their SafetensorError.

    safetensors gives the number only in its text: "I/O error: No space left on device (os error 28)".
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        number = int(found.group(1)) if found else errno.EIO
        raise OSError(number, os.strerror(number), None, number) from error  # the last one counts on Windows only
