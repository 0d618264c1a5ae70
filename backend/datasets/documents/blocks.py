"""The blocks and tables of a text or a document, before anyone knows whether it holds
examples.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Rows = list[tuple[int, list[str]]]  # line, and its cells


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a line of a plain text, or a table. line: where it begins, from 1;
    in a document the paragraph's number. level: of a heading, 1 to 6, else 0. bold: all
    of it. gap: a blank line or a paragraph's end precedes. rows: of a table. style: the
    class of a web page's element.
    """

    line: int
    text: str
    level: int = 0
    bold: bool = False
    gap: bool = True
    rows: Rows | None = None
    style: str = ""


@dataclass
class Document:
    """blocks: in document order. asides: (what it is, its text) of parts that stand
    beside them, such as comments.
    """

    blocks: list[Block] = field(default_factory=list)
    asides: list[tuple[str, str]] = field(default_factory=list)

    @property
    def tables(self) -> list[Rows]:
        """The rows of each table."""
        return [block.rows for block in self.blocks if block.rows]

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return joined(self.blocks)

    def add_table(self, rows: Rows) -> None:
        """Adds a table; one of a single column is text."""
        filled = [(line, cells) for line, cells in rows if any(cells)]
        if max((len(cells) for _, cells in filled), default=0) > 1:
            text = "\n".join(" | ".join(cells) for _, cells in filled)
            self.blocks.append(Block(filled[0][0], text, rows=filled))
        else:
            self.blocks += [
                Block(line, cell) for line, cells in filled for cell in cells
            ]


def joined(blocks: Iterable[Block]) -> str:
    """The text of `blocks`, with a blank line wherever there is a gap."""
    parts: list[str] = []
    for block in blocks:
        parts += [("\n\n" if block.gap else "\n") if parts else "", block.text]
    return "".join(parts).strip()


def characters(blocks: Sequence[Block]) -> int:
    """How much text `blocks` have."""
    return sum(len(block.text) for block in blocks)
