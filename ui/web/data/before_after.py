"""Examples as HTML: as they are read, and before and after a fix."""

import re
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from backend.datasets.checks.fix import Change
from backend.records.rows import Row
from ui.text import format as fmt
from ui.web.html import components, conversations

SHOWN = 3  # rows
CUT, WHOLE = 400, 20_000  # characters of a text, and of one that is shown in full
AROUND, MARKED = (
    60,
    300,
)  # words shown at most before and after what a fix changes, and of that itself
_SPEAKER = re.compile(
    rf"^({'|'.join(conversations.SPEAKERS)}): ", re.MULTILINE
)  # as in a Change
DELETED, INSERTED = Markup("<del>{}</del>"), Markup("<ins>{}</ins>")


def few(rows: Iterable[Row], whole: bool = False) -> Markup:
    """Some rows as they are read. whole: in full, with their line breaks."""
    shown = (Markup("<li>{}</li>").format(example(row, whole)) for row in rows)
    return Markup('<ul class="few">{}</ul>').format(components.join(shown))


def side_by_side(
    left: str, right: str, pairs: Iterable[tuple[str, str, str]]
) -> Markup:
    """Rows in two columns: (name, before, after)."""
    side = Markup('<div class="{}"><p class="side">{}</p>{}</div>')
    lines = components.join(
        Markup('<li><p class="small">{}</p>{}{}</li>').format(
            name, side.format("was", left, before), side.format("is", right, after)
        )
        for name, before, after in pairs
    )
    return (
        Markup('<ol class="before-after">{}</ol>').format(lines)
        if lines
        else components.EMPTY
    )


def example(row: Row, whole: bool = False) -> Markup:
    """A row as it is read. whole: in full, with its line breaks."""
    if row.text is not None:
        return Markup("<p>{}</p>").format(_shown(row.text, whole))
    messages = row.messages if whole else row.messages[:6]
    rejected = ({**m, "role": "rejected"} for m in row.rejected or ())
    return conversations.bubbles(
        [
            {**m, "content": _shown(str(m.get("content") or ""), whole)}
            for m in (*messages, *rejected)
        ]
    )


def _shown(text: str, whole: bool) -> str:
    if not whole:
        return fmt.shorten(text, CUT)
    return text if len(text) <= WHOLE else f"{text[:WHOLE]}…"


def changes(changed: Sequence[Change], shown: int = SHOWN) -> Markup:
    """The rows that a fix changes, before and after."""
    pairs = [
        (
            f"Example {c.row}, {c.place}",
            _marked(c.before, c.after, DELETED),
            _marked(c.after, c.before, INSERTED),
        )
        for c in changed[:shown]
    ]
    return side_by_side("Before", "After", pairs)


def after(change: Change) -> Markup:
    """What a fix makes of a row."""
    return _marked(change.after, change.before, INSERTED)


def _marked(text: str, other: str, mark: Markup) -> Markup:
    """`text` with the words that `other` lacks inside `mark`, and some words around. No
    `text`: the row is removed.
    """
    text, other = (
        _SPEAKER.sub(lambda who: f"{conversations.SPEAKERS[who[1]]}: ", side)
        for side in (text, other)
    )
    if not text:
        return components.text("removed" if mark is INSERTED else "nothing", "fault")
    if not other:
        return Markup("<p>{}</p>").format(fmt.shorten(text, CUT))
    own, theirs = text.split(" "), other.split(" ")
    head = _in_common(own, theirs)
    tail = _in_common(own[head:][::-1], theirs[head:][::-1])
    own_inner, their_inner = (
        own[head : len(own) - tail],
        theirs[head : len(theirs) - tail],
    )
    start, end = max(0, head - AROUND), len(own) - max(0, tail - AROUND)
    parts = ["…" if start else "", _joined(own[start:head])]
    matcher = fmt.compared(own_inner[:MARKED], their_inner[:MARKED])
    for op, a, b, _, _ in matcher.get_opcodes():
        run = _joined(own_inner[a:b])
        parts.append(run if op == "equal" or not run else mark.format(run))
    parts += [
        "…" if len(own_inner) > MARKED else "",
        _joined(own[len(own) - tail : end]),
    ]
    parts.append("…" if end < len(own) else "")
    return Markup("<p>{}</p>").format(Markup(" ").join(filter(None, parts)))


def _in_common(a: Sequence[str], b: Sequence[str]) -> int:
    """How many words both start with."""
    return next(
        (i for i, (left, right) in enumerate(zip(a, b, strict=False)) if left != right),
        min(len(a), len(b)),
    )


def _joined(parts: Sequence[str]) -> str:
    return fmt.shorten(" ".join(parts), 4 * CUT)  # some scripts don't separate words
