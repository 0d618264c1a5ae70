"""Reads plain text and Markdown as blocks: each line, with what Markdown says of it.
Answers keep their Markdown.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from backend.datasets.documents.blocks import Block, Document
from backend.text.normalize import QUESTION_MARKS

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_BOLD_LINE = re.compile(r"(\*\*|__)(?P<bold>\S.*?)\1(?P<rest>.*)")
_ASKED_IN_LINE = re.compile(
    r"^(?:\*\*|__)\S[^\n]*?[?？؟]\s*(?:\*\*|__)[ \t]*\S", re.MULTILINE
)
_SEVERAL = 3
_LINE_END = re.compile(r"\r\n?|\n")
_STRUCTURED = 4_000_000  # characters; longer texts are only divided into lines
_TABLE_RULE = re.compile(
    r"^[ ]{0,3}\|?[ ]{0,99}:?-+:?[ ]{0,99}(\|[ ]{0,99}:?-+:?[ ]{0,99})+(\|[ ]{0,99})?$",
    re.MULTILINE,
)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable(["inline", "text_join"])  # only the structure is needed
    return parser


def has_table(text: str) -> bool:
    """Whether a text may hold a table of Markdown: a line such as |---|---|."""
    return _TABLE_RULE.search(text) is not None


def read_markdown(text: str, headings: bool = True) -> Document:
    """The lines of a text as blocks, and its tables. headings: lines that are
    underlined count, too.
    """
    lines = _LINE_END.split(text)  # as the parser does, which counts them
    structured = len(text) <= _STRUCTURED
    levels: dict[
        int, tuple[int, int]
    ] = {}  # line: level of the heading, and where it ends
    plain: set[int] = set()  # lines of code
    tables: dict[int, int] = {}
    for token in _parser().parse(text) if structured else ():
        if token.map is None:
            continue
        begin, end = token.map
        if token.type == "heading_open" and (
            token.markup.startswith("#") or (headings and end - begin == 2)
        ):
            levels[begin] = int(token.tag[1]), end
        elif token.type in ("fence", "code_block"):
            plain.update(range(begin, end))
        elif token.type == "table_open":
            tables[begin] = end
    return _blocks(
        lines,
        levels,
        plain,
        tables,
        structured and len(_ASKED_IN_LINE.findall(text)) >= _SEVERAL,
    )


def _blocks(
    lines: list[str],
    levels: dict[int, tuple[int, int]],
    code: set[int],
    tables: dict[int, int],
    split: bool,
) -> Document:
    """split: bold letters at the start of a line are a question, with the answer behind
    it.
    """
    document = Document()
    at, gap = 0, True
    while at < len(lines):
        text = lines[at].rstrip()
        end = at + 1
        if at in tables:
            end = tables[at]
            rows = [
                (number + 1, _cells(lines[number]))
                for number in range(at, end)
                if number != at + 1
            ]
            filled = [(number, cells) for number, cells in rows if any(cells)]
            document.blocks.append(Block(at + 1, "\n".join(lines[at:end]), rows=filled))
            gap = True
        elif not text:
            gap = True
        else:
            level = 0
            if at in levels:
                level, end = levels[at]
                text = (
                    text.strip().strip("#").strip()
                    if text.lstrip().startswith("#")
                    else text.strip()
                )
            document.blocks += _line(at + 1, text, level, gap, at in code, split)
            gap = bool(level)
        at = end
    return document


def _line(
    number: int, text: str, level: int, gap: bool, plain: bool, split: bool
) -> list[Block]:
    match = None if plain else _BOLD_LINE.fullmatch(text.strip())
    if match is None:
        return [Block(number, text, level, gap=gap)]
    bold, rest = match["bold"], match["rest"].strip()
    if not rest:
        return [Block(number, bold.strip(), level, True, gap)]
    if bold.rstrip().endswith(QUESTION_MARKS) or (
        split and not rest.startswith(":") and bold[-1] not in ":：."
    ):
        return [
            Block(number, bold.strip(), level, True, gap),
            Block(number, rest, gap=False),
        ]
    return [Block(number, text, level, gap=gap)]


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", re.sub(r"^\s*\||(?<!\\)\|\s*$", "", line))
    return [
        re.sub(r"<br ?/?>", "\n", cell.strip().replace("\\|", "|")) for cell in cells
    ]
