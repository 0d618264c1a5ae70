"""Reads the text of a PDF through PDFium, line by line, with the size and weight of its
letters.
"""

import ctypes
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, takewhile
from math import hypot
from pathlib import Path
from statistics import median, mode
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from backend.datasets.documents.blocks import Block, Document, Rows
from backend.errors import BadInput
from backend.text.normalize import QUESTION_MARKS

_HEADING = 1.15  # times the usual size of letters
_PARAGRAPH = 1.35  # times the usual distance of lines
_NEARBY = 20  # lines that show how long one can be
_ROOM = 2.0  # times the size of letters, at the end of a full line
_AT_EDGE = 3  # lines that show where those of a text end
_ENDS = (*".?!:…。！？؟।",)  # of sentences
_LONG = 60  # characters of a line that a small letter goes on with
_PAGED = re.compile(r"[ .·․…‥⋯]{4}\d+$")  # in a table of contents
_BEGINS = re.compile(
    r"[(（]?\d{1,3}(?:[.)]\s|[．）、])|[•–-]\s|\w{1,12}( ?\d+)?[:：]"
)  # number, item, label
_LEVEL = 2.0  # points by which lines on one level, and cells of one column, may differ
_ROWS = 3  # that a table has at least
_APART = 1.25  # times the smallest distance of lines, between rows
_RUNNING = 0.3  # share of the rows that may begin in mid-sentence
_PASSWORD = 4  # FPDF_ERR_PASSWORD
_SIGNS = str.maketrans({"\x02": "-", "\ufffe": "-", "\x00": None, "\xa0": " "})


@dataclass(frozen=True)
class _Line:
    text: str
    page: int
    top: float  # points from the lower edge
    size: float  # of its first letter
    bold: bool
    right: float  # points from the left edge
    parts: tuple[
        tuple[float, str], ...
    ] = ()  # what stands apart on it, and where each begins, in points
    rows: Rows | None = None  # of a table, in place of its lines


def read_pdf(path: Path, progress: Callable[[float], None]) -> Document:
    """The paragraphs of a PDF. Raises BadInput when it is protected, broken, or only
    holds pictures.
    """
    try:
        pdf = pypdfium2.PdfDocument(path)
        lines: list[_Line] = []
        for number in range(len(pdf)):
            lines += with_tables(_page_lines(pdf[number], number))
            progress((number + 1) / len(pdf))
    except pypdfium2.PdfiumError as error:
        if (
            getattr(error, "err_code", 0) == _PASSWORD
            or "password" in str(error).lower()
        ):
            raise BadInput(
                "This PDF is protected by a password.", "", "Save it without one."
            ) from error
        raise BadInput(
            "This PDF is broken.", "", "Save or download it again."
        ) from error
    if not any(line.text.strip() for line in lines):
        raise BadInput(
            "This PDF holds pictures of pages, but no text.",
            "It was probably scanned.",
            "Let a program for text recognition (OCR) read it first.",
        )
    return Document(_paragraphs(_without_margins(lines)))


def _page_lines(page: Any, number: int) -> list[_Line]:
    text = page.get_textpage()
    count = text.count_chars()
    whole = text.get_text_range(0, count, errors="replace") if count > 0 else ""
    lines, at = [], 0
    for line in whole.splitlines(keepends=True):
        if shown := line.strip():
            first = at + len(line) - len(line.lstrip())
            size = _size(text, first)
            parts = _parts(text, shown, first, size)
            top, right = _origin(text, first)[1], _right(text, first + len(shown) - 1)
            shown = shown.translate(_SIGNS)
            lines.append(
                _Line(shown, number, top, size, _is_bold(text, first), right, parts)
            )
        at += len(line)
    text.close()
    page.close()
    return lines


def _parts(
    text: Any, shown: str, first: int, size: float
) -> tuple[tuple[float, str], ...]:
    """The parts of a line between gaps that are wider than the size of its letters, as
    between two columns.
    """
    spaces = [
        at for at, sign in enumerate(shown) if sign == " " and 0 < at < len(shown) - 1
    ]
    wide = [
        at
        for at in spaces
        if _origin(text, first + at + 1)[0] - _right(text, first + at - 1) > size
    ]
    cut = zip([0, *(at + 1 for at in wide)], [*wide, len(shown)], strict=True)
    return tuple(
        (_origin(text, first + begin)[0], shown[begin:end].translate(_SIGNS).strip())
        for begin, end in cut
    )


def _right(text: Any, index: int) -> float:
    """The right edge of a letter."""
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    pdfium.FPDFText_GetCharBox(text, index, left, right, bottom, top)
    return right.value


