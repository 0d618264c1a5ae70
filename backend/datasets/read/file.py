"""A file as its readers see it, and what they make of it: a stream of records and what
to tell about them.
"""

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, TypeVar

from backend.datasets.chats.format import ChatFormat
from backend.datasets.convert.detect import Record
from backend.datasets.convert.nested import flat
from backend.datasets.documents.archive import damaged, document_kind, open_zip
from backend.datasets.documents.blocks import Document
from backend.datasets.read.encoding import (
    Encoding,
    NotUtf8,
    detect_encoding,
    initial_encoding,
    utf8_blocks,
)
from backend.datasets.read.source import ByteSource, line_blocks
from backend.errors import BadInput
from backend.records.reading import ZIP_ERRORS, ReadOptions, RowFault
from backend.records.rows import FileDetails, PassedOver, Proposal, columns_of
from backend.records.units import MIB, format_size
from backend.text.normalize import whole_letters

Made = TypeVar("Made")
Note = tuple[str, str, str]  # kind, message, fix
_SAMPLE = 200  # readable records, enough to detect the shape
_LARGEST_SAMPLE = 2_000  # records read to find them
_SORTED = 20_000  # records read where a column is the same in the first
_LONG = 1_000  # characters that count as one


class File:
    """A file to recognize and to read. source: its bytes. name: for display; its
    extension only decides unclear cases. encoding: of its text. options: what the user
    chose.
    """

    def __init__(
        self, source: ByteSource, name: str, encoding: Encoding, options: ReadOptions
    ) -> None:
        self.source = source
        self.name = name
        self.encoding = encoding
        self.options = options
        self.head = source.head  # the first 64 KiB, unpacked

    @cached_property
    def text(self) -> str:
        """The same as text, in which bytes that can't be read are U+FFFD."""
        return b"".join(utf8_blocks([self.head], self.encoding)).decode(
            "utf-8", "replace"
        )

    @cached_property
    def archive(self) -> zipfile.ZipFile | None:
        """The zip archive that the file is; closing `source` closes it. Raises BadInput
        for a damaged one.
        """
        try:
            return (
                open_zip(self.source.seekable())
                if self.head.startswith(b"PK\x03\x04")
                else None
            )
        except ZIP_ERRORS as error:
            raise damaged() from error

    @cached_property
    def office(self) -> str:
        """The kind of a zipped document, "xlsx", "ods", "docx" or "odt"; "" for any
        other file. Raises
        BadInput for a damaged one, and for other documents, such as a presentation.
        """
        try:
            return document_kind(self.archive) if self.archive else ""
        except ZIP_ERRORS as error:
            raise damaged() from error

    @property
    def detects(self) -> bool:
        """Whether the user left it open what the file is: chose neither a delimiter nor
        a shape.
        """
        return self.options.delimiter is None and self.options.shape is None

    def has_suffix(self, *suffixes: str, last: bool = False) -> bool:
        """Whether one of these follows a dot in the name: "csv" does in FAQ.csv,
        faq.csv.gz and faq.csv.txt. last: only where it ends the name, apart from a
        compression, as "txt" does in the last of these.
        """
        parts = [
            part
            for part in self.name.lower().split(".")[1:]
            if part not in ("gz", "bz2", "xz", "zst")
        ]
        return not {*suffixes}.isdisjoint(parts[-1:] if last else parts)

    def blocks(self) -> Iterator[bytes]:
        """The whole file in UTF-8, with \\n for the line ends of classic Mac OS."""
        blocks = utf8_blocks(self.source.blocks(), self.encoding)
        if "\r" in self.text and "\n" not in self.text:
            return (block.replace(b"\r", b"\n") for block in blocks)
        return blocks

    def lines(self) -> Iterator[list[bytes | None]]:
        """Lists of its lines in UTF-8; None stands for one over the limit."""
        return line_blocks(self.blocks(), self.options.limits.line_bytes)

    def whole_text(self) -> str:
        """The whole file as one text. Raises BadInput when it is too large, NotUtf8
        when its encoding is another one, and RowFault when it has bytes that its
        encoding doesn't.
        """
        most = 4 * self.options.limits.row_chars
        parts, size = [], 0
        for block in self.blocks():
            size += len(block)
            if size > most:
                raise BadInput(
                    "This text is too large for one document.",
                    f"The limit is {format_size(most / MIB)}.",
                    "Split it into several files, by chapter for example.",
                )
            parts.append(block)
        try:
            return whole_letters(b"".join(parts).decode("utf-8").replace("\r\n", "\n"))
        except UnicodeDecodeError as error:
            if not self.encoding.settled:
                raise NotUtf8 from error
            raise RowFault(
                "bad_encoding",
                "This document contains bytes that can't be read in its encoding.",
                "Save it again as UTF-8, or choose its encoding.",
            ) from error


