"""Unpacks files packed with gzip, bzip2, xz or Zstandard while they are read."""

import bz2
import gzip
import lzma
import zlib
from typing import BinaryIO

from backend.records.units import KIB, MIB

_MARKS = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"\x28\xb5\x2f\xfd", "Zstandard"))
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

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(_LeftOpen(file), mode="r"), "zstd")  # type: ignore[no-any-return]


class _LeftOpen:
    """A file that its reader does not close, as pyarrow would."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        """Does nothing."""


class _Xz:
    """An xz file, of one stream or several; unlike lzma.LZMAFile with a limit of memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stream = lzma.LZMADecompressor(memlimit=_DICTIONARY)

    def read(self, size: int, /) -> bytes:
        while True:
            if self._stream.eof:
                rest = (self._stream.unused_data or self._file.read(_CHUNK)).lstrip(b"\x00")
                if not rest:
                    return b""
                self._stream = lzma.LZMADecompressor(memlimit=_DICTIONARY)
            else:
                rest = self._file.read(_CHUNK) if self._stream.needs_input else b""
                if not rest and self._stream.needs_input:
                    raise EOFError
            if data := self._stream.decompress(rest, size):
                return data
