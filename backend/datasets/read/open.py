"""Opens a source: detects its format by content and starts to read its records."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from backend.datasets.chats.format import ChatFormat
from backend.datasets.chats.mail import MAIL, is_mail, mail_messages
from backend.datasets.chats.pasted_mail import is_pasted_mail, pasted_mails
from backend.datasets.chats.transcript import TRANSCRIPT, is_transcript, outside, transcript_messages
from backend.datasets.chats.whatsapp import WHATSAPP, is_whatsapp, whatsapp_messages
from backend.datasets.convert.detect import Record
from backend.datasets.convert.not_examples import looks_like, require_document
from backend.datasets.documents.archive import damaged, document_kind
from backend.datasets.documents.markdown import read_markdown
from backend.datasets.documents.markup import read_html
from backend.datasets.excerpt import excerpt
from backend.datasets.options import ZIP_ERRORS, Limits, ReadOptions, RowFault
from backend.datasets.read.anki import anki_file, anki_records
from backend.datasets.read.chat_archive import archive_records
from backend.datasets.read.delimited import as_records, read_cells, split_header
from backend.datasets.read.documents import Examples, find_examples, holds_examples, is_markdown
from backend.datasets.read.encoding import Encoding, NotUtf8, utf8_blocks
from backend.datasets.read.formats import binary_format, check_text, declared_delimiter, is_table, text_format
from backend.datasets.read.json_document import document, json_lines
from backend.datasets.read.leftovers import Passed, without_leftovers
from backend.datasets.read.parse import Parser
from backend.datasets.read.source import ByteSource, line_blocks
from backend.datasets.read.split_texts import SplitTexts
from backend.datasets.read.spreadsheet import TOGETHER, choose, look_at, sheet_records
from backend.datasets.read.together import ManyFiles
from backend.datasets.read.values import with_columns, yaml_records
from backend.errors import BadInput
from backend.records.units import MIB

Note = tuple[str, str, str]  # kind, message, fix


@dataclass
class OpenSource:
    """An open source. records: in batches, each a line number and a value.

    details: of the format, such as the delimiter. notes: (kind, message, fix) about the file. late_notes: those that
    are known once all records are read. chat: how to read the records as conversations, where the format says so.
    """

    format: str
    records: Iterator[list[Record]]
    details: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    late_notes: Callable[[], list[Note]] = list
    chat: ChatFormat | None = None


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
        opened = _text(source, encoding, name, options)
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
        return _plain({"text": document.text}, kind)
    return _found(kind, found)


def _found(kind: str, found: Examples) -> OpenSource:
    opened = OpenSource(kind, found.records, details=found.details)
    if found.outside:
        outside = excerpt(" ".join(found.outside.split()), width=200)
        message = f"Text that belongs to no question was passed over: {outside}"
        opened.notes.append(("text_passed_over", message, "Give it a question if the model should learn it."))
    if found.closing:
        closing = excerpt(found.closing, width=120)
        message = f"The last answer ends with a line that may not belong to it: {closing}"
        opened.notes.append(("closing_line", message, "If it doesn't, remove it from the last example."))
    return opened


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


def _text(source: ByteSource, encoding: Encoding, name: str, options: ReadOptions) -> OpenSource:
    limits = options.limits
    head = b"".join(utf8_blocks([source.head], encoding))
    text = head.decode("utf-8", "replace")
    check_text(text)
    blocks = utf8_blocks(source.blocks(), encoding)
    if (anki := anki_file(text)) is not None:
        lines = islice(chain.from_iterable(line_blocks(blocks, limits.line_bytes)), anki.lines, None)
        notes = anki_records(read_cells([list(lines)], anki.delimiter, limits), anki)
        return OpenSource("csv", notes, details={"delimiter": anki.delimiter, "found": "Anki notes"})
    if options.delimiter is None and options.shape is None and is_whatsapp(text):
        return _chat(_whole_text(blocks, encoding, limits), whatsapp_messages, WHATSAPP)
    if options.delimiter is None and options.shape is None and is_pasted_mail(text):
        return _chat(_whole_text(blocks, encoding, limits), pasted_mails, MAIL)
    if options.delimiter is None and options.shape is None and is_transcript(text):
        record = _whole_text(blocks, encoding, limits)
        opened = _chat(record, transcript_messages, TRANSCRIPT)
        if isinstance(record, dict) and (left := outside(record["text"])):
            message = f"Text that belongs to no message was passed over: {excerpt(' '.join(left.split()), width=200)}"
            opened.notes.append(("text_passed_over", message, "Add it to a message if the model should learn it."))
        return opened
    kind, delimiter = text_format(text, source.whole, name)
    if options.delimiter is not None:
        kind, delimiter = "csv", options.delimiter
    if "\r" in text and "\n" not in text and kind != "json":
        blocks = (block.replace(b"\r", b"\n") for block in blocks)  # line ends of classic Mac OS
    may_hold = kind == "text" or (kind == "csv" and options.delimiter is None and not is_table(text, delimiter))
    if kind == "html" or (may_hold and holds_examples(text, name)):
        return _examples(_whole_text(blocks, encoding, limits), kind == "html", name, options)
    if kind == "yaml":
        whole = _whole_text(blocks, encoding, limits)
        records = iter([[(1, whole)]]) if isinstance(whole, RowFault) else yaml_records(whole["text"], limits)
        return OpenSource("yaml", records)
    if kind == "jsonl":
        return OpenSource("jsonl", with_columns(json_lines(line_blocks(blocks, limits.line_bytes), limits)))
    if kind == "json":
        records, found = document(blocks, limits)
        return OpenSource("json", with_columns(records), details={"list": found} if found else {})
    if kind == "csv":
        return _table(blocks, text, delimiter, options)
    return _plain(_whole_text(blocks, encoding, limits), "markdown" if is_markdown(name) else "text")


def _examples(record: dict[str, str] | RowFault, html: bool, name: str, options: ReadOptions) -> OpenSource:
    kind = "html" if html else "markdown" if is_markdown(name) else "text"
    if isinstance(record, RowFault):
        return OpenSource(kind, iter([[(1, record)]]))
    text = record["text"]
    document = read_html(text) if html else read_markdown(text, headings=is_markdown(name))
    found = find_examples(document, options)
    if found is None and html and options.shape != "text":
        raise BadInput(
            "No questions with answers were found in this web page.",
            "Its text is mixed with menus and notices that a model should not learn.",
            "Save the part that you need as text, or put questions and answers into a table.",
        )
    if found is None:
        return _plain({"text": document.text if html else text}, kind)
    return _found(kind, found)


def _chat(
    record: dict[str, str] | RowFault, read: Callable[[str], Iterator[list[Record]]], chat: ChatFormat
) -> OpenSource:
    if isinstance(record, RowFault):
        return OpenSource("text", iter([[(1, record)]]))
    return OpenSource("text", read(record["text"]), chat=chat)


def _plain(record: dict[str, str] | RowFault, kind: str) -> OpenSource:
    opened = OpenSource(kind, iter([[(1, record)]]))
    if isinstance(record, dict):
        require_document(record["text"])
        if name := looks_like(record["text"]):
            opened.notes.append(
                (
                    "not_prose",
                    f"This looks like {name}. The model would learn to write such lines.",
                    "Choose another file if you picked this one by mistake.",
                )
            )
    return opened


def _table(blocks: Iterator[bytes], text: str, delimiter: str, options: ReadOptions) -> OpenSource:
    limits = options.limits
    found = read_cells(line_blocks(blocks, limits.line_bytes), delimiter, limits)
    if declared_delimiter(text):
        next(found)
    header, found, _ = split_header(found)
    details = {"delimiter": delimiter} if header else {"delimiter": delimiter, "header": "none"}
    passed = Passed()
    split = SplitTexts(len(header or ()), delimiter, options.join_cells)
    rows = split.rows(without_leftovers(found, len(header), passed)) if header else found
    opened = OpenSource("csv" if delimiter != "\t" else "tsv", as_records(rows, header), details=details)
    opened.late_notes = lambda: [*passed.notes(), *split.notes()]
    return opened


def _whole_text(blocks: Iterable[bytes], encoding: Encoding, limits: Limits) -> dict[str, str] | RowFault:
    parts = []
    size = 0
    for block in blocks:
        size += len(block)
        if size > 4 * limits.row_chars:
            raise BadInput(
                "This text is too large for one document.",
                f"It has more than {size // MIB} MiB.",
                "Split it into several files, by chapter for example.",
            )
        parts.append(block)
    try:
        return {"text": b"".join(parts).decode("utf-8").replace("\r\n", "\n")}
    except UnicodeDecodeError as error:
        if not encoding.settled:
            raise NotUtf8 from error
        return RowFault(
            "bad_encoding",
            "This document contains bytes that can't be read in its encoding.",
            "Save it again as UTF-8, or choose its encoding.",
        )