def decoded(
    source: ByteSource, name: str, options: ReadOptions, read: Callable[[File], Made]
) -> Made:
    """What `read` makes of a file, in the encoding that its start shows or, if that
    raises NotUtf8, in another one.
    """
    try:
        return read(
            File(source, name, initial_encoding(source.head, options.encoding), options)
        )
    except NotUtf8:
        return read(File(source, name, detect_encoding(source), options))


@dataclass
class OpenSource:
    """A file that was opened. records: in batches, each a line number and a value.
    notes: (kind, message, fix) about the file. passed: what is in no record; complete
    once all are read, as late_notes are. chat: how to read the records as
    conversations, where the format says so. format: such as "csv", by default its
    reader's.
    """

    records: Iterator[list[Record]]
    details: FileDetails = field(default_factory=FileDetails)
    notes: list[Note] = field(default_factory=list)
    passed: list[PassedOver] = field(default_factory=list)
    late_notes: Callable[[], list[Note]] = list
    chat: ChatFormat | None = None
    format: str = ""
    guess: str = ""  # a sentence that the user confirms; "" where the form is no guess
    proposals: Sequence[Proposal] = ()  # ways to read the file, best first
    _sampled: tuple[Iterator[list[Record]] | None, list[Record]] = field(
        default=(None, []), init=False
    )

    def sample(self) -> list[Record]:
        """The first records, enough to detect their shape, and later ones that differ
        in a column that is the same in these, as where a table is sorted by it. They
        stay in `records`.
        """
        if self.records is self._sampled[0]:
            return self._sampled[1]
        batches: list[list[Record]] = []
        count = readable = 0
        for batch in self.records:
            batches.append(batch)
            count += len(batch)
            readable += sum(isinstance(value, dict) for _, value in batch)
            if count >= _LARGEST_SAMPLE or readable >= _SAMPLE:
                break
        sample = [record for batch in batches for record in batch]
        rows = [value for _, value in sample if isinstance(value, dict)]
        same = {
            name: cell
            for name, cell in (rows or [{}])[0].items()
            if all(row.get(name) == cell for row in rows)
        }
        for batch in self.records if same else ():
            batches.append(batch)
            count += max(len(batch), len(str(batch)) // _LONG)
            objects = [record for record in batch if isinstance(record[1], dict)]
            other = {
                n: r
                for n, cell in same.items()
                for r in objects
                if r[1].get(n) not in (cell, None, "")
            }
            sample += other.values()
            same = {name: cell for name, cell in same.items() if name not in other}
            if not same or count >= _SORTED:
                break
        self.records = chain(batches, self.records)
        self._sampled = self.records, sample
        return sample

    def is_chosen(self, options: ReadOptions) -> bool:
        """Whether the user chose how to read the records as they are: their shape, or
        columns that they have.
        """
        record = next(
            (value for _, value in self.sample() if isinstance(value, dict)), {}
        )
        columns = {*columns_of(options.mapping or {})}
        return bool(options.shape or columns) and columns <= {*record, *flat(record)}


def each_object(
    batches: Iterator[list[Record]],
    parts: Callable[[int, dict[str, Any]], Iterable[Any]],
) -> Iterator[list[Record]]:
    """The records, where every object, by its line, becomes any number of values;
    faults stay as they are.
    """
    return (
        [
            (n, part)
            for n, value in batch
            for part in (parts(n, value) if isinstance(value, dict) else [value])
        ]
        for batch in batches
    )


@dataclass(frozen=True)
class Reader:
    """The reader of one format. format: its short name, as in `Source.format`. title:
    what such a file is, in words: "a table (CSV)". matches: whether a file has the
    format, by its first bytes; its name only decides unclear cases. open: starts to
    read it; raises BadInput when it is not a dataset, and RowFault when the whole file
    is one text that can't be read. document: reads it as a text to make examples from;
    None where it is none. table: it is a spreadsheet, to be filled and written again.
    binary: it is not text, so there is no encoding to choose.
    """

    format: str
    title: str
    matches: Callable[[File], bool]
    open: Callable[[File], OpenSource]
    document: Callable[[File], Document] | None = None
    table: bool = False
    binary: bool = False
