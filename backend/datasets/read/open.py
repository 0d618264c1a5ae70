"""Opens a source: detects its format by content and starts to read its records."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

from backend.datasets.chats.mail import MAIL, is_mail, mail_messages
from backend.datasets.chats.pasted_mail import is_pasted_mail
from backend.datasets.documents.archive import damaged, document_kind
from backend.datasets.read.chat_archive import archive_records
from backend.datasets.read.documents import find_examples
from backend.datasets.read.encoding import Encoding
from backend.datasets.read.formats import binary_format
from backend.datasets.read.leftovers import Passed
from backend.datasets.read.opened import Note, OpenSource, one_text, with_examples
from backend.datasets.read.parse import Parser
from backend.datasets.read.source import ByteSource, line_blocks
from backend.datasets.read.spreadsheet import TOGETHER, choose, look_at, sheet_records
from backend.datasets.read.text import open_text
from backend.datasets.read.together import ManyFiles
from backend.errors import BadInput
from backend.records.reading import ZIP_ERRORS, ReadOptions


def open_source(source: ByteSource, encoding: Encoding, name: str, options: ReadOptions) -> OpenSource:
    """Opens the source. Raises BadInput when it is not a dataset, NotUtf8 when a document is not UTF-8,
    ManyFiles for an archive."""
    binary = binary_format(source.head)
    if binary == "parquet":
        from backend.datasets.read.parquet import parquet_records

        opened = OpenSource("parquet", parquet_records(source))
    elif binary == "pdf":
        opened = _document_file(source, "pdf", options)
    elif binary == "zip":
        opened = _office(source, options)
    elif options.delimiter is None and options.shape is None and is_mail(source.head) and not _pasted(source.head):
        opened = OpenSource("mail", mail_messages(_lines(source)), chat=MAIL)
    else:
        opened = open_text(source, encoding, name, options)
    if source.packed:
        opened.details["packed"] = source.packed
    return opened


def _pasted(head: bytes) -> bool:
    return is_pasted_mail(head.decode("utf-8", "replace"))


def _lines(source: ByteSource) -> Iterator[bytes]:
    for lines in line_blocks(source.blocks(), source.limits.line_bytes):
        yield from (line or b"" for line in lines)


def _office(source: ByteSource, options: ReadOptions) -> OpenSource:
    try:
        with zipfile.ZipFile(source.seekable()) as archive:
            kind = document_kind(archive)
        conversations = None if kind else archive_records(source)
    except ZIP_ERRORS as error:
        raise damaged() from error
    if conversations is not None:
        return OpenSource("zip", conversations[0], chat=conversations[1])
    if not kind:
        raise ManyFiles
    return _workbook(source, kind, options) if kind in ("xlsx", "ods") else _document_file(source, kind, options)


def _document_file(source: ByteSource, kind: str, options: ReadOptions) -> OpenSource:
    with Parser(source, kind) as parser:
        document = parser.document()
    found = find_examples(document, options)
    if found is None:
        return one_text(kind, document.text)
    return with_examples(kind, found)


def _workbook(source: ByteSource, kind: str, options: ReadOptions) -> OpenSource:
    parser = Parser(source, kind)
    try:
        outlines = parser.outlines()
        sheets = look_at(outlines)
        chosen = choose(sheets, options.sheet)
        if chosen[0].empty:
            raise BadInput("This file is empty.", "It has no rows.", "Choose another file.")
    except BaseException:
        parser.close()
        raise
    names = TOGETHER.join(sheet.name for sheet in chosen)
    details = {"sheet": names, "sheets": TOGETHER.join(sheet.name for sheet in sheets)}
    width = len(chosen[0].columns) or max(len(cells) for _, cells in outlines[chosen[0].number][1])
    passed = Passed()
    opened = OpenSource(kind, sheet_records(parser, chosen, width, passed), details=details)
    opened.late_notes = passed.notes
    others = [sheet for sheet in sheets if sheet not in chosen and sheet.likely]
    alike = [sheet.name for sheet in sheets if sheet.likely and sheet.columns and sheet.columns == chosen[0].columns]
    if len(alike) > 1:
        details["together"] = TOGETHER.join(alike)
    beside = [name for name in chosen[0].columns if name.endswith(" (2)")]
    if len(beside) > 1 and options.sheet is None:
        opened.notes.append(_side_by_side(beside))
    if others and options.sheet is None:
        opened.notes.append(_other_sheets(chosen[0].name, [sheet.name for sheet in others], len(alike) > 1))
    return opened


def _side_by_side(columns: list[str]) -> Note:
    listed = ", ".join(columns)[:200]
    message = f"There seem to be tables side by side; the second one was not read (columns {listed})."
    return "other_sheets", message, "Move it below the first one, or into a file of its own."


def _other_sheets(name: str, others: list[str], alike: bool) -> Note:
    more = ", or read those with the same columns together" if alike else ""
    return (
        "other_sheets",
        f"Only the sheet {name!r} was read; these may hold examples, too: {', '.join(others)[:200]}.",
        f"Choose another sheet{more}.",
    )
