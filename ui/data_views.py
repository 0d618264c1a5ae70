"""The data report, drawn: counts, problems by kind with their rows and fixes, and the sample sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from ui import cards, present

ROWS_SHOWN = 8  # of each kind of problem
SWATCHES = (  # what the colours of the tokens mean
    '<p class="lead swatches"><span><i class="swatch l"></i>learned</span>'
    '<span><i class="swatch r"></i>only read</span>'
    '<span><i class="swatch t"></i>marks that the model needs</span></p>'
)


def samples(known: Iterable[Any]) -> str:
    """The sample sets as cards."""
    parts = [
        f'<div class="tile"><h3>{escape(sample.title)}</h3><p>{escape(sample.what)}</p>'
        f"{cards.button('Take this', 'sample', sample.name, label=f'Take the sample {sample.title}')}</div>"
        for sample in known
    ]
    return f'<div class="tiles">{"".join(parts)}</div>'


def guide(data: Any) -> str:
    if data.blocked:
        return cards.guide(
            2, "These examples need a look.", "What is wrong stands below, row by row, with a way to mend it."
        )
    if data.report.problems:
        return cards.guide(2, "Your examples can be used.", "A few things are worth a look before you go on.")
    return cards.guide(2, "Your examples are ready.", "Look at what it will learn, then go on to training.")


def summary(data: Any) -> str:
    """Counts, the split in sentences, and what the file was found to be."""
    report = data.report
    errors = sum(problem.severity == "error" for problem in report.problems)
    title = f"{present.count(report.rows, 'example')}, {present.number(report.usable)} ready"
    numbers = [
        (present.number(report.tokens.learned), "tokens to learn"),
        (present.number(report.tokens.longest), "tokens in the longest example"),
        (present.number(report.duplicates.exact + report.duplicates.near), "are copies of another"),
        (present.number(errors), "faults to mend" if errors != 1 else "fault to mend"),
    ]
    small = f"{data.source.name}: {data.source.format}, {data.source.encoding}, read as {data.source.shape}."
    return cards.card(
        title,
        cards.facts(numbers),
        cards.text(small, "small"),
        lead=" ".join(filter(None, (data.split, data.advice))),
    )


def problems(data: Any) -> str:
    """What is wrong, by kind: errors first, each with its rows, its fix, and a way back."""
    kinds: dict[str, list[Any]] = {}
    for problem in data.report.problems:
        kinds.setdefault(problem.kind, []).append(problem)
    mended = {kind: rows for kind, rows in data.accepted.items() if rows and kind not in kinds}
    if not kinds and not mended:
        return ""
    ordered = sorted(kinds.values(), key=lambda found: (found[0].severity != "error", -len(found)))
    parts = [_kind(found, data.accepted.get(found[0].kind)) for found in ordered]
    parts += [_mended(kind) for kind in mended]
    return cards.card("What needs a look", f'<ul class="problems">{"".join(parts)}</ul>')


def _kind(found: Sequence[Any], accepted: Any) -> str:
    first = found[0]
    tone, word = ("bad", "left out") if first.severity == "error" else ("warn", "to know")
    rows = [problem for problem in found if problem.row]
    where = present.count(len(rows), "example") if rows else "the file"
    action = ""
    if first.fix:
        label = f"Do this for all: {first.fix}"
        action = cards.text(first.fix, "fix") + cards.button("Do this for all", "accept", first.kind, "firm", label)
    if accepted:
        action = cards.text(f"Being mended: {first.fix}", "fix") + cards.button("Undo", "undo", first.kind)
    shown = "".join(_row(problem) for problem in rows[:ROWS_SHOWN])
    more = f"<li>and {present.number(len(rows) - ROWS_SHOWN)} more</li>" if len(rows) > ROWS_SHOWN else ""
    detail = cards.fold("Show where", f'<ul class="where">{shown}{more}</ul>') if rows else ""
    return (
        f'<li><div class="problem-head">{cards.badge(f"{where}, {word}", tone)}'
        f'<p>{escape(first.message)}</p></div><div class="problem-do">{action}</div>{detail}</li>'
    )


def _row(problem: Any) -> str:
    quote = f"<q>{escape(problem.quote)}</q>" if problem.quote else ""
    one = cards.button("Mend this one", "accept", f"{problem.kind}:{problem.row}") if problem.fix else ""
    return f"<li><span>Example {problem.row}, line {problem.line}</span>{quote}{one}</li>"


def _mended(kind: str) -> str:
    words = kind.replace("_", " ").capitalize()
    return (
        f'<li class="mended"><div class="problem-head">{cards.badge("Mended")}<p>{escape(words)}</p></div>'
        f'<div class="problem-do">{cards.button("Undo", "undo", kind)}</div></li>'
    )


def token_count(pieces: Sequence[Any]) -> str:
    """How much of a row is learned."""
    whole = sum(piece.tokens for piece in pieces)
    learned = sum(piece.tokens for piece in pieces if piece.kind == "learned")
    return cards.text(f"{present.number(learned)} of {present.count(whole, 'token')} are learned.", "small")
