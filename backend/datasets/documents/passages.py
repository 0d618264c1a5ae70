"""Divides a document into passages of a size to read at once and to ask a question
about, each below its headings.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise

from backend.datasets.documents.blocks import Block, Document

Size = tuple[int, int]  # how many passages and tables a file has
SIZE = 700  # characters of a passage
_LONGEST_HEADING = 80  # characters
_UNMARKED = 7  # the level of a heading that only looks like one
_WRAPPED = 40  # characters of a line that goes on in the next one, at least
_LABELS = 3  # lines such as "Phone: 555 010" of which each is a passage of its own
_ITEM = re.compile(r"^\s*(?:(?:[-*+•–]|\(?\d{1,3}[.)])\s|[(（]?\d{1,3}[．）、])")
_LABEL = re.compile(
    r"\A\s*(?:[-*+•–]\s+)?(?:\*\*)?(?P<label>[^:：\n.!?]{2,40}?)(?:\*\*)?\s?[:：](?:\*\*)?\s+(?P<value>\S.*)"
)
_END = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’»)\]]*(?=\s|$)|[。！？]+[」』”）]*|\n+")
_SHORT = re.compile(
    r"(?:^|[\s(])(?:\w|dr|mr|mrs|ms|st|no|nr|vs|approx|ca|bzw|inkl|tel|str|(?:\w\.)+\w)\.$",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?:^|\n)[^\S\n]*\d{1,3}\.$")


@dataclass(frozen=True, slots=True)
class Passage:
    """line: where it begins, as in a `Block`. headings: it stands below, the nearest
    one last. first: nothing stands between it and its heading. table: number of the
    table that it is a row of, from 1; 0: it is text. cells: of that row, by column.
    source: the name of a file that was added later.
    """

    number: int
    line: int
    text: str
    headings: tuple[str, ...] = ()
    first: bool = False
    table: int = 0
    cells: dict[str, str] = field(default_factory=dict)
    source: str = ""

    @property
    def heading(self) -> str:
        return self.headings[-1] if self.headings else ""

    @property
    def place(self) -> str:
        """Where it is, in words: “Opening hours”, line 12 of prices.csv."""
        line = (
            f"line {self.line} of {self.source}" if self.source else f"line {self.line}"
        )
        return f"“{self.heading}”, {line}" if self.heading else line


def passages(document: Document) -> list[Passage]:
    """The document in passages: paragraphs and list items below one heading, and the
    rows of its tables.
    """
    return [
        replace(passage, number=number)
        for number, passage in enumerate(_unnumbered(document.blocks), 1)
    ]


def size(passages: Sequence[Passage]) -> Size:
    """How many passages a file has, and how many tables they are of."""
    return len(passages), max((each.table for each in passages), default=0)


def joined(parts: Iterable[tuple[str, list[Passage] | Size]]) -> list[Passage]:
    """The passages of several files, numbered on, each with the name of its file. Of a
    lost file there is the size.
    """
    numbered: list[Passage] = []
    before = tables = 0
    for source, part in parts:
        passages, (of_file, of_tables) = (
            ([], part) if isinstance(part, tuple) else (part, size(part))
        )
        for each in passages:
            table = each.table and each.table + tables
            numbered.append(
                replace(each, number=each.number + before, table=table, source=source)
            )
        before, tables = before + of_file, tables + of_tables
    return numbered


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text in order, word for word but for the mark before
    an item of a list.
    """
    return list(filter(None, (_ITEM.sub("", part).strip() for part in _divided(text))))


def _divided(text: str) -> Iterator[str]:
    """The sentences and lines of a text with all that stands between them."""
    start = 0
    for match in _END.finditer(text):
        end = (
            match.end()
        )  # what is near tells whether it is one; all of a long text would take long
        before = text[max(start, end - 20) : end]
        after = text[end : end + 20].lstrip(" ")
        short = match[0] == "." and (_SHORT.search(before) or after[:1].islower())
        if not short and not _NUMBERED.search(before):
            yield text[start:end]
            start = end
    yield text[start:]


def labelled(text: str) -> tuple[str, str] | None:
    """The label and the value of a line such as "Phone: 555 010"; None for any other
    text.
    """
    match = _LABEL.fullmatch(text)
    return (match["label"].strip(), match["value"].strip()) if match else None


def _unnumbered(blocks: Sequence[Block]) -> Iterator[Passage]:
    above: list[tuple[int, str]] = []
    waiting: list[Block] = []
    tables = count(1)
    for at, block in enumerate(blocks):
        level, headings = _level(blocks, at), tuple(text for _, text in above)
        if not level and not block.rows:
            waiting.append(block)
        if level or block.rows or at + 1 == len(blocks):
            yield from _section(waiting, headings)
            yield from _rows(block.rows, next(tables), headings) if block.rows else ()
            waiting = []
        if level:
            above = [
                *(pair for pair in above if pair[0] < level),
                (level, _ITEM.sub("", block.text.strip()).rstrip(":：")),
            ]


