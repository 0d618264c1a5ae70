"""Reads OpenDocument texts (ISO/IEC 26300), as LibreOffice writes them: as HTML, which
`markup` reads.
"""

import zipfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from xml.etree import ElementTree

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_FO = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_SKIPPED = {
    f"{_TEXT}tracked-changes",
    f"{_TEXT}note",
    f"{_OFFICE}annotation",
    f"{_OFFICE}forms",
}


def _parse(path: Path, part: str) -> ElementTree.Element:
    with zipfile.ZipFile(path) as archive, archive.open(part) as opened:
        return ElementTree.parse(opened).getroot()  # noqa: S314 - without entities: see `archive.check_document`


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
