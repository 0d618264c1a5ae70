"""Opens a text: detects its format by content and starts to read its records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice

from backend.datasets.chats.format import ChatFormat
from backend.datasets.chats.mail import MAIL
from backend.datasets.chats.pasted_mail import is_pasted_mail, pasted_mails
from backend.datasets.chats.transcript import TRANSCRIPT, is_transcript, outside, transcript_messages
from backend.datasets.chats.whatsapp import WHATSAPP, is_whatsapp, whatsapp_messages
from backend.datasets.convert.detect import Record
from backend.datasets.documents.markdown import read_markdown
from backend.datasets.documents.markup import read_html
from backend.datasets.read.anki import anki_file, anki_records
from backend.datasets.read.delimited import as_records, read_cells, split_header
from backend.datasets.read.documents import find_examples, holds_examples, is_markdown
from backend.datasets.read.encoding import Encoding, NotUtf8, utf8_blocks
from backend.datasets.read.formats import check_text, declared_delimiter, is_table, text_format
from backend.datasets.read.json_document import document, json_lines
from backend.datasets.read.leftovers import Passed, without_leftovers
from backend.datasets.read.opened import OpenSource, one_text, with_examples
from backend.datasets.read.source import ByteSource, line_blocks
from backend.datasets.read.split_texts import SplitTexts
from backend.datasets.read.values import with_columns, yaml_records
from backend.errors import BadInput
from backend.records.reading import Limits, ReadOptions, RowFault
from backend.records.units import MIB, format_size
from backend.text.excerpt import excerpt

_CHATS: list[tuple[Callable[[str], bool], Callable[[str], Iterator[list[Record]]], ChatFormat]] = [
    (is_whatsapp, whatsapp_messages, WHATSAPP),
    (is_pasted_mail, pasted_mails, MAIL),
    (is_transcript, transcript_messages, TRANSCRIPT),
]


def open_text(source: ByteSource, encoding: Encoding, name: str, options: ReadOptions) -> OpenSource:
    """Opens a source that is text. Raises BadInput when it is not a dataset, NotUtf8 when a document is not UTF-8."""
    limits = options.limits
    text = b"".join(utf8_blocks([source.head], encoding)).decode("utf-8", "replace")
    check_text(text)
    blocks = utf8_blocks(source.blocks(), encoding)

    def document_of(kind: str, read: Callable[[str], OpenSource]) -> OpenSource:
        """The whole source as one text; its fault if it can't be read."""
        whole = _whole_text(blocks, encoding, limits)
        return OpenSource(kind, iter([[(1, whole)]])) if isinstance(whole, RowFault) else read(whole)

    if (anki := anki_file(text)) is not None:
        lines = islice(chain.from_iterable(line_blocks(blocks, limits.line_bytes)), anki.lines, None)
        notes = anki_records(read_cells([list(lines)], anki.delimiter, limits), anki)
        return OpenSource("csv", notes, details={"delimiter": anki.delimiter, "found": "Anki notes"})
    if options.delimiter is None and options.shape is None:
        for is_chat, read, chat in _CHATS:
            if is_chat(text):
                return document_of("text", partial(_chat, read, chat))
    kind, delimiter = text_format(text, source.whole, name)
    if options.delimiter is not None:
        kind, delimiter = "csv", options.delimiter
    if "\r" in text and "\n" not in text and kind != "json":
        blocks = (block.replace(b"\r", b"\n") for block in blocks)  # line ends of classic Mac OS
    may_hold = kind == "text" or (kind == "csv" and options.delimiter is None and not is_table(text, delimiter))
    text_kind = "html" if kind == "html" else "markdown" if is_markdown(name) else "text"
    if kind == "html" or (may_hold and holds_examples(text, name)):
        return document_of(text_kind, partial(_examples, text_kind, options))
    if kind == "csv":
        return _table(blocks, text, delimiter, options)
    if kind == "jsonl":
        return OpenSource("jsonl", with_columns(json_lines(line_blocks(blocks, limits.line_bytes), limits)))
    if kind == "json":
        records, found = document(blocks, limits)
        return OpenSource("json", with_columns(records), details={"list": found} if found else {})
    if kind == "yaml":
        return document_of(kind, lambda whole: OpenSource("yaml", yaml_records(whole, limits)))
    return document_of(text_kind, partial(one_text, text_kind))


def _examples(kind: str, options: ReadOptions, text: str) -> OpenSource:
    document = read_html(text) if kind == "html" else read_markdown(text, headings=kind == "markdown")
    found = find_examples(document, options)
    if found is None and kind == "html" and options.shape != "text":
        raise BadInput(
            "No questions with answers were found in this web page.",
            "Its text is mixed with menus and notices that a model should not learn.",
            "Save the part that you need as text, or put questions and answers into a table.",
        )
    if found is None:
        return one_text(kind, document.text if kind == "html" else text)
    return with_examples(kind, found)


def _chat(read: Callable[[str], Iterator[list[Record]]], chat: ChatFormat, text: str) -> OpenSource:
    opened = OpenSource("text", read(text), chat=chat)
    if chat is TRANSCRIPT and (left := outside(text)):
        message = f"Text that belongs to no message was passed over: {excerpt(' '.join(left.split()), width=200)}"
        opened.notes.append(("text_passed_over", message, "Add it to a message if the model should learn it."))
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


def _whole_text(blocks: Iterable[bytes], encoding: Encoding, limits: Limits) -> str | RowFault:
    parts = []
    size = 0
    for block in blocks:
        size += len(block)
        if size > 4 * limits.row_chars:
            raise BadInput(
                "This text is too large for one document.",
                f"The limit is {format_size(4 * limits.row_chars / MIB)}.",
                "Split it into several files, by chapter for example.",
            )
        parts.append(block)
    try:
        return b"".join(parts).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        if not encoding.settled:
            raise NotUtf8 from error
        return RowFault(
            "bad_encoding",
            "This document contains bytes that can't be read in its encoding.",
            "Save it again as UTF-8, or choose its encoding.",
        )
