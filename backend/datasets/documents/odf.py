"""Reads OpenDocument texts and spreadsheets (ISO/IEC 26300), as LibreOffice writes
them.

A text becomes HTML, which `markup` reads; a spreadsheet's cells are taken as they are
shown.
"""

import zipfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from backend.datasets.documents.workbook import FORMULA, HIDDEN

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_FO = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_SKIPPED = {
    f"{_TEXT}tracked-changes",
    f"{_TEXT}note",
    f"{_OFFICE}annotation",
    f"{_OFFICE}forms",
}
_BLANK_REPEATS = 100  # rows of the same content that are read


def _parse(path: Path, part: str) -> ElementTree.Element:
    with zipfile.ZipFile(path) as archive, archive.open(part) as opened:
        return ElementTree.parse(opened).getroot()  # noqa: S314 - without entities: see `archive.check_document`


class OdsSheets:
    """names: of the sheets. limit: columns read at most."""

    def __init__(self, path: Path, limit: int) -> None:
        self._limit = limit
        self._tables = {
            table.get(f"{_TABLE}name", f"Sheet {number}"): table
            for number, table in enumerate(
                _parse(path, "content.xml").iter(f"{_TABLE}table"), 1
            )
        }
        self.names = list(self._tables)

    def rows(self, name: str) -> Iterator[tuple[int, list[str]]]:
        """(row in the sheet, cells) of each row that is not blank, without blank cells
        at the end.
        """
        number = 0
        down: dict[
            int, tuple[int, str]
        ] = {}  # column: rows left of a merged cell, and its text
        for row in self._tables[name].iter(f"{_TABLE}table-row"):
            repeated = int(row.get(f"{_TABLE}number-rows-repeated", "1"))
            cells = self._cells(row, down)
            if cells and row.get(f"{_TABLE}visibility") in ("collapse", "filter"):
                cells = [HIDDEN, *cells]
            for n in range(min(repeated, _BLANK_REPEATS) if cells else 0):
                yield number + n + 1, cells
            number += repeated

    def _cells(
        self, row: ElementTree.Element, down: dict[int, tuple[int, str]]
    ) -> list[str]:
        cells: list[str] = []
        for cell in row:
            if cell.tag not in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
                continue
            text = "\n".join("".join(_plain(p)) for p in cell if p.tag == f"{_TEXT}p")
            if not text:
                values = (
                    cell.get(f"{_OFFICE}{name}")
                    for name in ("value", "date-value", "string-value")
                )
                no_result = cell.get(f"{_TABLE}formula") and not cell.get(
                    f"{_OFFICE}value-type"
                )
                text = next(filter(None, values), FORMULA if no_result else "")
            repeated = min(
                int(cell.get(f"{_TABLE}number-columns-repeated", "1")),
                self._limit - len(cells),
            )
            spanned = int(cell.get(f"{_TABLE}number-rows-spanned", "1"))
            if spanned > 1:
                down[len(cells)] = spanned, text
            for _ in range(repeated):
                left, above = down.get(len(cells), (0, ""))
                cells.append(text or (above if left else ""))
        for column, (left, text) in list(down.items()):
            down[column] = left - 1, text
            if left <= 1:
                del down[column]
        while cells and not cells[-1].strip():
            cells.pop()
        return cells


def _plain(element: ElementTree.Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag == f"{_TEXT}s":
            yield " " * min(int(child.get(f"{_TEXT}c", "1")), 1000)
        elif child.tag in (f"{_TEXT}line-break", f"{_TEXT}tab"):
            yield "\n" if child.tag.endswith("break") else "\t"
        elif child.tag not in _SKIPPED:
            yield from _plain(child)
        yield child.tail or ""


def odt_html(path: Path) -> str:
    """An OpenDocument text as HTML."""
    with zipfile.ZipFile(path) as archive:
        content, *styles = [
            _parse(path, part)
            for part in ("content.xml", "styles.xml")
            if part in archive.namelist()
        ]
    body = content.find(f"{_OFFICE}body/{_OFFICE}text")
    return "".join(_Writer([content, *styles]).html(body)) if body is not None else ""


class _Writer:
    """Writes elements as HTML. styles: the documents that define styles."""

    def __init__(self, styles: list[ElementTree.Element]) -> None:
        self._bold: dict[str, bool] = {}
        self._numbered: set[str] = set()
        self._parents: dict[str, str] = {}
        for root in styles:
            for style in root.iter(f"{_STYLE}style"):
                name = style.get(f"{_STYLE}name", "")
                self._parents[name] = style.get(f"{_STYLE}parent-style-name", "")
                weight = style.find(f"{_STYLE}text-properties[@{_FO}font-weight]")
                if weight is not None:
                    self._bold[name] = weight.get(f"{_FO}font-weight") == "bold"
            for style in root.iter(f"{_TEXT}list-style"):
                if style.find(f"{_TEXT}list-level-style-number") is not None:
                    self._numbered.add(style.get(f"{_STYLE}name", ""))

    def _is_bold(self, name: str) -> bool:
        for _ in range(20):
            if name in self._bold:
                return self._bold[name]
            name = self._parents.get(name, "")
        return False

    def html(self, element: ElementTree.Element) -> Iterator[str]:
        """The content of `element`."""
        yield escape(element.text or "")
        for child in element:
            if child.tag not in _SKIPPED:
                yield from self._element(child)
            yield escape(child.tail or "")

    def _element(self, element: ElementTree.Element) -> Iterator[str]:
        tag = element.tag.rpartition("}")[2]
        style = element.get(f"{_TEXT}style-name", "")
        bold = tag in ("p", "span") and self._is_bold(style)
        if tag == "h":
            name = f"h{min(max(int(element.get(f'{_TEXT}outline-level', '1')), 1), 6)}"
        elif tag == "list":
            name = "ol" if style in self._numbered else "ul"
        else:
            name = {
                "p": "p",
                "list-item": "li",
                "table": "table",
                "table-row": "tr",
                "table-cell": "td",
            }.get(tag, "")
        yield {"line-break": "<br>", "s": " ", "tab": " "}.get(tag, "")
        yield f"<{name}>" if name else ""
        yield "<b>" if bold else ""
        yield from self.html(element)
        yield "</b>" if bold else ""
        yield f"</{name}>" if name else ""