_Part = tuple[
    float, float, str, _Line
]  # height, left edge, text, and the line that it is a part of


def with_tables(lines: list[_Line]) -> list[_Line]:
    """The lines of a page with one line in place of those of a table: what stands in
    columns, also where the columns were drawn one after the other. Columns of running
    text are none: most of their lines begin in mid-sentence.
    """
    levels = _levels(lines)
    beside = [level for level in levels if len(level) > 1]
    # The left edges at which enough parts begin, and enough of them beside another.
    starts = Counter(round(x) for level in levels for _, x, _, _ in level)
    shared = Counter(
        edge for level in beside for edge in {round(x) for _, x, _, _ in level}
    )
    columns = sorted(x for x, count in starts.items() if min(count, shared[x]) >= _ROWS)
    table = _table(levels, columns) if len(beside) >= _ROWS and len(columns) > 1 else []
    rows = _rows(table, columns) if len(table) >= _ROWS else []
    running = sum(row[0][:1].islower() or not row[0] for row in rows)
    if len(rows) < _ROWS or running > _RUNNING * len(rows):
        return lines
    members = {id(line) for level in table for *_, line in level}
    whole = replace(
        table[0][0][3],
        rows=[(0, row) for row in rows],
        text="\n".join(map(" | ".join, rows)),
    )
    place = min(at for at, line in enumerate(lines) if id(line) in members)
    return [
        *lines[:place],
        whole,
        *(line for line in lines[place:] if id(line) not in members),
    ]


def _levels(lines: list[_Line]) -> list[list[_Part]]:
    """The parts of all lines by their height on the page, from the top."""
    levels: list[list[_Part]] = []
    drawn = ((line.top, x, text, line) for line in lines for x, text in line.parts)
    for part in sorted(drawn, key=lambda part: -part[0]):
        if levels and levels[-1][0][0] - part[0] < _LEVEL:
            levels[-1].append(part)
        else:
            levels.append([part])
    return levels


def _table(levels: list[list[_Part]], columns: list[int]) -> list[list[_Part]]:
    """The levels from the first with parts beside each other in columns, as far as all
    parts stand in them.
    """

    def inside(level: list[_Part]) -> bool:
        return all(
            any(abs(x - column) < _LEVEL for column in columns) for _, x, _, _ in level
        )

    first = next(
        (at for at, level in enumerate(levels) if len(level) > 1 and inside(level)),
        len(levels),
    )
    table = list(takewhile(inside, levels[first:]))
    while len(table) > 1 and {round(x) for _, x, _, _ in table[-1]} <= {columns[0]}:
        table.pop()  # a paragraph below the table
    return table


def _rows(table: list[list[_Part]], columns: list[int]) -> list[list[str]]:
    """The cells of each row; a level much nearer to the one above than others are goes
    on with its row.
    """
    steps = [above[0][0] - below[0][0] for above, below in pairwise(table)]
    tight = min(steps) * _APART
    rows: list[list[str]] = []
    for level, step in zip(table, [tight, *steps], strict=True):
        if step >= tight or max(steps) < tight:
            rows.append([""] * len(columns))
        for _, x, text, _ in sorted(level, key=lambda part: part[1]):
            at = min(range(len(columns)), key=lambda column: abs(columns[column] - x))
            rows[-1][at] = f"{rows[-1][at]} {text}".strip()
    return rows


def _size(text: Any, index: int) -> float:
    """The size of a letter as it is drawn; many programs write letters of size 1 and
    enlarge them.
    """
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFText_GetMatrix(text, index, matrix)
    return float(
        pdfium.FPDFText_GetFontSize(text, index) * (hypot(matrix.c, matrix.d) or 1)
    )


def _origin(text: Any, index: int) -> tuple[float, float]:
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text, index, x, y)
    return x.value, y.value


def _is_bold(text: Any, index: int) -> bool:
    flags = ctypes.c_int()
    length = pdfium.FPDFText_GetFontInfo(text, index, None, 0, flags)
    name = ctypes.create_string_buffer(max(int(length), 1))
    pdfium.FPDFText_GetFontInfo(text, index, name, length, flags)
    return (
        b"bold" in name.value.lower()
        or pdfium.FPDFText_GetFontWeight(text, index) >= 600
    )


def _without_margins(lines: list[_Line]) -> list[_Line]:
    """The lines without headers, footers and page numbers, which stand at the edges of
    most pages.
    """
    pages = [list(on_page) for _, on_page in groupby(lines, key=lambda line: line.page)]
    if len(pages) < 3:
        return lines
    edges = {
        (line.page, _mark(line))
        for on_page in pages
        for line in [*on_page[:2], *on_page[2:][-2:]]
    }
    often = {
        mark
        for mark, count in Counter(mark for _, mark in edges).items()
        if 2 * count > len(pages)
    }
    return [
        line
        for line in lines
        if _mark(line) not in often or (line.page, _mark(line)) not in edges
    ]


