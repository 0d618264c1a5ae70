"""Reads the bytes of a source in blocks: limits its size and unpacks them.

Memory stays bounded whatever the file contains. Each block reports progress and checks
for cancellation.
"""

import bz2
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from backend.errors import BadInput
from backend.records.reading import Cancelled, Limits, check_expansion
from backend.records.units import KIB, MIB, format_sizes

BLOCK = 256 * KIB
HEAD = 64 * KIB  # enough to detect the format


class ByteSource:
    """A source of bytes, open until `close`. head: the first 64 KiB, unpacked; whole:
    whether that is all. packed: how it is compressed, such as "gzip", or "". size:
    bytes on disk. expanded: bytes unpacked so far.
    """

    def __init__(
        self,
        file: BinaryIO,
        size: int,
        limits: Limits,
        progress: Callable[[float], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.size, self.limits, self.expanded = size, limits, 0
        self._file, self._progress, self._cancelled = file, progress, cancelled
        self._reported = 0.0
        self._spool: BinaryIO | None = None
        self.packed = packed_with(file.read(6))
        self.head = next(self.blocks(HEAD), b"")
        self.whole = len(self.head) < HEAD

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._spool is not None:
            self._spool.close()

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The unpacked bytes from the start, at most `size` at a time. Raises
        Cancelled; BadInput when a packed file is damaged or unpacks to too much.
        """
        self._file.seek(0)
        file = unpack(self._file, self.packed) if self.packed else self._file
        total = 0
        try:
            while block := file.read(size):
                total += len(block)
                if self.packed:
                    self.check_expansion(total, self._file.tell())
                self.advance(self._file.tell() / self.size)
                yield block
        except DAMAGED as error:
            if not self.packed or getattr(error, "errno", None):
                raise  # of the disk, not of the packing
            raise BadInput(
                f"This {self.packed} file is damaged.",
                "It ends too early, or its content does not match its checksum.",
                "Create or download the file again, or unpack it yourself and upload the content.",
            ) from error

    def seekable(self) -> BinaryIO:
        """The unpacked bytes as a seekable file (for Excel and Parquet)."""
        if not self.packed:
            self._file.seek(0)
            return self._file
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this source
        for block in self.blocks():
            self._spool.write(block)
        self._spool.seek(0)
        return self._spool

    def check_expansion(self, expanded: int, packed: int | None = None) -> None:
        """Raises BadInput when this unpacks to more than the limits allow. packed: by
        default its whole size.
        """
        self.expanded = max(self.expanded, expanded)
        check_expansion(expanded, self.size if packed is None else packed, self.limits)

    def is_cancelled(self) -> bool:
        """Whether the user has cancelled."""
        return self._cancelled is not None and self._cancelled()

    def check_cancelled(self) -> None:
        """Raises Cancelled when the user has cancelled."""
        if self.is_cancelled():
            raise Cancelled

    def advance(self, fraction: float) -> None:
        """Reports progress (0 to 1, never backwards). Raises Cancelled when the user
        has cancelled.
        """
        self.check_cancelled()
        if self._progress is not None:
            self._reported = max(self._reported, min(fraction, 1.0))
            self._progress(self._reported)


def require_file(path: Path) -> None:
    """Raises BadInput when `path` is not a file."""
    if path.is_dir():
        raise BadInput(f"{path.name} is a folder.", "", "Choose a file in it.")
    if not path.exists():
        raise BadInput(
            f"There is no file {path}.", "", "Check the name and the folder."
        )


def too_large(name: str, size: int, limits: Limits) -> BadInput:
    """The error of a file, or of several together, that has too many bytes."""
    has, most = format_sizes(size / MIB, limits.file_bytes / MIB)
    return BadInput(
        f"{name} is too large: {has}.",
        f"The limit is {most}, and training needs far less: 200 to 2,000 good examples are plenty.",
        "Use a part of it.",
    )


def open_path(
    path: Path,
    limits: Limits,
    progress: Callable[[float], None] | None,
    cancelled: Callable[[], bool] | None,
) -> ByteSource:
    """Opens a file. Raises BadInput when it can't be read, is empty or is too large."""
    require_file(path)
    try:
        file = path.open("rb")
        size = path.stat().st_size
    except OSError as error:
        raise BadInput(
            f"The file {path.name} can't be read.",
            f"The system reports: {error.strerror or error}.",
            "Check its permissions and that no other program is using it, or copy it somewhere else.",
        ) from error
    if size > limits.file_bytes:
        file.close()
        raise too_large(f"The file {path.name}", size, limits)
    try:
        source = ByteSource(file, size, limits, progress, cancelled)
        if source.whole and not source.head.strip():
            raise BadInput("This file is empty.", "", "Choose another one.")
    except BaseException:
        file.close()
        raise
    return source


def line_blocks(blocks: Iterator[bytes], limit: int) -> Iterator[list[bytes | None]]:
    """Lists of the lines of `blocks`, split only at \\n. None stands for a line over
    `limit` bytes.
    """
    parts: list[bytes] = []  # of the incomplete line; dropped once it is over the limit
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


_MARKS = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
)
_DICTIONARY = 256 * MIB  # memory that an xz file may demand
_CHUNK = 64 * KIB
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, OSError)  # raised for damaged files


def packed_with(head: bytes) -> str:
    """The compression that a file's first bytes indicate, "" for none."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), "")


def unpack(file: BinaryIO, packing: str) -> "gzip.GzipFile | bz2.BZ2File | _Xz":
    """The content of a file from its start. Reading raises one of DAMAGED."""
    if packing == "gzip":
        return gzip.GzipFile(fileobj=file)
    if packing == "bzip2":
        return bz2.BZ2File(file)
    if packing == "xz":
        return _Xz(file)
    import pyarrow

    inner = pyarrow.PythonFile(_LeftOpen(file), mode="r")
    return pyarrow.CompressedInputStream(inner, "zstd")  # type: ignore[no-any-return]


class _LeftOpen:
    """A file that its reader does not close, as pyarrow would."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        """Does nothing."""


class _Xz:
    """An xz file, of one stream or several; unlike lzma.LZMAFile with a limit of
    memory.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = lzma.LZMADecompressor(memlimit=_DICTIONARY)

    def read(self, size: int, /) -> bytes:
        while True:
            if self._stream.eof:
                rest = (self._stream.unused_data or self._file.read(_CHUNK)).lstrip(
                    b"\x00"
                )
                if not rest:
                    return b""
                self._stream = lzma.LZMADecompressor(memlimit=_DICTIONARY)
            else:
                rest = self._file.read(_CHUNK) if self._stream.needs_input else b""
                if not rest and self._stream.needs_input:
                    raise EOFError
            if data := self._stream.decompress(rest, size):
                return data
