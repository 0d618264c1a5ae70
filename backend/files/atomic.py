"""Saving: a text in the place of another in one step; weights whose failures are told like those of other files."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.settings import sync


def replace_text(path: Path, text: str) -> None:
    """Puts `text` (UTF-8) in the place of `path`: a crash leaves the old content or the new. Raises OSError.

    Several processes and threads may do it at once: each writes a file of its own, and the last one's stays.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    new.write_text(text, "utf-8")
    sync(new)
    os.replace(new, path)


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
