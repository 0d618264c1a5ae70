"""Opens zip archives of strangers, and checks the one that an Office document is before
any part of it is parsed.
"""

import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from xml.parsers import expat

from backend.errors import BadInput
from backend.records.reading import ZIP_ERRORS
from backend.records.units import KIB, MIB

_MOST_MEMBERS, _LONGEST_LIST = 100_000, 32 * MIB  # bytes
_MACROS = ("vbaproject.bin", "basic/script-lc.xml")
_PROLOG = 256 * KIB  # bytes before the first element, at most
_PARTS = (("xl/workbook.xml", "xlsx"), ("word/document.xml", "docx"))
_OPEN_DOCUMENTS = (("opendocument.spreadsheet", "ods"), ("opendocument.text", "odt"))
_OTHERS = (
    (lambda name: name.startswith("ppt/"), "a presentation"),
    (
        lambda name: name.endswith("data.pkl"),
        "a PyTorch file, which can run code and is never opened here",
    ),
    (lambda name: name == "META-INF/container.xml", "an e-book (EPUB)"),
    (lambda name: name == "content.xml", "an OpenDocument file"),
    (
        lambda name: name.endswith(".iwa"),
        "a document of Apple's Numbers, Pages or Keynote",
    ),
)


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """A zip file, which is closed with `file`. Raises BadInput for too many members and
    for a password, ZIP_ERRORS for a damaged file.
    """

    def read(size: int = -1) -> bytes:
        """At first, zipfile reads the whole list of members. Each takes ten times as
        much memory as its entry there, and the entries can come out of a small
        compressed file.
        """
        content = file.read(min(size, _LONGEST_LIST + 1))
        if len(content) > _LONGEST_LIST or content.count(b"PK\1\2") > _MOST_MEMBERS:
            raise BadInput(
                "This zip file has too many files.",
                f"The limit is {_MOST_MEMBERS:,}.",
                "Use fewer files.",
            )
        return content

    limited: Any = SimpleNamespace(
        seek=file.seek, tell=file.tell, seekable=file.seekable, read=read
    )
    archive = zipfile.ZipFile(limited)
    if any(member.flag_bits & 1 for member in archive.infolist()):
        raise BadInput(
            "This zip file is protected by a password.",
            "",
            "Unpack it, and pack it again without one.",
        )
    limited.read = file.read
    return archive


def damaged() -> BadInput:
    """The error of a document that can't be parsed."""
    what = "This file is damaged, or not of the type that its first bytes indicate."
    return BadInput(what, "", "Save or download it again.")


def document_kind(archive: zipfile.ZipFile) -> str:
    """The kind "xlsx", "docx", "ods", "odt", or "" for an archive of other files.
    Raises BadInput for a document of another kind.
    """
    names = set(archive.namelist())
    if kind := next((kind for part, kind in _PARTS if part in names), ""):
        return kind
    if "mimetype" in names and archive.getinfo("mimetype").file_size < KIB:
        mimetype = archive.read("mimetype").decode("ascii", "replace")
        for ending, kind in _OPEN_DOCUMENTS:
            if mimetype.startswith(f"application/vnd.oasis.{ending}"):
                return kind
    for fits, what in _OTHERS:
        if any(map(fits, names)):
            raise BadInput(
                f"This file is {what}.",
                "",
                "Save it as PDF, or its text as .docx, .xlsx or .csv, and upload that.",
            )
    return ""


def check_document(path: Path, check_size: Callable[[int, int], None]) -> int:
    """The bytes that a document unpacks to. check_size: raises BadInput for (unpacked,
    packed) sizes in bytes. Raises BadInput for one that is damaged, encrypted, has
    macros, unpacks to too much, or whose XML declares entities.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            names = [part.filename for part in parts]
            if any(name.lower().endswith(_MACROS) for name in names):
                raise BadInput(
                    "This document contains macros, which are programs.",
                    "Such files are never opened here.",
                    "Save it as .xlsx, .docx, .ods or .odt without macros, or as .csv or .txt.",
                )
            for part in parts:
                check_size(part.file_size, part.compress_size)
            unpacked = sum(part.file_size for part in parts)
            check_size(unpacked, path.stat().st_size)
            for name in names:
                if name.endswith((".xml", ".rels")):
                    with archive.open(name) as opened:
                        _check_prolog(opened.read(_PROLOG))
            if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read(
                "META-INF/manifest.xml"
            ):
                raise BadInput(
                    "This document is protected by a password.",
                    "",
                    "Save it without one.",
                )
            return unpacked
    except ZIP_ERRORS as error:
        raise damaged() from error


def rewritten(
    archive: Path | BytesIO, change: Callable[[str, bytes], bytes]
) -> BytesIO:
    """A copy of a zip file with the content of every file as `change` returns it for
    (name, content); `archive` itself if it is such a copy and nothing changes.
    """
    copy, changed = BytesIO(), isinstance(archive, Path)
    with zipfile.ZipFile(archive) as read, zipfile.ZipFile(copy, "w") as written:
        for name in read.namelist():
            content = read.read(name)
            by = change(name, content)
            changed |= by is not content and by != content
            written.writestr(name, by)
    copy.seek(0)
    return archive if isinstance(archive, BytesIO) and not changed else copy


class _Checked(Exception):
    """The first element was reached."""


def _check_prolog(start: bytes) -> None:
    """Raises BadInput when XML declares a document type, which only hostile documents
    do.
    """
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise BadInput(
            "This document was not written by an Office program.",
            "It declares entities, with which a small file could take all memory or read other files.",
            "Save it again with Excel, Word or LibreOffice.",
        )

    def done(*_: object) -> None:
        raise _Checked

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = done
    try:
        parser.Parse(start, False)
    except _Checked:
        return
    except expat.ExpatError as error:
        raise damaged() from error
    if len(start) == _PROLOG:
        refuse()
    if start.strip():
        raise damaged()
