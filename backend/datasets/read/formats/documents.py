"""Reads PDF files, Word documents and OpenDocument texts, in a child process."""

from contextlib import closing
from functools import partial

from backend.datasets.documents.blocks import Document
from backend.datasets.read.examples import open_text
from backend.datasets.read.file import File, OpenSource, Reader
from backend.datasets.read.parse import Parser
from backend.records.rows import PassedOver


def matches(kind: str, file: File) -> bool:
    """Whether a file is a document of this kind."""
    return file.head.startswith(b"%PDF") if kind == "pdf" else file.office == kind


def _document(kind: str, file: File) -> Document:
    with closing(Parser(file.source, kind)) as parser:
        return parser.document()


def _open(kind: str, file: File) -> OpenSource:
    document = _document(kind, file)
    opened = open_text(document, document.text, file.options)
    opened.passed += [PassedOver(what, text) for what, text in document.asides]
    return opened


READERS = tuple(
    Reader(
        kind,
        title,
        partial(matches, kind),
        partial(_open, kind),
        partial(_document, kind),
        binary=True,
    )
    for kind, title in (
        ("pdf", "a PDF"),
        ("docx", "a Word document"),
        ("odt", "an OpenDocument text"),
    )
)
