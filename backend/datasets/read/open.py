"""One source opened as what it is: its format told from its content, and its rows on their way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from backend.datasets.convert.detect import Record
from backend.datasets.convert.not_examples import likeness, must_be_a_document
from backend.datasets.options import MIB, Limits, ReadOptions, RowFault
from backend.datasets.read.delimited import as_rows, records, split_header
from backend.datasets.read.encoding import Encoding, NotUtf8, utf8_blocks
from backend.datasets.read.formats import binary_format, check_text, declared_delimiter, text_format
from backend.datasets.read.json_document import examples, held_list
from backend.datasets.read.source import Feed, line_blocks
from backend.errors import BadInput

Lines = list[bytes | None]  # None for a line over the limit


@dataclass
class Reading:
    """An opened source. rows: batches of records; for JSON Lines `lines` instead, so that they can be read fast.

    details: what was found beside the format, such as the delimiter. notes: (kind, message, fix) about the file.
    """

    format: str
    rows: Iterator[list[Record]] | None = None
    lines: Iterator[Lines] | None = None
    details: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str, str]] = field(default_factory=list)


def open_reading(feed: Feed, encoding: Encoding, name: str, options: ReadOptions) -> Reading:
    """The source as what it is. Raises BadInput when it is no data set, NotUtf8 when a document is not UTF-8."""
    binary = binary_format(feed.head)
    if binary == "parquet":
        from backend.datasets.read.spreadsheet import parquet_records

        reading = Reading("parquet", parquet_records(feed))
    elif binary == "zip":
        reading = _workbook(feed, options)
    else:
        reading = _text(feed, encoding, name, options)
    if feed.packed:
        reading.details["packed"] = "gzip"
    return reading


def _workbook(feed: Feed, options: ReadOptions) -> Reading:
    from backend.datasets.read.spreadsheet import Workbook

    book = Workbook(feed, options.sheet)
    header, found = split_header(iter(book.rows()))
    details = {"sheet": book.sheet, "sheets": "/".join(book.sheets)}  # no sheet's name can hold a "/"
    reading = Reading("xlsx", as_rows(found, header, pad=True), details=details)
    others = [sheet for sheet in book.sheets if sheet != book.sheet]
    if others and options.sheet is None:
        reading.notes.append(
            (
                "other_sheets",
                f"Only the sheet {book.sheet!r} was read; the file also has: {', '.join(others)[:200]}.",
                "Choose another sheet if the examples are there.",
            )
        )
    return reading


def _text(feed: Feed, encoding: Encoding, name: str, options: ReadOptions) -> Reading:
    limits = options.limits
    head = b"".join(utf8_blocks([feed.head], encoding))
    text = head.decode("utf-8", "replace")
    check_text(text)
    kind, delimiter = text_format(text, feed.whole, name)
    if options.delimiter is not None:
        kind, delimiter = "csv", options.delimiter
    blocks = utf8_blocks(feed.blocks(), encoding)
    if "\r" in text and "\n" not in text and kind != "json":
        blocks = (block.replace(b"\r", b"\n") for block in blocks)  # line ends of the old Macintosh
    if kind == "jsonl":
        return Reading("jsonl", lines=line_blocks(blocks, limits.line_bytes))
    if kind == "json":
        return _document(blocks, head, limits)
    if kind == "csv":
        return _table(blocks, text, delimiter, limits)
    markdown = name.lower().endswith((".md", ".markdown", ".md.gz"))
    return _plain(_whole_text(blocks, encoding, limits), "markdown" if markdown else "text")


def _plain(record: dict[str, str] | RowFault, kind: str) -> Reading:
    reading = Reading(kind, iter([[(1, record)]]))
    if isinstance(record, dict):
        must_be_a_document(record["text"])
        if name := likeness(record["text"]):
            reading.notes.append(
                (
                    "stray_text",
                    f"This looks like {name}. Is it meant to be learned? The model would learn to write such lines.",
                    "Choose another file if this one came here by mistake.",
                )
            )
    return reading


def _document(blocks: Iterator[bytes], head: bytes, limits: Limits) -> Reading:
    if head.lstrip().startswith(b"["):
        return Reading("json", examples(blocks, head.index(b"["), "", limits))
    held = held_list(head)
    if held is None:
        return Reading("json", examples(blocks, None, "", limits))
    return Reading("json", examples(blocks, held[0], held[1], limits), details={"list": held[1]})


def _table(blocks: Iterator[bytes], text: str, delimiter: str, limits: Limits) -> Reading:
    found = records(line_blocks(blocks, limits.line_bytes), delimiter, limits)
    if declared_delimiter(text):
        next(found)
    header, found = split_header(found)
    details = {"delimiter": delimiter} if header else {"delimiter": delimiter, "header": "none"}
    return Reading("csv" if delimiter != "\t" else "tsv", as_rows(found, header), details=details)


def _whole_text(blocks: Iterable[bytes], encoding: Encoding, limits: Limits) -> dict[str, str] | RowFault:
    parts = []
    size = 0
    for block in blocks:
        size += len(block)
        if size > 4 * limits.row_chars:
            raise BadInput(
                "This text is too large to be one document.",
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
            "This document holds bytes that are no letters in its encoding.",
            "Save it again as UTF-8, or name its encoding.",
        )
