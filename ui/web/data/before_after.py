"""Rows before and after as HTML: as they are in the file and as they are read, and what a fix changes in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from backend.datasets.checks.fix import Change
from backend.records.rows import Dataset, Row
from ui.text import format as fmt
from ui.web.html import components, conversations

SHOWN, CUT = 3, 400  # rows; characters of a cell
AROUND, MARKED = 60, 300  # words shown at most before and after what a fix changes, and of that itself
DELETED, INSERTED = Markup("<del>{}</del>"), Markup("<ins>{}</ins>")


def first_rows(data: Dataset) -> Markup:
    """The first rows as they are in the file and as they are read; of several files, the first one of each."""
    read = {row.row: row for row in data.rows if row.row in data.originals}
    firsts = {read[number].file: number for number in reversed(data.originals) if number in read}
    numbers = sorted(firsts.values()) if len(firsts) > 1 else list(data.originals)
    faults = {p.row: p.message for p in data.problems[:200] if p.severity == "error"}
    pairs = [
        (
            " from ".join(filter(None, (f"Example {number}", read[number].file if number in read else ""))),
            original(data.originals[number]),
            example(read[number]) if number in read else _fault(faults.get(number, "")),
        )
        for number in numbers[:SHOWN]
    ]
    return side_by_side("In your file", "As it is read", pairs)


def side_by_side(left: str, right: str, pairs: Iterable[tuple[str, str, str]]) -> Markup:
    """Rows in two columns: (name, before, after)."""
    item = Markup(
        '<li><p class="small">{}</p><div class="was"><h4>{}</h4>{}</div><div class="is"><h4>{}</h4>{}</div></li>'
    )
    lines = components.join(item.format(name, left, before, right, after) for name, before, after in pairs)
    return Markup('<ol class="before-after">{}</ol>').format(lines) if lines else components.EMPTY


def original(value: Any) -> Markup:
    """A row as it is in the file."""
    if not isinstance(value, dict):
        return Markup("<p>{}</p>").format(_cell(value))
    cells = (
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(str(name)[:60], _cell(cell))
        for name, cell in list(value.items())[:12]
    )
    return Markup('<dl class="cells">{}</dl>').format(components.join(cells))


def example(row: Row) -> Markup:
    """A row as it is read."""
    if row.text is not None:
        return Markup("<p>{}</p>").format(fmt.shorten(row.text, CUT))
    return conversations.bubbles(
        [{**m, "content": fmt.shorten(str(m.get("content") or ""), CUT)} for m in row.messages[:6]]
    )


def _fault(message: str) -> Markup:
    return components.text(message or "This example could not be read.", "fault")


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return fmt.shorten(text, CUT)


def changes(changed: Sequence[Change], shown: int = SHOWN) -> Markup:
    """The rows that a fix changes, before and after."""
    pairs = [
        (f"Example {c.row}, {c.place}", _marked(c.before, c.after, DELETED), _marked(c.after, c.before, INSERTED))
        for c in changed[:shown]
    ]
    return side_by_side("Before", "After", pairs)


def _marked(text: str, other: str, mark: Markup) -> Markup:
    """`text` with the words that `other` lacks inside `mark`, and some words around them. An empty `text`: the
    row is left out."""
    if not text:
        return components.text("left out" if mark is INSERTED else "nothing", "fault")
    if not other:
        return Markup("<p>{}</p>").format(fmt.shorten(text, CUT))
    from difflib import SequenceMatcher

    words, others = text.split(" "), other.split(" ")
    head = _in_common(words, others)
    tail = _in_common(words[head:][::-1], others[head:][::-1])
    inner, theirs = words[head : len(words) - tail], others[head : len(others) - tail]
    start, end = max(0, head - AROUND), len(words) - max(0, tail - AROUND)
    parts = ["…" if start else "", _words(words[start:head])]
    for op, a, b, _, _ in SequenceMatcher(None, inner[:MARKED], theirs[:MARKED], autojunk=False).get_opcodes():
        run = _words(inner[a:b])
        parts.append(run if op == "equal" or not run else mark.format(run))
    parts += ["…" if len(inner) > MARKED else "", _words(words[len(words) - tail : end])]
    parts.append("…" if end < len(words) else "")
    return Markup("<p>{}</p>").format(Markup(" ").join(filter(None, parts)))


def _in_common(a: Sequence[str], b: Sequence[str]) -> int:
    """How many words both start with."""
    return next((i for i, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))


def _words(words: Sequence[str]) -> str:
    return fmt.shorten(" ".join(words), 4 * CUT)  # some scripts don't separate words
