"""The data report, drawn: counts, problems by kind with their rows and fixes, and the sample sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal

from backend.data.fix import FIXABLE
from backend.data.kinds import KINDS
from backend.data.rows import Problem
from backend.encoded import Piece
from ui import cards, present
from ui.records import DataState, Sample

LEAVE_OUT = "Leave out what can't be read."
ROWS_SHOWN = 8  # of each kind of problem
SWATCHES = (  # what the colours of the tokens mean
    '<p class="lead swatches"><span><i class="swatch l"></i>learned</span>'
    '<span><i class="swatch r"></i>only read</span>'
    '<span><i class="swatch t"></i>marks that the model needs</span></p>'
)


def samples(known: Iterable[Sample]) -> str:
    """The sample sets as cards."""
    parts = [
        f'<div class="tile"><h3>{escape(sample.title)}</h3><p>{escape(sample.what)}</p>'
        f"{cards.button('Take this', 'sample', sample.name, label=f'Take the sample {sample.title}')}</div>"
        for sample in known
    ]
    return f'<div class="tiles">{"".join(parts)}</div>'


def guide(data: DataState) -> str:
    if data.blocked:
        return cards.guide(
            2, "Some examples can't be used as they are.", "What is wrong stands below; mend it there."
        )
    if data.report.problems:
        return cards.guide(2, "Your examples can be used.", "A few things are worth a look before you go on.")
    return cards.guide(2, "Your examples are ready.", "Look at what it will learn, then go on to training.")


def summary(data: DataState) -> str:
    """Counts, the split in sentences, and what the file was found to be."""
    report = data.report
    title = f"{present.count(data.rows, 'example')}, {'not ready yet' if data.blocked else 'ready'}"
    numbers = [(present.number(len(report.error_rows())), "with a fault in the file")]
    if report.tokens:
        numbers.append((present.number(report.tokens.learned), "tokens to learn"))
        numbers.append((present.number(report.tokens.longest), "tokens in the longest example"))
    numbers.append((present.number(report.duplicates.exact + report.duplicates.near), "copies, or nearly"))
    left = report.rows - data.rows
    source = data.source
    small = f"{data.name}: {source.format}, {source.encoding}, read as {source.shape}."
    if left > 0:
        small += f" {present.count(left, 'example')} of the file left out."
    if source.ignored:
        small += f" Not used: {present.listed(list(source.ignored))}."
    return cards.card(title, cards.facts(numbers), cards.text(small, "small"), lead=data.split)


def problems(data: DataState) -> str:
    """What was found in the file, by kind: errors first, each with its rows, its fix, and a way back."""
    kinds: dict[str, list[Problem]] = {}
    for problem in data.report.problems:
        kinds.setdefault(problem.kind, []).append(problem)
    if not kinds:
        return ""
    open_errors = [kind for kind in must_mend(data) if data.accepted.get(kind) != "all"]
    all_at_once = cards.button("Mend all that must be mended", "accept-all", "", "firm") if open_errors else ""
    ordered = sorted(kinds.values(), key=lambda found: (found[0].severity != "error", -len(found)))
    parts = [_kind(found, data.accepted.get(found[0].kind), found[0].kind in data.unread) for found in ordered]
    return cards.card("What was found", f'<ul class="problems">{"".join(parts)}</ul>', aside=all_at_once)


def must_mend(data: DataState) -> list[str]:
    """The kinds of errors in the file that can be mended here, or whose rows can be left out."""
    errors = dict.fromkeys(problem.kind for problem in data.report.problems if problem.severity == "error")
    return [kind for kind in errors if kind in FIXABLE or kind in data.unread]


def _kind(found: Sequence[Problem], accepted: Literal["all"] | list[int] | None, unread: bool) -> str:
    """unread: these rows could not be read, so they can only be left out."""
    first = found[0]
    fix = LEAVE_OUT if unread else first.fix
    rows = [problem for problem in found if problem.row]
    where = present.count(len(rows), "example") if rows else "the file"
    if accepted:
        mended = len(rows) if accepted == "all" else len(accepted)
        head = cards.badge(f"{present.count(mended, 'example')} {'left out' if unread else 'mended'}")
        action = cards.text(fix, "fix") + cards.button("Undo", "undo", first.kind)
    else:
        must = first.severity == "error"
        head = cards.badge(f"{where}, {'must be mended' if must else 'to know'}", "bad" if must else "warn")
        do = cards.button("Do this for all", "accept", first.kind, "firm", f"Do this for all: {fix}")
        action = cards.text(fix, "fix") + (do if unread or first.kind in FIXABLE else "")
    title = KINDS[first.kind].title if first.kind in KINDS else ""
    message = f"<p><strong>{escape(title)}</strong></p>{cards.text(first.message, 'said')}"
    shown = "".join(_row(problem, accepted) for problem in rows[:ROWS_SHOWN])
    more = f"<li>and {present.number(len(rows) - ROWS_SHOWN)} more</li>" if len(rows) > ROWS_SHOWN else ""
    detail = cards.fold("Show where", f'<ul class="where">{shown}{more}</ul>') if rows else ""
    return f'<li><div class="problem-head">{head}{message}</div><div class="problem-do">{action}</div>{detail}</li>'


def _row(problem: Problem, accepted: Literal["all"] | list[int] | None) -> str:
    quote = f"<q>{escape(problem.quote)}</q>" if problem.quote else ""
    done = accepted == "all" or problem.row in (accepted or [])
    can = problem.kind in FIXABLE and not done
    one = cards.button("Mend this one", "accept", f"{problem.kind}:{problem.row}") if can else ""
    return f"<li><span>Example {problem.row}, line {problem.line}</span>{quote}{one}</li>"


def token_count(pieces: Sequence[Piece]) -> str:
    """How much of a row is learned."""
    whole = sum(piece.tokens for piece in pieces)
    learned = sum(piece.tokens for piece in pieces if piece.kind == "learned")
    return cards.text(f"{present.number(learned)} of {present.count(whole, 'token')} are learned.", "small")
