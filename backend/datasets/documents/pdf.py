"""Reads the text of a PDF through PDFium, line by line, with the size and weight of its letters."""

import ctypes
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from backend.datasets.documents.blocks import Block, Document
from backend.errors import BadInput

_HEADING = 1.15  # times the usual size of letters
_PARAGRAPH = 1.35  # times the usual distance of lines
_REPEATED = 0.5  # share of the pages that have a header or footer
_BEGINS = re.compile(r"\(?\d{1,3}[.)]\s|[•–-]\s|\w{1,12}( ?\d+)?[:：]")  # a label, a number, an item of a list
_PASSWORD = 4  # FPDF_ERR_PASSWORD
_SIGNS = str.maketrans({"\x02": "-", "\ufffe": "-", "\x00": None, "\xa0": " "})


@dataclass(frozen=True)
class _Line:
    text: str
    page: int
    top: float  # points from the lower edge
    size: float  # of its first letter
    bold: bool


def read_pdf(path: Path, progress: Callable[[float], None]) -> Document:
    """The paragraphs of a PDF. Raises BadInput when it is protected, broken, or only holds pictures."""
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(path)
        lines: list[_Line] = []
        for number in range(len(pdf)):
            lines += _page_lines(pdf[number], number)
            progress((number + 1) / len(pdf))
        pages = len(pdf)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", 0) == _PASSWORD or "password" in str(error).lower():
            raise BadInput("This PDF is protected by a password.", "", "Save it without one.") from error
        raise BadInput("This PDF is broken.", "", "Save or download it again.") from error
    if not any(line.text.strip() for line in lines):
        raise BadInput(
            "This PDF holds pictures of pages, but no text.",
            "It was probably scanned.",
            "Let a program for text recognition (OCR) read it first.",
        )
    return Document(_paragraphs(_without_margins(lines, pages)))


def _page_lines(page: Any, number: int) -> list[_Line]:
    import pypdfium2.raw as pdfium

    text = page.get_textpage()
    count = text.count_chars()
    whole = text.get_text_range(0, count, errors="replace") if count > 0 else ""
    lines, at = [], 0
    for line in whole.splitlines(keepends=True):
        shown = line.strip()
        if shown:
            first = at + len(line) - len(line.lstrip())
            size = pdfium.FPDFText_GetFontSize(text, first)
            lines.append(_Line(shown.translate(_SIGNS), number, _top(text, first), size, _is_bold(text, first)))
        at += len(line)
    text.close()
    page.close()
    return lines


def _top(text: Any, index: int) -> float:
    import pypdfium2.raw as pdfium

    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text, index, x, y)
    return y.value


def _is_bold(text: Any, index: int) -> bool:
    import pypdfium2.raw as pdfium

    flags = ctypes.c_int()
    length = pdfium.FPDFText_GetFontInfo(text, index, None, 0, flags)
    name = ctypes.create_string_buffer(max(int(length), 1))
    pdfium.FPDFText_GetFontInfo(text, index, name, length, flags)
    return b"bold" in name.value.lower() or pdfium.FPDFText_GetFontWeight(text, index) >= 600


def _without_margins(lines: list[_Line], pages: int) -> list[_Line]:
    """The lines without headers, footers and page numbers, which stand at the edges of most pages."""
    if pages < 3:
        return lines
    edges = []
    for page in range(pages):
        on_page = [line for line in lines if line.page == page]
        edges += [(line.page, _mark(line)) for line in [*on_page[:2], *on_page[2:][-2:]]]
    often = {mark for mark, count in Counter(mark for _, mark in edges).items() if count > _REPEATED * pages}
    return [line for line in lines if _mark(line) not in often or (line.page, _mark(line)) not in edges]


def _mark(line: _Line) -> str:
    return re.sub(r"\d+", "#", line.text)


def _paragraphs(lines: list[_Line]) -> list[Block]:
    """Lines that follow closely and look the same become one paragraph."""
    usual = Counter(round(line.size, 1) for line in lines for _ in line.text).most_common(1)[0][0]
    pairs = list(pairwise(lines))
    distances = [a.top - b.top for a, b in pairs if a.page == b.page and 0 < a.top - b.top < 10 * usual]
    distance = median(distances) if distances else 0.0
    if distances:
        distance = min(distance, Counter(round(d, 1) for d in distances).most_common(1)[0][0] or distance)
    larger = sorted({round(line.size, 1) for line in lines if line.size > _HEADING * usual}, reverse=True)
    groups: list[list[_Line]] = []
    gaps: list[bool] = []
    for place, line in enumerate(lines):
        before = lines[place - 1] if place else None
        same = before is not None and before.bold == line.bold and abs(before.size - line.size) < 0.5
        near = before is not None and before.page == line.page and before.top - line.top < _PARAGRAPH * distance
        if same and (near or _continues(before, line)) and not _BEGINS.match(line.text):
            groups[-1].append(line)
        else:
            groups.append([line])
            gaps.append(not near)
    return [
        Block(
            number,
            _join(group),
            min(larger.index(round(group[0].size, 1)) + 1, 6) if round(group[0].size, 1) in larger else 0,
            group[0].bold,
            gap,
        )
        for number, (group, gap) in enumerate(zip(groups, gaps, strict=True), 1)
    ]


def _continues(before: _Line | None, line: _Line) -> bool:
    """Whether a paragraph goes on over the end of a page."""
    return before is not None and before.page != line.page and before.text[-1:].isalpha() and line.text[:1].islower()


def _join(group: list[_Line]) -> str:
    text = group[0].text
    for line in group[1:]:
        hyphen = re.search(r"[a-zà-ÿ]-$", text) and line.text[:1].islower()
        text = text[:-1] + line.text if hyphen else f"{text} {line.text}"
    return text
