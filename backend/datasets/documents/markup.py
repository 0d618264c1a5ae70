"""Reads HTML as blocks and tables: what a browser would show, without menus, scripts
and forms.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

from backend.datasets.documents.blocks import Block, Document
from backend.datasets.documents.questions import asks
from backend.files.json_file import read_json, value_of

_TAGS: dict[str, list[str]] = read_json(Path(__file__).with_suffix(".json"))
_HIDDEN, _VOID, _BOLD, _BREAKS = (
    frozenset(_TAGS[kind]) for kind in ("hidden", "void", "bold", "breaks")
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DATA = "data"  # of a page for search engines, as JSON-LD
_DEEPEST = 20  # lists in lists that are indented
_SEVERAL = 3  # questions, after which other bold letters at the start of a block, or all lines of one, may be one
_SPACES = re.compile(r"[ \t\r\n\f]+")
_STYLE_RULE = re.compile(
    r"(?<![^{}])(?=[^{}]*\{[^{}]*\})[^{}]*?\.([\w-]+)[^{}]*\{([^{}]*)\}"
)
_WEIGHT = re.compile(r"font-weight:\s*(?:(bold|[6-9]00)|(normal|[1-5]00))")


class _Element(NamedTuple):
    """An open element, with what it takes over from those around it. hidden: the
    element whose content isn't shown, or "". style: the classes.
    """

    tag: str = ""
    bold: bool = False
    level: int = 0
    preformatted: bool = False
    hidden: str = ""
    style: str = ""


class _Reader(HTMLParser):
    """Collects runs of text, each marked as bold or not, and ends a block at every
    block-level element.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.document = Document()
        self.data: list[str] = []  # the JSON-LD of the page
        self._open = [_Element()]
        self._classes: dict[
            str, bool
        ] = {}  # bold or not, by the style sheet of the page
        self._count: Counter[str] = Counter()  # of the open elements by their names
        self._asked = 0  # blocks with a question in bold letters and more behind it
        self._runs: list[tuple[str, bool]] = []
        self._line = 1
        self._lists: list[
            int | None
        ] = []  # the number of the last item; None without numbers
        self._item = ""
        self._rows: list[list[tuple[int, list[str]]]] = []  # of the open tables
        self._cell: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            if tag == "br":
                self._runs.append(("\n", self._open[-1].bold))
            elif tag == "hr":
                self._end_block()
                self.document.blocks.append(Block(self.getpos()[0], "---"))
            return
        if tag in _BREAKS:
            self._end_block()
        self._open.append(self._element(tag, dict(attrs)))
        self._count[tag] += 1
        if tag in ("ul", "ol"):
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "li" and self._lists:
            number = self._lists[-1]
            self._lists[-1] = None if number is None else number + 1
            indent = "  " * (min(len(self._lists), _DEEPEST) - 1)
            self._item = indent + ("- " if number is None else f"{number + 1}. ")
        elif tag == "table":
            self._rows.append([])
        elif tag == "tr" and self._rows:
            self._rows[-1].append((self.getpos()[0], []))
        elif tag in ("td", "th") and self._rows and len(self._rows) == 1:
            self._end_block()
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if not self._count[tag]:
            return
        if tag in _BREAKS:
            self._end_block()
        last = ""
        while last != tag:
            last = self._open.pop().tag
            self._count[last] -= 1
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "table" and self._rows:
            rows = self._rows.pop()
            if not self._rows:  # one inside another is text of its cell
                self.document.add_table(rows)
        elif tag in ("td", "th") and self._cell is not None and len(self._rows) == 1:
            self._end_block()
            if not self._rows[-1]:
                self._rows[-1].append((self.getpos()[0], []))
            self._rows[-1][-1][1].append("\n".join(self._cell).strip())
            self._cell = None

    def handle_data(self, data: str) -> None:
        inside = self._open[-1]
        if inside.hidden == _DATA:
            self.data.append(data)
        elif inside.hidden == "style":
            rules = (
                (name, _WEIGHT.search(rule)) for name, rule in _STYLE_RULE.findall(data)
            )
            self._classes |= {name: bool(weight[1]) for name, weight in rules if weight}
        elif inside.hidden in ("nav", "footer"):
            if data.strip():
                self.document.asides.append(("menu or footer", " ".join(data.split())))
        elif not inside.hidden:
            if not self._runs:
                self._line = self.getpos()[0]
            shown = data if inside.preformatted else _SPACES.sub(" ", data)
            self._runs.append((shown, inside.bold))

    def parse_html_declaration(self, i: int) -> int:
        if self.rawdata.startswith(
            "<![", i
        ):  # a comment in HTML; the base class looks for ]]> and fails on <![>
            return self.parse_bogus_comment(i)
        return super().parse_html_declaration(i)

    def close(self) -> None:
        super().close()
        while self._open[-1].tag:
            self.handle_endtag(self._open[-1].tag)
        self._end_block()

    def _element(self, tag: str, attrs: dict[str, str | None]) -> _Element:
        around, classes = self._open[-1], (attrs.get("class") or "").strip()
        hidden = tag if tag in _HIDDEN else around.hidden
        if tag == "script" and attrs.get("type") == "application/ld+json":
            hidden = _DATA
        # Google Docs says it in the style, or in the style sheet of a class.
        weight = _WEIGHT.search(attrs.get("style") or "")
        styled = [bool(weight[1])] if weight else []
        styled += [self._classes[n] for n in classes.split() if n in self._classes]
        return _Element(
            tag,
            styled[0] if styled else tag in _BOLD or around.bold,
            _HEADINGS.get(tag, around.level),
            tag == "pre" or around.preformatted,
            hidden,
            classes or around.style,
        )

    def _end_block(self) -> None:
        runs, self._runs = self._runs, []
        text = _clean("".join(text for text, _ in runs))
        if not text:
            return
        item, self._item = self._item, ""
        if self._cell is not None:
            self._cell.append(item + text)
            return
        bold = next(
            (i for i, (run, is_bold) in enumerate(runs) if run.strip() and not is_bold),
            len(runs),
        )
        first, rest = (
            _clean("".join(text for text, _ in part))
            for part in (runs[:bold], runs[bold:])
        )
        before = self.document.blocks[-1].text if self.document.blocks else ""
        style, level = self._open[-1].style, self._open[-1].level
        gap = (
            not item or re.match(r"\s*(- |\d+\. )", before) is None
        )  # no item of a list follows another
        asking = asks(first)
        self._asked += asking and bool(rest)
        like_them = self._asked >= _SEVERAL and first[-1:] not in ":：."
        if (
            first
            and rest
            and not level
            and (asking or like_them or runs[bold][0].startswith("\n"))
        ):
            question = Block(self._line, item + first, 0, True, gap, style=style)
            self.document.blocks += [question, Block(self._line, rest, gap=False)]
        else:
            lines = list(filter(None, text.split("\n")))
            parts = lines if not level and sum(map(asks, lines)) >= _SEVERAL else [text]
            blocks = [
                Block(self._line, part, level, not rest, False, style=style)
                for part in parts
            ]
            self.document.blocks += [
                replace(blocks[0], text=item + parts[0], gap=gap),
                *blocks[1:],
            ]


