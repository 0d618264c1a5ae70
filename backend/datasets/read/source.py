"""The bytes of one source: measured, unpacked if they are gzip, hashed, and handed on in blocks.

Memory stays bounded whatever the file holds, progress is told with each block, and cancelling is noticed there.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from backend.datasets.options import KIB, MIB, Cancelled, Limits
from backend.errors import BadInput

BLOCK = 256 * KIB
HEAD = 64 * KIB  # looked at to tell what a file is
GZIP = b"\x1f\x8b"


class Feed:
    """One source of bytes, open until `close`.

    head: its first 64 KiB, unpacked; whole: whether that is all. packed: whether it is gzip. size: its bytes as
    they lie on disk.
    """

    def __init__(
        self,
        file: BinaryIO,
        size: int,
        limits: Limits,
        progress: Callable[[float], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.size, self.limits = size, limits
        self._file, self._progress, self._cancelled = file, progress, cancelled
        self._told = 0.0
        self._spool: BinaryIO | None = None
        self.packed = file.read(2) == GZIP
        self.head = next(self.blocks(HEAD), b"")
        self.whole = len(self.head) < HEAD

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._spool is not None:
            self._spool.close()

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The unpacked bytes from the beginning, at most `size` at a time.

        Raises Cancelled; BadInput when what gzip unpacks to is too much, or when the gzip file is damaged.
        """
        self._file.seek(0)
        source = gzip.GzipFile(fileobj=self._file) if self.packed else self._file
        taken = 0
        try:
            while block := source.read(size):
                taken += len(block)
                if self.packed:
                    check_expansion(taken, self._file.tell(), self.limits)
                self.advance(self._file.tell() / self.size)
                yield block
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadInput(
                "This gzip file is damaged.",
                "It ends too early or its content does not match its check sum.",
                "Make or download the file again, or unpack it yourself and bring what is inside.",
            ) from error

    def seekable(self) -> BinaryIO:
        """The unpacked bytes as a file that can be read at any place (for Excel and Parquet)."""
        if not self.packed:
            self._file.seek(0)
            return self._file
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the feed
        for block in self.blocks():
            self._spool.write(block)
        self._spool.seek(0)
        return self._spool

    def advance(self, fraction: float) -> None:
        """Tell how far we are (0 to 1, never backwards). Raises Cancelled when the person has cancelled."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled
        if self._progress is not None:
            self._told = max(self._told, min(fraction, 1.0))
            self._progress(self._told)


def check_expansion(expanded: int, packed: int, limits: Limits) -> None:
    """Raises BadInput when an archive unpacks to more than the limits allow. Sizes in bytes."""
    bomb = expanded > limits.ratio_from_bytes and expanded > limits.expansion_ratio * max(packed, 1)
    if bomb or expanded > limits.expanded_bytes:
        raise BadInput(
            "This file unpacks to far more than it may.",
            f"It holds more than {max(expanded // MIB, 1):,} MiB in {max(packed // MIB, 1):,} MiB.",
            "Unpack it yourself and bring the part that you need.",
        )


class Digest:
    """The SHA-256 of a file, computed beside the reading by a second thread."""

    def __init__(self, path: Path) -> None:
        self._path, self._stop = path, threading.Event()
        self._hash = hashlib.sha256()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        block = memoryview(bytearray(2 * MIB))
        with self._path.open("rb", buffering=0) as file:
            while not self._stop.is_set() and (count := file.readinto(block)):
                self._hash.update(block[:count])

    def result(self) -> str:
        """The digest in hexadecimal; waits until the file is read."""
        self._thread.join()
        return self._hash.hexdigest()

    def cancel(self) -> None:
        """Give up: the file is closed when this returns."""
        self._stop.set()
        self._thread.join()


def require_file(path: Path) -> None:
    """Raises BadInput when there is no file at `path`."""
    if path.is_dir():
        raise BadInput(f"{path.name} is a folder.", "Data is read from a file.", "Choose a file in it.")
    if not path.exists():
        raise BadInput(f"There is no file {path.name}.", "", "Check the name and the folder.")


def open_path(
    path: Path, limits: Limits, progress: Callable[[float], None] | None, cancelled: Callable[[], bool] | None
) -> Feed:
    """The feed of a file. Raises BadInput when it can't be read, is empty or is too large."""
    require_file(path)
    try:
        file = path.open("rb")
        size = path.stat().st_size
    except OSError as error:
        raise BadInput(
            f"The file {path.name} can't be read.",
            f"The system says: {error.strerror or error}.",
            "Check that you may read it and that no other program holds it, or copy it somewhere else.",
        ) from error
    if size > limits.file_bytes:
        file.close()
        raise BadInput(
            f"The file {path.name} is too large: {size // MIB:,} MiB.",
            f"At most {limits.file_bytes // MIB:,} MiB can be read, and good teaching needs far less: "
            "200 to 2,000 good examples are plenty.",
            "Take a part of it.",
        )
    return _feed(file, size, limits, progress, cancelled)


def open_text(
    text: str, limits: Limits, progress: Callable[[float], None] | None, cancelled: Callable[[], bool] | None
) -> tuple[Feed, str]:
    """The feed of a pasted text, and the SHA-256 of it in UTF-8. Raises BadInput when it is empty."""
    data = text.encode("utf-8", "surrogatepass")
    return _feed(io.BytesIO(data), len(data), limits, progress, cancelled), hashlib.sha256(data).hexdigest()


def _feed(
    file: BinaryIO,
    size: int,
    limits: Limits,
    progress: Callable[[float], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Feed:
    try:
        feed = Feed(file, size, limits, progress, cancelled)
        if feed.whole and not feed.head.strip():
            raise BadInput("There is nothing in it.", "", "Bring something else.")
    except BaseException:
        file.close()
        raise
    return feed


def line_blocks(blocks: Iterator[bytes], limit: int) -> Iterator[list[bytes | None]]:
    """The lines of `blocks`, split at \\n and nowhere else, without it. None stands for a line over `limit` bytes."""
    parts: list[bytes] = []  # of the line that is not complete yet; dropped once it is over the limit
    size = 0
    for block in blocks:
        *whole, last = block.split(b"\n")
        if whole:
            lines: list[bytes | None] = [*whole]
            if len(block) > limit:
                lines = [line if len(line) <= limit else None for line in whole]
            if size:
                size += len(whole[0])
                lines[0] = b"".join([*parts, whole[0]]) if size <= limit else None
            yield lines
            parts, size = [], 0
        size += len(last)
        parts.append(last)
        if size > limit:
            parts.clear()
    if size:
        yield [b"".join(parts) if size <= limit else None]
