"""Reads the files in a zip archive together, as one dataset in which every row
remembers its file.
"""

import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath

from backend.datasets.chats.people import NobodyAnswers, propose
from backend.datasets.documents.archive import damaged, open_zip
from backend.datasets.read.file import File, OpenSource, Reader
from backend.datasets.read.source import BLOCK, ByteSource
from backend.errors import BadInput
from backend.files.listing import is_hidden
from backend.records.reading import ZIP_ERRORS, Limits, ReadOptions, check_expansion
from backend.records.rows import Dataset, FileDetails, Problem, Row
from backend.text.excerpt import excerpt

MOST_FILES = 200
_SHARED = {"rows_left_out": " The limit is for all files together."}

Load = Callable[[ByteSource, str, ReadOptions], Dataset]


def _less(limits: Limits, expanded: int = 0, data: Dataset | None = None) -> Limits:
    """The limits that remain after a file: they hold for an archive as a whole.
    expanded: bytes that it unpacks to.
    """
    limits = replace(limits, expanded_bytes=max(limits.expanded_bytes - expanded, 0))
    if data is None:
        return limits
    stored = sum(
        len(row.text or "") + sum(len(m["content"]) for m in row.messages)
        for row in data.rows
    )
    return replace(
        limits,
        rows=max(limits.rows - data.total_rows, 0),
        rows_before=limits.rows_before + data.total_rows,
        stored_bytes=max(limits.stored_bytes - stored, 0),
        problems=max(limits.problems - len(data.problems), 0),
    )


class ManyFiles(Exception):
    """The source is a zip archive of files."""


def _open(file: File) -> OpenSource:
    raise ManyFiles


READER = Reader(
    "zip",
    "an archive of files",
    lambda file: file.archive is not None,
    _open,
    binary=True,
)


def read_together(
    source: ByteSource, name: str, options: ReadOptions, load: Load
) -> Dataset:
    """The rows of all files in the archive, by name; files without examples are named.
    Raises BadInput when none can be read, for a mix of texts and conversations, or a
    damaged archive.
    """
    read: list[tuple[str, Dataset]] = []
    refused: list[tuple[str, BadInput]] = []
    try:
        with open_zip(source.seekable()) as archive:
            parts = _files(archive, source)
            left = _less(options.limits, sum(part.file_size for part in parts))
            for number, part in enumerate(parts):
                file = excerpt(part.filename, width=100)
                try:
                    with _member(archive, part, source, left) as member:
                        try:
                            data = _load(
                                load, member, PurePosixPath(part.filename).name, options
                            )
                        finally:
                            left = _less(left, member.expanded)
                    left = _less(left, data=data)
                    read.append((file, data))
                except ManyFiles:
                    refused.append(
                        (file, BadInput("It is an archive inside an archive."))
                    )
                except BadInput as error:
                    refused.append((file, error))
                source.advance((number + 1) / len(parts))
    except ZIP_ERRORS as error:
        raise damaged() from error
    if not any(data.rows for _, data in read):
        why = "; ".join(f"{file}: {error.what}" for file, error in refused[:3])
        raise BadInput(
            "No file in this archive holds examples.", why, "Choose another file."
        )
    texts = [file for file, data in read if data.rows and data.rows[0].text is not None]
    examples = [file for file, data in read if data.rows and data.rows[0].text is None]
    if texts and examples:
        raise BadInput(
            "This archive mixes texts and examples.",
            f"{texts[0]} is a text, {examples[0]} has questions with answers.",
            "Put only one kind into it.",
        )
    return _merged(name, read, refused)


def _load(load: Load, member: ByteSource, name: str, options: ReadOptions) -> Dataset:
    """One file, as the user chose where the choice fits it, else as detected: it may be
    meant for another file. Which rows are wanted holds for every file.
    """
    options = replace(options, limits=member.limits)
    detected = ReadOptions(
        only=options.only, rows=options.rows, task=options.task, limits=member.limits
    )
    if options == detected:
        return load(member, name, detected)
    try:
        return load(member, name, options)
    except NobodyAnswers as error:
        there = [person for person in error.people if person in options.imitate]
        if not there or len(there) == len(options.imitate):
            raise
        return load(member, name, replace(options, imitate=there))
    except BadInput:
        return load(member, name, detected)


def _files(archive: zipfile.ZipFile, source: ByteSource) -> list[zipfile.ZipInfo]:
    parts = [
        part
        for part in archive.infolist()
        if not part.is_dir() and not is_hidden(part.filename)
    ]
    if len(parts) > MOST_FILES:
        fewer = "Unpack it, and add only the files that hold your examples."
        raise BadInput(
            f"This archive has {len(parts):,} files.",
            f"The limit is {MOST_FILES}.",
            fewer,
        )
    check_expansion(
        sum(part.file_size for part in parts),
        sum(part.compress_size for part in parts),
        source.limits,
    )
    return sorted(parts, key=lambda part: part.filename)


@contextmanager
def _member(
    archive: zipfile.ZipFile, part: zipfile.ZipInfo, source: ByteSource, left: Limits
) -> Iterator[ByteSource]:
    """One file of the archive, unpacked to where it has no name. Raises BadInput when
    no row more may be read.
    """
    if not (left.rows and left.stored_bytes and left.problems):
        raise BadInput(
            "The files before it already reach the limit for one archive.",
            "",
            "Use a part of them.",
        )
    with tempfile.TemporaryFile() as file:
        with archive.open(part) as opened:
            while block := opened.read(BLOCK):
                file.write(block)
                source.check_cancelled()
        size = file.tell()
        if not size:
            raise BadInput("It is empty.")
        file.seek(0)
        with ByteSource(file, size, left, cancelled=source.is_cancelled) as member:
            yield member


def _merged(
    name: str, read: list[tuple[str, Dataset]], refused: list[tuple[str, BadInput]]
) -> Dataset:
    rows: list[Row] = []
    problems = [
        Problem(
            0,
            0,
            "file_left_out",
            "warning",
            f"{file} was not read: {error.what}",
            error.next,
            file=file,
        )
        for file, error in refused
    ]
    merged = Dataset(
        replace(read[0][1].source, name=name, format="zip"), rows, problems
    )
    for file, data in read:
        before = merged.total_rows
        rows += [replace(row, row=row.row + before, file=file) for row in data.rows]
        problems += [
            replace(p, row=p.row + before, file=file)
            if p.row
            else replace(
                p, message=f"{file}: {p.message}" + _SHARED.get(p.kind, ""), file=file
            )
            for p in data.problems
        ]
        merged.originals |= {
            row + before: value for row, value in data.originals.items()
        }
        merged.total_rows += data.total_rows
    ignored = tuple(
        dict.fromkeys(column for _, data in read for column in data.source.ignored)
    )
    passed = tuple(
        replace(part, file=file) for file, data in read for part in data.source.passed
    )
    details = [data.source.details for _, data in read]
    people = tuple(dict.fromkeys(name for each in details for name in each.people))
    imitate = tuple(dict.fromkeys(name for each in details for name in each.imitate))
    ways = {way.title: way for _, data in read for way in data.source.proposals}
    proposals = [*ways.values()]
    if imitate and proposals:
        proposals = propose(people, imitate)
    merged.source = replace(
        merged.source,
        ignored=ignored,
        passed=passed,
        details=FileDetails(READER.title, binary=True, people=people, imitate=imitate),
        proposals=tuple(proposals[:4]),
    )
    return merged
