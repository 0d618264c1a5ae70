"""Parses one document in a process of its own: `python -m
backend.datasets.documents.child KIND FILE LIMITS`.

Every line that it prints is a JSON object with one of

    progress    0 to 1
    unpacked    bytes of all parts of an Office document
    block       [line, text, level, bold, gap, rows]
    aside       [what it is, text], such as a comment
    sheets      [[name, the first rows], ...]; the numbers of the sheets to read are then expected on one line
    rows        [sheet, [[row, cells], ...]]
    error       [what, why, next]
    end         true
"""

import html
import json
import queue
import re
import sys
import zipfile
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from backend.child_process import limit_memory, receive
from backend.datasets.documents.archive import check_document, damaged, rewritten
from backend.datasets.documents.blocks import Document
from backend.datasets.documents.markup import read_html
from backend.datasets.documents.odf import odt_html
from backend.datasets.documents.workbook import HIDDEN, Sheets
from backend.errors import BadInput
from backend.records.reading import Limits, check_expansion
from backend.records.units import GIB

OUTLINE = 200  # rows of each sheet that are sent before one is chosen
_BATCH = 200
_ASIDE = re.compile(
    r"(?:word|xl)/(?:(?:threadedC|c)omments/?\w*|(header|footer)\d*)\.xml|content\.xml"
)
_COMMENT = re.compile(
    r"<(?:w:|x:)?((?:threadedC|c)omment)\b.*?</(?:w:|x:)?\1>|<(office:annotation|text:note)\b.*?</\2>",
    re.DOTALL,
)
_MATH = re.compile(r"<(/?)m:(\w+)[^<>]*?(/?)>")
_ONE_CHOICE = re.compile(
    r"(?s)<mc:AlternateContent>\s*<mc:Choice[^<>]*>((?:(?!</?mc:).)*)</mc:\w+>\s*</mc:\w+>"
)
_FRAME = re.compile(r"</?(?:wp[cgs]?|a|pic):[^<>]*>")
_SIGNS = {"sup": "^", "sub": "_", "den": "/", "d": "(", "/d": ")"}


def _send(name: str, value: Any) -> None:
    print(json.dumps({name: value}), flush=True)


def _document(kind: str, path: Path) -> None:
    if kind == "pdf":
        from backend.datasets.documents.pdf import read_pdf

        document = read_pdf(path, lambda fraction: _send("progress", fraction))
    else:
        document = numbered(
            read_html(docx_html(path) if kind == "docx" else odt_html(path))
        )
        document.asides += comments(path)
    for block in document.blocks:
        _send(
            "block",
            [block.line, block.text, block.level, block.bold, block.gap, block.rows],
        )
    for aside in document.asides:
        _send("aside", aside)


def _sheets(path: Path, limits: Limits, received: queue.Queue[bytes]) -> None:
    sheets = Sheets(path, limits.columns)
    for aside in comments(path):
        _send("aside", aside)
    shown = {
        name: (row for row in sheets.rows(name) if row[1][0] != HIDDEN)
        for name in sheets.names
    }
    _send(
        "sheets", [[name, list(islice(shown[name], OUTLINE))] for name in sheets.names]
    )
    for number in json.loads(received.get()):
        rows = sheets.rows(sheets.names[number])
        while batch := list(islice(rows, _BATCH)):
            _send("rows", [number, batch])


def main(kind: str, path: Path, limits: Limits) -> None:
    """Parses the document and prints what is in it."""
    received: queue.Queue[bytes] = queue.Queue()
    receive(received.put)
    limit_memory(
        limits.parser_bytes + GIB
    )  # of addresses, which are more than what is used
    try:
        if kind != "pdf":
            unpacked = check_document(
                path, lambda unpacked, packed: check_expansion(unpacked, packed, limits)
            )
            _send("unpacked", unpacked)
        if kind in ("xlsx", "ods"):
            _sheets(path, limits, received)
        else:
            _document(kind, path)
    except Exception as error:  # these libraries let any error of their parsers through
        refused = error if isinstance(error, BadInput) else damaged()
        _send("error", [refused.what, refused.why, refused.next])
    _send("end", True)


def docx_html(path: Path) -> str:
    """A Word document as HTML."""
    import mammoth

    without_images = mammoth.images.img_element(lambda image: {})
    copy = rewritten(path, _as_mammoth_reads)
    return str(mammoth.convert_to_html(copy, convert_image=without_images).value)


def _as_mammoth_reads(name: str, content: bytes) -> bytes:
    """A part of a Word document with equations and boxes as mammoth reads them."""
    if name != "word/document.xml" or not (
        b"<m:oMath" in content or b"<wps:txbx" in content
    ):
        return content if name.endswith((".xml", ".rels")) else b""
    text = _ONE_CHOICE.sub(r"\1", content.decode("utf-8", "replace"))
    text = _FRAME.sub("", _MATH.sub(_as_run, text))
    return text.replace("w:drawing>", "w:pict>").encode()


def _as_run(tag: re.Match[str]) -> str:
    """A tag of an equation as one of a run of text, which mammoth reads; a sign for
    what is above or below.
    """
    end, name, empty = tag.groups()
    if name in ("r", "t"):
        return f"<{end}w:{name}{empty}>"
    return (
        f"<w:r><w:t>{sign}</w:t></w:r>"
        if not empty and (sign := _SIGNS.get(end + name))
        else ""
    )


def comments(path: Path) -> list[tuple[str, str]]:
    """The comments, headers and footers of an Office document, each with what it is."""
    asides = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if part := _ASIDE.fullmatch(name):
                text = archive.read(name).decode("utf-8", "replace")
                inside = (
                    [text]
                    if part[1]
                    else [comment[0] for comment in _COMMENT.finditer(text)]
                )
                texts = [
                    " ".join(html.unescape(re.sub(r"<[^>]*>", " ", marked)).split())
                    for marked in inside
                ]
                asides += [(part[1] or "comment", text) for text in texts if text]
    return asides


def numbered(document: Document) -> Document:
    """The document with each block's paragraph number as its line; a table's rows count
    as paragraphs.
    """
    blocks, line = [], 1
    for block in document.blocks:
        rows = (
            [(line + n, cells) for n, (_, cells) in enumerate(block.rows)]
            if block.rows
            else None
        )
        blocks.append(replace(block, line=line, rows=rows))
        line += len(rows) if rows else 1
    return Document(blocks, document.asides)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Limits(**json.loads(sys.argv[3])))
