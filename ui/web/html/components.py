"""The pieces that the page is drawn with, as HTML strings. Every text that comes in is escaped here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from ui.records import Origin
from ui.text import format as fmt

TICK = (
    '<svg class="tick-icon" viewBox="0 0 16 16" aria-hidden="true">'
    '<path d="M3.2 8.6l3.1 3.1 6.5-7" fill="none" stroke="currentColor" stroke-width="2" '
    'stroke-linecap="round" stroke-linejoin="round"/></svg>'
)


def card(title: str, *body: str, lead: str = "", badges: str = "", aside: str = "") -> str:
    """A card: badges, a title, one lead sentence, then ready HTML. aside: ready HTML at the right of the title."""
    above = f'<div class="badges">{badges}</div>' if badges else ""
    head = f"<h2>{escape(title)}</h2>"
    head = f'<div class="head">{head}{aside}</div>' if aside else head
    said = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f'<section class="card">{above}{head}{said}{"".join(body)}</section>'


def guide(step: int, now: str, then: str) -> str:
    """Where one is and what comes next. step: 1 to 5, or 0 for a tab that is no step."""
    place = f"<strong>Step {step} of 5.</strong> " if step else ""
    return f'<p class="guide-line">{place}{escape(now)} <span>{escape(then)}</span></p>'


def which(run: Origin) -> str:
    """Which model a tab is about: its name, and what it began with."""
    return f'<p class="which"><strong>{escape(run.name)}</strong> · {escape(fmt.origin(run))}</p>'


def text(words: str, kind: str = "") -> str:
    """A paragraph; kind "small" for the field's term and other asides."""
    return f'<p class="{kind}">{escape(words)}</p>' if words else ""


def badge(words: str, tone: str = "good") -> str:
    """A short word in a pill. tone: good, warn, bad or calm."""
    return f'<span class="badge {tone}">{escape(words)}</span>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Numbers large with their meaning small beneath: (value, meaning)."""
    cells = "".join(f"<div><dd>{escape(value)}</dd><dt>{escape(meaning)}</dt></div>" for value, meaning in pairs)
    return f'<dl class="facts">{cells}</dl>'


def rows(pairs: Iterable[tuple[str, str, str]]) -> str:
    """A list of (name, value, small print) in two columns."""
    lines = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}{text(small, 'small')}</dd></div>"
        for name, value, small in pairs
    )
    return f'<dl class="rows">{lines}</dl>'


def progress(done: int | None, label: str) -> str:
    """A progress bar at `done` per cent; None: at work, but nobody can say how far."""
    now, width, kind = ("", 100, " unknown") if done is None else (f' aria-valuenow="{done}"', done, "")
    return (
        f'<div class="bar{kind}" role="progressbar" aria-valuemin="0" aria-valuemax="100"{now} '
        f'aria-label="{escape(label)}"><i style="width:{width}%"></i></div>'
    )


def memory_bar(parts: Sequence[tuple[str, float]], have: float, said: str) -> str:
    """Parts of a need (name, share) against what is there, with a key. All in the same unit."""
    need = sum(amount for _, amount in parts)
    whole = max(have, need, 1e-9)
    pieces = "".join(
        f'<i class="part-{index}" style="width:{100 * amount / whole:.2f}%" title="{escape(name)}"></i>'
        for index, (name, amount) in enumerate(parts)
    )
    key = "".join(f'<li><i class="part-{index}"></i>{escape(name)}</li>' for index, (name, _) in enumerate(parts))
    over = " over" if need > have else ""
    return (
        f'<div class="bar parts{over}" role="img" aria-label="{escape(said)}">{pieces}</div>'
        f'<ul class="key">{key}</ul>'
    )


def button(words: str, do: str, value: Any = "", kind: str = "quiet", label: str = "") -> str:
    """A button inside drawn HTML; pressing it sends (do, value) to the page's handler. See `parts.pressable`."""
    named = f' aria-label="{escape(label)}"' if label else ""
    return (
        f'<button type="button" class="btn {kind}" data-do="{escape(do)}" data-value="{escape(str(value))}"{named}>'
        f"{escape(words)}</button>"
    )


def form(do: str, *body: str, kind: str = "") -> str:
    """A form inside drawn HTML; sending it gives the page's handler `do` and its named fields, for `fields` to read.
    The method "dialog" sees to it that the browser itself never sends them anywhere."""
    return f'<form class="{kind}" data-send="{escape(do)}" method="dialog">{"".join(body)}</form>'


def fields(value: str) -> dict[str, str]:
    """The fields of a form that was sent; none where `value`, which comes from the browser, is something else."""
    try:
        return {str(name): typed for name, typed in json.loads(value).items() if isinstance(typed, str)}
    except (ValueError, AttributeError):
        return {}


