"""Atomic writes: after a crash, a full disk or a power cut a file holds its old content
or its new, never a mix.
"""

import gc
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from backend.files.listing import files_in

T = TypeVar("T")

PATIENCE = 30.0  # seconds; a virus scanner or a cloud folder reads each new file, of some GB too
UNFINISHED = ".unfinished-"  # begins the name of a folder that is being made
BINARY = getattr(os, "O_BINARY", 0)  # without it Windows would write "\r\n"


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path` with `text` (UTF-8). Raises OSError. See
    `write_bytes`.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the content of `path` with `data` in one step, flushed to the disk; only
    its owner can read it. Several threads and processes may do so at once: each writes
    its own temporary file, and the last one wins. Raises OSError.
    """
    temporary = path.with_name(
        f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp"
    )
    try:
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | BINARY, 0o600
        )
        try:
            write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        replace_file(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    fsync_names(path.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Call os.write until all of `data` is written; one call may write only part of it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def retry_while_in_use(action: Callable[[], T], seconds: float = 1.0) -> T:
    """Run `action`; on Windows, retry it for some seconds, with growing pauses, while a
    file is open or mapped.
    """
    end, pause = time.monotonic() + seconds, 0.02
    while True:
        try:
            return action()
        except PermissionError as error:
            if not hasattr(error, "winerror") or time.monotonic() + pause > end:
                raise
        if pause > 0.1:
            gc.collect()  # a model that nobody needs any more may still map the file
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def replace_file(source: Path, target: Path) -> None:
    """os.replace of a file or folder, retried on Windows while a program has a file
    open. Raises OSError.
    """
    retry_while_in_use(lambda: os.replace(source, target), PATIENCE)


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside `target`, which takes its place when the block succeeds
    and is deleted otherwise. Raises OSError; `target` then stays as it was, unless it
    could not be replaced.
    """
    unfinished = target.with_name(f"{UNFINISHED}{target.name}")
    delete_folder(unfinished)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        replace_folder(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def replace_folder(source: Path, target: Path) -> None:
    """Put a folder in the place of `target`, all of it flushed before it has that name:
    a power cut would else leave half a file in a folder that counts as whole. Raises
    OSError.
    """
    for path in (*files_in(source), source):
        fsync(path)
    delete_folder(target)
    replace_file(source, target)
    fsync_names(target.parent)


def delete_folder(folder: Path) -> None:
    """Delete a folder, if it exists, retried on Windows while a program has a file in
    it open. Raises OSError.
    """
    with suppress(FileNotFoundError):
        retry_while_in_use(lambda: shutil.rmtree(folder), PATIENCE)


def fsync_names(folder: Path) -> None:
    """Flush a folder's list of names after a rename. An error is ignored: others see
    the new name already, so the change has happened; only a power cut might undo it.
    """
    with suppress(OSError):
        fsync(folder)


def fsync(path: Path) -> None:
    """Flush a file's content, or a folder's list of names, to the disk. Windows has no
    such call for folders. Raises OSError.
    """
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