def _level(blocks: Sequence[Block], at: int) -> int:
    """The level of a heading, marked or not; 0 for text."""
    block, text = blocks[at], blocks[at].text.strip()
    if block.level or block.rows or at + 1 == len(blocks):
        return block.level
    if (
        len(text) > _LONGEST_HEADING
        or labelled(text)
        or text.endswith((".", "!", ",", ";", "。"))
    ):
        return 0
    following, below = blocks[at + 1], blocks[at + 1].text.strip()
    items = [bool(_ITEM.match(each.text)) for each in blocks[max(0, at - 1) : at + 2]]
    if _ITEM.match(text) and (
        items.count(True) > 1 or not text[0].isdigit()
    ):  # "1. Orders" may number a chapter
        return 0
    if not at and following.gap and _level(blocks, 1):
        return 1  # a title above the first heading
    for line, more in pairwise(
        blocks[at + 1 : at + 9]
    ):  # of the paragraph below, as it was wrapped
        if more.gap or len(line.text) < _WRAPPED:
            break
        below += f" {more.text.strip()}"
    before_text = (
        block.gap
        and not _ITEM.match(below)
        and (len(below) > len(text) or below.endswith((".", "!", "?")))
    )
    # Right above its text only if that is written in sentences: an address or a poem
    # has no heading.
    directly = (
        len(text) < _WRAPPED
        and below[:1].isupper()
        and re.search(r"\w[.!?]( |$)", below)
    )
    stands_above = before_text and (following.gap or directly)
    return _UNMARKED if stands_above or (block.bold and not following.bold) else 0


def _rows(
    rows: Sequence[tuple[int, list[str]]], table: int, headings: tuple[str, ...]
) -> Iterator[Passage]:
    (_, header), *below = rows
    plain = (
        " ".join(re.sub(r"[{}]", " ", name).split()) for name in header
    )  # a wording names them in braces
    names = [name or f"column {at}" for at, name in enumerate(plain, 1)]
    for line, cells in below:
        if filled := {
            name: cell.strip()
            for name, cell in zip(names, cells, strict=False)
            if cell.strip()
        }:
            yield Passage(
                0,
                line,
                " | ".join(filled.values()),
                headings,
                table=table,
                cells=filled,
            )


def _section(blocks: Sequence[Block], headings: tuple[str, ...]) -> Iterator[Passage]:
    if sum(labelled(block.text) is not None for block in blocks) >= max(
        _LABELS, len(blocks) / 2
    ):
        yield from (
            Passage(0, block.line, block.text.strip(), headings)
            for block in blocks
            if block.text.strip()
        )
        return
    parts = list[tuple[int, str]]()
    for line, paragraph in _paragraphs(blocks):
        if len(paragraph) <= SIZE:
            parts.append((line, paragraph))
        else:  # whole sentences, or pieces of one that is longer than that
            pieces = [
                (line, piece)
                for sentence in _divided(paragraph)
                for piece in _pieces(sentence)
            ]
            parts += _packed(pieces, "")
    for number, (line, text) in enumerate(_packed(parts, "\n\n")):
        yield Passage(0, line, text, headings, bool(headings) and not number)


def _paragraphs(blocks: Sequence[Block]) -> Iterator[tuple[int, str]]:
    """Each paragraph with its line; lines that were only wrapped are one line again."""
    line, text = 0, ""
    for block, before in zip(blocks, [None, *blocks], strict=False):
        if before and not block.gap:
            wrapped = len(before.text) >= _WRAPPED and not _ITEM.match(block.text)
            text += f" {block.text.strip()}" if wrapped else f"\n{block.text.rstrip()}"
            continue
        if text:
            yield line, text
        line, text = block.line, block.text.strip()
    if text:
        yield line, text


def _pieces(sentence: str) -> Iterator[str]:
    while len(sentence) > SIZE:
        ends = (
            sentence.rfind(sign, SIZE // 2, SIZE)
            for sign in ("\n", "; ", ", ", " ", "、", "，")
        )
        end = next((end + 1 for end in ends if end > 0), SIZE)
        yield sentence[:end]
        sentence = sentence[end:]
    yield sentence


def _packed(
    parts: Iterable[tuple[int, str]], between: str
) -> Iterator[tuple[int, str]]:
    """Neighbors joined as long as they fit into SIZE, with the line of the first."""
    line, joined = 0, ""
    for at, part in parts:
        if joined and len(joined) + len(between) + len(part) > SIZE:
            yield line, joined.strip()
            joined = ""
        line, joined = (line, joined + between + part) if joined else (at, part)
    if joined.strip():
        yield line, joined.strip()
