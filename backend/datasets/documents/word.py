"""Reads Word documents through mammoth, which follows styles, lists, tracked changes and content controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backend.datasets.documents.blocks import Document
from backend.datasets.documents.markup import read_html
from backend.datasets.documents.odf import odt_html


def read_docx(path: Path) -> Document:
    """The paragraphs and tables of a Word document."""
    import mammoth

    without_images = mammoth.images.img_element(lambda image: {})
    with path.open("rb") as file:
        html = mammoth.convert_to_html(file, convert_image=without_images)
    return numbered(read_html(html.value))


def read_odt(path: Path) -> Document:
    """The paragraphs and tables of an OpenDocument text."""
    return numbered(read_html(odt_html(path)))


def numbered(document: Document) -> Document:
    """The document with each block's paragraph number as its line; a table's rows count as paragraphs."""
    blocks, line = [], 1
    for block in document.blocks:
        rows = [(line + n, cells) for n, (_, cells) in enumerate(block.rows)] if block.rows else None
        blocks.append(replace(block, line=line, rows=rows))
        line += len(rows) if rows else 1
    return Document(blocks)