def _clean(text: str) -> str:
    lines = (line.strip(" ") for line in text.replace("\xa0", " ").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def read_html(text: str) -> Document:
    """The blocks and tables of (a part of) a web page, or the questions and answers
    that it states as data (FAQPage).
    """
    reader = _Reader()
    end = text.rfind(">") + 1
    reader.feed(
        text[:end] + text[end:].replace("<", "&lt;")
    )  # html.parser looks for the end of each tag anew
    reader.close()
    if stated := [pair for data in reader.data for pair in _faq_page(data)]:
        rows = [(1, [_plain(question), _plain(answer)]) for question, answer in stated]
        said = " ".join(" ".join(" ".join(cells).split()) for _, cells in rows)
        shown = [
            block.text
            for block in reader.document.blocks
            if " ".join(block.text.split()) not in said
        ]
        document = Document(
            asides=[
                ("text of the page, whose data for search engines was read", one)
                for one in shown
            ]
        )
        document.add_table([(1, ["question", "answer"]), *rows])
        return document
    return reader.document


def _plain(text: str) -> str:
    return read_html(text).text if "<" in text else text


def _faq_page(data: str) -> Iterator[tuple[str, str]]:
    """The pairs of https://schema.org/FAQPage in JSON-LD."""
    for page in _nodes(value_of(data)):
        for entity in (
            _nodes(page.get("mainEntity"))
            if page.get("@type") in ("FAQPage", ["FAQPage"])
            else ()
        ):
            question = entity.get("name")
            text = next(_nodes(entity.get("acceptedAnswer")), {}).get("text")
            if isinstance(question, str) and isinstance(text, str):
                yield question, text


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    for node in value if isinstance(value, list) else [value]:
        if isinstance(node, dict):
            yield node
            yield from _nodes(node.get("@graph"))
