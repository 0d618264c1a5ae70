"""Reads notes that have a title each: an archive of small files, as Notion and Keep
export them, or Evernote's file.
"""

import re
import zipfile
from collections.abc import Iterable
from html import unescape

from backend.datasets.chats import clean
from backend.datasets.documents.archive import damaged
from backend.datasets.documents.questions import asks
from backend.datasets.read.file import File, OpenSource, Reader
from backend.files.json_file import value_of
from backend.files.listing import is_hidden
from backend.records.reading import ZIP_ERRORS
from backend.records.rows import PassedOver
from backend.records.units import MIB
from backend.text.excerpt import excerpt

_SAMPLE = 8  # files
_PROPERTIES = re.compile(
    r"\A((?:[^\n:#]{1,40}: [^\n]*\n)+\n)"
)  # of a page in a table of Notion
_SURE = 0.8  # of the titles ask

_Page = tuple[str, str]  # title and text


def _page(file: File, info: zipfile.ZipInfo, passed: list[PassedOver]) -> _Page | None:
    """The title and the text of a file in an archive; None where it is no note. passed:
    receives its properties.
    """
    if not info.filename.endswith((".md", ".json")) or info.file_size > MIB:
        return None
    assert file.archive is not None
    text = (
        file.archive.read(info)
        .decode("utf-8-sig", "replace")
        .replace("\r\n", "\n")
        .lstrip()
    )
    if info.filename.endswith(".md"):
        title, _, rest = text.partition("\n")
        *above, rest = _PROPERTIES.split(rest.lstrip("\n"))
        passed += [
            PassedOver("properties of a page", excerpt(block.strip(), width=200))
            for block in above
            if block
        ]
        return (title[2:].strip(), rest) if title.startswith("# ") else None
    note = value_of(text)
    if not isinstance(note, dict) or not isinstance(note.get("title"), str):
        return None
    items = note["listContent"] if isinstance(note.get("listContent"), list) else []
    listed = "\n".join(
        f"- {item.get('text')}" for item in items if isinstance(item, dict)
    )
    text = note.get("textContent", listed)
    return (
        (note["title"], text)
        if text and isinstance(text, str) and not note.get("isTrashed")
        else None
    )


def _files(file: File) -> list[zipfile.ZipInfo]:
    infos = file.archive.infolist() if file.archive and not file.office else []
    return [
        info for info in infos if not info.is_dir() and not is_hidden(info.filename)
    ]


def _is_archive(file: File) -> bool:
    """Whether an archive holds notes: JSON, or Markdown whose titles ask, for others
    may hold several questions.
    """
    files = [info for info in _files(file) if info.filename.endswith((".md", ".json"))]
    try:
        pages = [_page(file, info, []) for info in files[:_SAMPLE]]
    except ZIP_ERRORS:
        return False
    titled = [
        page
        for page in pages
        if page and (asks(page[0]) or files[0].filename.endswith(".json"))
    ]
    return len(titled) > 1 and 2 * len(titled) > len(pages)


def _open_archive(file: File) -> OpenSource:
    files = _files(file)
    file.source.check_expansion(sum(info.file_size for info in files))
    passed: list[PassedOver] = []
    try:
        pages = {
            info.filename: page for info in files if (page := _page(file, info, passed))
        }
    except ZIP_ERRORS as error:
        raise damaged() from error
    opened = _opened(pages.values())
    opened.passed = passed
    if no_notes := [info.filename for info in files if info.filename not in pages]:
        listed = excerpt(", ".join(no_notes), width=300)
        opened.notes.append(
            ("file_left_out", f"Files that are no notes were not read: {listed}.", "")
        )
    return opened


def _opened(pages: Iterable[_Page]) -> OpenSource:
    """The notes as questions and answers where the titles ask, else with columns to
    choose from.
    """
    pages = [(title.strip(), text.strip()) for title, text in pages]
    sure = sum(asks(title) for title, _ in pages) >= _SURE * len(pages)
    names = ("question", "answer") if sure else ("title", "text")
    return OpenSource(
        iter(
            [
                [
                    (at, dict(zip(names, page, strict=True)))
                    for at, page in enumerate(pages, 1)
                ]
            ]
        )
    )


def _open_evernote(file: File) -> OpenSource:
    notes = file.whole_text().split("<note>")[1:]
    titles = (unescape(_between(note, "<title>", "</title>")) for note in notes)
    return _opened(
        zip(
            titles,
            (clean.html(_between(note, "<![CDATA[", "]]>")) for note in notes),
            strict=True,
        )
    )


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


EVERNOTE = Reader(
    "xml",
    "Evernote's notes",
    lambda file: "<en-export" in file.text[:1000],
    _open_evernote,
)
ARCHIVE = Reader("zip", "an archive of notes", _is_archive, _open_archive, binary=True)