def _mark(line: _Line) -> str:
    return re.sub(r"\d+", "#", line.text)


def _is_wrapped(lines: list[_Line], at: int) -> bool:
    """Whether a line goes on in the next one: in mid-sentence, beside it, or since the
    next word had no place, as lines nearby show that begin at the same edge. Lines of a
    list, a poem or an address are shorter.
    """
    line, below, left = lines[at], lines[at + 1], lines[at].parts[0][0]
    inside = (
        len(line.text) >= _LONG and line.text[-1].isalnum() and below.text[:1].islower()
    )
    beside = (
        abs(line.top - below.top) < _LEVEL or line.right < left
    )  # the latter is written from right to left
    nearby, room = lines[max(0, at - _NEARBY) : at + _NEARBY], _ROOM * line.size
    rights = sorted(
        other.right for other in nearby if abs(other.parts[0][0] - left) < _LEVEL
    )
    alike = [
        right for right in rights[:-1] if right > rights[-2] - room
    ]  # without one longer line, such as a footer
    edge = alike[-1] if len(alike) >= max(_AT_EDGE, len(rights) / 3) else rights[-1]
    word = (
        (below.right - below.parts[0][0])
        * len(below.text.split(" ", 1)[0])
        / max(len(below.text), 1)
    )
    going_on = sum(
        other.right > edge - room and not other.text.endswith(_ENDS) for other in nearby
    )
    answered = line.text.endswith(QUESTION_MARKS) and not below.text[:1].islower()
    full = edge < line.right + word + room and (
        going_on >= _AT_EDGE or not line.text.endswith(_ENDS)
    )
    return inside or beside or (full and not answered and not _PAGED.search(line.text))


def _paragraphs(lines: list[_Line]) -> list[Block]:
    """Lines that follow closely and look the same become one paragraph."""
    usual = Counter(
        round(line.size, 1) for line in lines for _ in line.text
    ).most_common(1)[0][0]
    pairs = list(pairwise(lines))
    steps = [(a.top - b.top) / max(min(a.size, b.size), usual) for a, b in pairs]
    wrapped = [_is_wrapped(lines, at) for at in range(len(pairs))]
    apart = [
        at
        for at, (a, b) in enumerate(pairs)
        if a.page == b.page and 0.5 < steps[at] < 10
    ]
    distances = [steps[at] for at in apart if wrapped[at]] or [
        steps[at] for at in apart
    ]
    distance = (
        min(median(distances), mode(round(step, 2) for step in distances))
        if distances
        else 0.0
    )
    larger = sorted(
        {round(line.size, 1) for line in lines if line.size > _HEADING * usual},
        reverse=True,
    )
    groups = [([lines[0]], True)]  # the lines of each, and whether a gap precedes
    for (before, line), step, is_wrapped in zip(pairs, steps, wrapped, strict=True):
        same = before.bold == line.bold and abs(before.size - line.size) < 0.5
        near = before.page == line.page and step < _PARAGRAPH * distance
        over_page = (
            before.page != line.page
            and before.text[-1:].isalpha()
            and line.text[:1].islower()
        )
        alone = before.rows or line.rows or _BEGINS.match(line.text)
        if same and ((near and is_wrapped) or over_page) and not alone:
            groups[-1][0].append(line)
        else:
            groups.append(([line], not near))
    blocks: list[Block] = []
    for number, (group, gap) in enumerate(groups, 1):
        rows = group[0].rows and [
            (number + at, cells) for at, (_, cells) in enumerate(group[0].rows)
        ]
        above = blocks[-1].rows if blocks else None
        if (
            rows and above and len(above[0][1]) == len(rows[0][1])
        ):  # it goes on over the end of a page
            again = rows[1:] if rows[0][1] == above[0][1] else rows
            blocks[-1] = replace(
                blocks[-1],
                rows=[*above, *again],
                text=f"{blocks[-1].text}\n{group[0].text}",
            )
            continue
        size = round(group[0].size, 1)
        level = min(larger.index(size) + 1, 6) if size in larger and not rows else 0
        text = group[0].text
        for line in group[1:]:
            hyphen = re.search(r"[a-zà-ÿ]-$", text) and line.text[:1].islower()
            text = text[:-1] + line.text if hyphen else f"{text} {line.text}"
        blocks.append(Block(number, text, level, group[0].bold and not rows, gap, rows))
    return blocks