def fold(summary: str, *body: str, opened: bool = False, kind: str = "", key: str = "") -> str:
    """Something to open. `summary` is escaped, `body` is ready HTML. key: a name under which the page remembers, when
    this is drawn again, whether it was open."""
    kept = f' data-key="{escape(key)}"' if key else ""
    return (
        f'<details class="fold {kind}"{kept}{" open" if opened else ""}><summary>{escape(summary)}</summary>'
        f'<div class="fold-body">{"".join(body)}</div></details>'
    )


def confirm(words: str, question: str, yes: str) -> str:
    """A button that asks once more before it acts: `yes` is the ready HTML of the button that does."""
    return (
        f'<details class="confirm"><summary class="btn quiet">{escape(words)}</summary>'
        f'<div class="sure"><p>{escape(question)}</p>{yes}</div></details>'
    )


def table(
    headers: Sequence[str],
    lines: Sequence[Sequence[str]],
    caption: str,
    sortable: bool = False,
    kind: str = "",
    marks: Sequence[Mapping[str, Sequence[str]]] = (),
) -> str:
    """A table; cells are ready HTML. A sort key may stand first in a cell as <data value="...">.

    marks: for each line what `filters` may ask for: key to the line's values.
    """
    if sortable:
        head = "".join(
            f'<th scope="col"><button type="button" class="sort">{escape(name)}</button></th>'
            if name
            else "<th></th>"
            for name in headers
        )
    else:
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headers)
    marked = [
        "".join(f' data-{escape(key)}="{escape(" ".join(values))}"' for key, values in mark.items()) for mark in marks
    ] or [""] * len(lines)
    body = "".join(
        f"<tr{mark}>"
        + "".join(f'<td data-name="{escape(name)}">{cell}</td>' for name, cell in zip(headers, line, strict=True))
        + "</tr>"
        for mark, line in zip(marked, lines, strict=True)
    )
    return (
        f'<div class="list-table"><table class="{kind}"><caption class="unseen">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def filters(choices: Mapping[str, tuple[str, Mapping[str, str]]], kind: str, search: tuple[str, str]) -> str:
    """A field to search by and lists to choose from. Each leaves in the table of this kind only the lines that carry
    every typed word, or the chosen value.

    choices: key to (question, value to its words). search: (key, question). static/page.js does the filtering and
    says how many are left.
    """
    key, question = map(escape, search)
    field = (
        f'<div class="find"><label><span>{question}</span><input type="search" data-filter="{key}" '
        'autocomplete="off" spellcheck="false"></label>'
        '<button type="button" class="btn quiet clear" hidden>Clear the search</button></div>'
    )
    lists = "".join(
        f'<label><span>{escape(question)}</span><select data-filter="{escape(key)}" aria-label="{escape(question)}">'
        + "".join(
            f'<option value="{escape(value)}">{escape(words)}</option>'
            for value, words in {"": "All", **values}.items()
        )
        + "</select></label>"
        for key, (question, values) in choices.items()
    )
    left = '<p class="small left" role="status"></p>'
    return f'<div class="filters" data-for="{escape(kind)}">{field}{lists}{left}</div>'


def sort_key(value: float) -> str:
    """A number that a sortable column sorts by, unseen."""
    return f'<data value="{value}"></data>'


SPEAKERS = {"system": "Instructions", "user": "Customer", "assistant": "Answer", "tool": "Tool"}


def bubbles(messages: Sequence[dict[str, Any]]) -> str:
    """A conversation as bubbles."""
    parts = []
    for message in messages:
        role = str(message.get("role", ""))
        words = str(message.get("content") or "")
        for call in message.get("tool_calls") or ():
            words += f"\n{call}"
        kind = role if role in SPEAKERS else "tool"
        parts.append(
            f'<li class="bubble {kind}"><span class="who">{escape(SPEAKERS.get(role, role))}</span>'
            f"<div>{escape(words.strip())}</div></li>"
        )
    return f'<ol class="bubbles">{"".join(parts)}</ol>'


def tokens(pieces: Iterable[Any]) -> str:
    """A row as the model's tokens. pieces: with .text and .kind ("learned", "read" or "template")."""
    parts, marks = [], {"learned": "l", "read": "r", "template": "t"}
    for piece in pieces:
        words = escape(piece.text).replace("\n", '<b aria-hidden="true">↵</b>\n')
        parts.append(f'<span class="{marks.get(piece.kind, "r")}">{words}</span>')
    return f'<div class="tokens">{"".join(parts)}</div>'


def steps_done(lines: Iterable[tuple[bool | None, str]]) -> str:
    """Proofs or phases as sentences: a tick, a cross, or a dot for what is still to come (None)."""
    marks = {True: ("good", TICK, "Passed: "), False: ("bad", "×", "Failed: "), None: ("calm", "·", "To come: ")}
    parts = []
    for passed, words in lines:
        tone, mark, said = marks[passed]
        parts.append(
            f'<li class="{tone}"><span class="mark" aria-hidden="true">{mark}</span>'
            f'<span><span class="unseen">{said}</span>{escape(words)}</span></li>'
        )
    return f'<ul class="proofs">{"".join(parts)}</ul>'
