"""The readers of all formats, in the order in which they are asked whether a file, or
its records, are theirs.
"""

from collections.abc import Callable
from dataclasses import replace

from backend.datasets.read import columns, together
from backend.datasets.read.encoding import NotUtf8
from backend.datasets.read.file import File, OpenSource, Reader
from backend.datasets.read.formats import (
    anki,
    annotation_tools,
    chat_archive,
    chats,
    delimited,
    documents,
    intents,
    json,
    markup,
    notes,
    parquet,
    refused,
    text,
    workbook,
    yaml,
)
from backend.records.reading import ReadOptions, RowFault

READERS: tuple[Reader, ...] = (
    parquet.READER,
    *documents.READERS,  # PDF, Word, OpenDocument text
    *workbook.READERS,  # Excel, OpenDocument spreadsheet
    chat_archive.READER,  # before any other archive
    notes.ARCHIVE,
    together.READER,
    chats.MAILBOX,
    markup.FEED,  # before XML is refused
    notes.EVERNOTE,
    refused.READER,  # from here on, everything is text
    *markup.READERS,  # translations, LaTeX
    anki.READER,
    chats.WHATSAPP,
    chats.PASTED_MAIL,
    chats.TRANSCRIPT,
    delimited.DECLARED,
    text.WEB_PAGE,
    yaml.READER,
    json.LINKED,
    json.LINES,  # before a document, of which each line is a part
    json.DOCUMENT,
    delimited.TABLE,
    text.MARKDOWN,
    text.PLAIN,  # any text
)
# Asked afterwards, in turn, for a format that is known by its records in whatever file
# they stand. Each leaves records of another kind as they are, and the columns that the
# user chose under their names.
OF_RECORDS: tuple[Callable[[OpenSource, ReadOptions], None], ...] = (
    intents.read_intents,
    columns.rearrange,
    annotation_tools.read_annotations,
    chats.read_conversations,
)


def reader_of(file: File) -> Reader:
    """The reader whose format a file has."""
    return next(reader for reader in READERS if reader.matches(file))


def open_file(file: File) -> OpenSource:
    """Opens a file with the reader of its format. Raises BadInput when it is not a
    dataset, NotUtf8 when it is text in another encoding, ManyFiles for an archive.
    """
    reader = reader_of(file)
    try:
        opened = reader.open(file)
    except RowFault as fault:
        opened = OpenSource(iter([[(1, fault)]]))
    opened.format = opened.format or reader.format
    title = opened.details.title or reader.title
    opened.details = replace(
        opened.details, title=title, binary=reader.binary, packed=file.source.packed
    )
    faults = (value.kind for _, value in opened.sample() if isinstance(value, RowFault))
    if not file.encoding.settled and "bad_encoding" in faults:
        raise NotUtf8  # before the few rows in plain letters are judged
    for read in OF_RECORDS:
        read(opened, file.options)
    return opened
