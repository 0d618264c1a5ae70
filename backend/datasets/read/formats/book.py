"""Reads e-books (EPUB): their chapters, in order, as one text or as the examples in it."""

import posixpath
import re
from dataclasses import replace
from urllib.parse import unquote
from zipfile import ZipFile

from backend.datasets.documents.archive import damaged
from backend.datasets.documents.blocks import Document
from backend.datasets.documents.markup import read_html
from backend.datasets.read.examples import examples_or_text
from backend.datasets.read.file import File, Reader
from backend.errors import BadInput
from backend.records.reading import ZIP_ERRORS

_LIST = re.compile(r"<(?:\w+:)?(item|itemref)\b([^<>]*)>")
_ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*[\"']([^\"']*)[\"']")
_PAGES = (".xhtml", ".html", ".htm")


def _is_book(file: File) -> bool:
    return file.archive is not None and not file.office and "META-INF/container.xml" in file.archive.namelist()


def _chapters(archive: ZipFile) -> list[str]:
    """The pages of a book in the order in which they are read, by its list of contents (.opf)."""
    names = archive.namelist()
    package = next((name for name in names if name.endswith(".opf")), "")
    pages, order = dict[str, str](), list[str]()
    for kind, written in _LIST.findall(archive.read(package).decode("utf-8", "replace") if package else ""):
        has = dict(_ATTRIBUTE.findall(written))
        if kind == "item":
            path = posixpath.join(posixpath.dirname(package), unquote(has.get("href", "")))
            pages[has.get("id", "")] = posixpath.normpath(path)
        else:
            order.append(pages.get(has.get("idref", ""), ""))
    return [name for name in order if name in names] or [name for name in names if name.endswith(_PAGES)]


def _book(file: File) -> Document:
    archive, whole = file.archive, Document()
    assert archive is not None
    try:
        if "META-INF/rights.xml" in archive.namelist():
            raise BadInput("This e-book is protected against copying.", "", "Choose one without such a protection.")
        file.source.check_expansion(sum(info.file_size for info in archive.infolist()))
        chapters = _chapters(archive)
        for name in chapters:
            page = read_html(archive.read(name).decode("utf-8", "replace"))
            whole.blocks += [replace(block, gap=block.gap or at == 0) for at, block in enumerate(page.blocks)]
            whole.asides += page.asides
    except ZIP_ERRORS as error:
        raise damaged() from error
    others = [name for name in archive.namelist() if name.endswith(_PAGES) and name not in chapters]
    whole.asides += [("page outside the chapters", name) for name in others]
    return replace(whole, blocks=[replace(block, line=at) for at, block in enumerate(whole.blocks, 1)])


READER = Reader(
    "epub", "an e-book (EPUB)", _is_book, lambda file: examples_or_text(_book(file), file.options), _book, binary=True
)
