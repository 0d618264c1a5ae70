"""Reads OpenDocument texts (ISO/IEC 26300), as LibreOffice writes them: as HTML, which
`markup` reads.
"""

import zipfile
from pathlib import Path
from xml.etree import ElementTree

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_FO = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
_NAMES = {
    "p": "p",
    "list": "ul",
    "list-item": "li",
    "table": "table",
    "table-row": "tr",
    "table-cell": "td",
    "line-break": "br",
    # What is read as an aside, or not at all.
    "annotation": "template",
    "forms": "template",
    "note": "template",
    "tracked-changes": "template",
}


def odt_html(path: Path) -> str:
    """An OpenDocument text as HTML."""
    with zipfile.ZipFile(path) as archive:
        parts = [
            ElementTree.fromstring(archive.read(part))  # noqa: S314 - without entities: see `archive.check_document`
            for part in ("styles.xml", "content.xml")
            if part in archive.namelist()
        ]
    body = parts[-1].find(f"{_OFFICE}body/{_OFFICE}text")
    if body is None:
        return ""
    weights: dict[str, str] = {}
    numbered: set[str] = set()
    for style in (style for part in parts for style in part.iter()):
        name = style.get(f"{_STYLE}name", "")
        if style.tag == f"{_STYLE}style":
            letters = style.find(f"{_STYLE}text-properties[@{_FO}font-weight]")
            parent = weights.get(style.get(f"{_STYLE}parent-style-name", ""), "")
            own = letters.get(f"{_FO}font-weight") if letters is not None else None
            weights[name] = own or parent
        elif style.find(f"{_TEXT}list-level-style-number") is not None:
            numbered.add(name)
    for element in body.iter():
        tag = element.tag.rpartition("}")[2]
        style_name = element.get(f"{_TEXT}style-name", "")
        if tag == "h":
            level = int(element.get(f"{_TEXT}outline-level", "1"))
            element.tag = f"h{min(max(level, 1), 6)}"
        else:
            is_numbered = tag == "list" and style_name in numbered
            element.tag = "ol" if is_numbered else _NAMES.get(tag, "span")
        if tag in ("s", "tab"):
            element.text = " "
        weight = weights.get(style_name) if tag in ("p", "span") else None
        element.attrib = {"style": f"font-weight:{weight}"} if weight else {}
    return ElementTree.tostring(body, "unicode", method="html")
