"""What was found in a file, as a table: each kind, what became of it, where, and the
way back to deciding it.
"""

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from backend.datasets.checks.answers import CHOICE
from backend.datasets.checks.fix import FIXABLE, WHOLE_FILE_FIXES, Change
from backend.datasets.checks.issues import GUESSES, issue_title
from backend.datasets.dataset import CheckedDataset
from backend.records.rows import Problem
from ui.text import format as fmt
from ui.web.data import before_after, decisions
from ui.web.html import components, tables

ROWS_SHOWN = 8
HEADERS = ("What was found", "Now", "")
WORTH_A_LOOK = "Worth a look; may be intended"


def card(data: CheckedDataset) -> Markup:
    """One line on what was removed, changed and left as it is, and why, which opens to
    everything that was found; and one on what is only worth a look.
    """
    found = [
        problem
        for problem in data.problems
        if problem.severity != "note" and problem.kind not in GUESSES
    ]
    notes = [problem for problem in data.problems if problem.severity == "note"]
    lines, noted = _lines(found, data), _lines(notes, data)
    for kind in data.info.accepted.keys() & WHOLE_FILE_FIXES.keys():
        lines[kind] = (
            WHOLE_FILE_FIXES[kind],
            components.badge("done"),
            _undo(kind, WHOLE_FILE_FIXES[kind]),
        )
    many = fmt.listed(
        [
            f"{issue_title(kind)}: {sum(note.kind == kind for note in notes):,}"
            for kind in noted
        ]
    )
    folds = []
    for title, shown, key in (
        (_summary(found, data), lines, "findings"),
        (f"{WORTH_A_LOOK} ({many})", noted, "notes"),
    ):
        table = tables.table(
            HEADERS,
            list(shown.values()),
            "By kind",
            marks=[{"kind": [kind]} for kind in shown],
        )
        folds.append(
            components.fold(title, table, kind="details", key=key)
            if shown
            else components.EMPTY
        )
    return components.join(folds)


def _lines(
    problems: Sequence[Problem], data: CheckedDataset
) -> dict[str, tuple[str, ...]]:
    """A line of the table for each kind: errors first, then the most frequent."""
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    ordered = sorted(
        kinds, key=lambda kind: (kinds[kind][0].severity != "error", -len(kinds[kind]))
    )
    return {kind: _line(kinds[kind], data) for kind in ordered}


def _summary(found: Sequence[Problem], data: CheckedDataset) -> str:
    why = Counter(issue_title(change.kind) for change in data.dropped.values())
    parts = [
        f"{fmt.number(len(data.dropped))} removed ({fmt.listed([f'{t}: {n:,}' for t, n in why.items()])})"
    ]
    parts = parts if why else []
    if data.fixed.changed:
        parts.append(f"{fmt.number(data.fixed.changed)} changed")
    left = {
        p.row for p in found if p.row and p.kind != CHOICE and data.info.is_refused(p)
    }
    if refused := left - data.dropped.keys():
        parts.append(
            f"{fmt.number(len(refused))} left as {'it is' if len(refused) == 1 else 'they are'}"
        )
    return fmt.listed(parts) or "Everything that was found"


def _line(problems: Sequence[Problem], data: CheckedDataset) -> tuple[str, ...]:
    first, title = problems[0], issue_title(problems[0].kind)
    rows = list(
        {problem.row: problem for problem in reversed(problems) if problem.row}.values()
    )[::-1]  # one each
    messages = list(dict.fromkeys(problem.message for problem in problems[:200]))
    about = messages[0] if len(messages) == 1 else f"For example: {messages[0]}"
    states = Counter(_state(problem, data) for problem in rows)
    badges = [
        components.badge(fmt.count(n, "example") + words, tone)
        for (words, tone), n in states.items()
    ]
    acts = components.EMPTY
    if first.kind == "split_texts" and not data.info.read_options.get("join_cells"):
        acts = components.button("Join them", "join-cells", "", "firm")
    elif first.kind == "spare_cells":
        acts = components.button("Undo", "keep-cells", label=f"Undo: {title}")
    elif any(
        data.info.is_accepted(problem) or data.info.is_refused(problem)
        for problem in problems
    ):
        acts = _undo(first.kind, title)
    key = f"{first.severity}-{first.kind}"
    details = (
        [components.fold("Show where", _where(rows, data), key=f"where-{key}")]
        if rows
        else []
    )
    numbers = {problem.row for problem in problems}  # 0: of the whole file
    if changed := [
        change for change in _changes(first.kind, data) if numbers & {0, change.row}
    ]:
        details.append(
            components.fold(
                "Before and after", before_after.changes(changed), key=f"effect-{key}"
            )
        )
    what = Markup("<strong>{}</strong>{}{}").format(
        title, components.text(about, "small"), components.join(details)
    )
    tone = "calm" if first.severity == "note" else "warn"
    return (
        what,
        components.join(badges) or components.badge("the whole file", tone),
        acts,
    )


def _changes(kind: str, data: CheckedDataset) -> Sequence[Change]:
    return data.changes.get(kind) or data.fix_previews.get(kind, [])


def _state(problem: Problem, data: CheckedDataset) -> tuple[str, str]:
    """What became of a problem, after "3 examples", and the tone of that."""
    error, unread = problem.severity == "error", problem.kind in data.unreadable
    if data.info.is_accepted(problem):
        changed = _changes(problem.kind, data)
        drops = unread or (
            bool(changed) and not any(change.after for change in changed)
        )
        return " removed" if drops else " fixed", "good"
    if data.info.is_refused(problem):
        left = " kept" if problem.kind == CHOICE else " left as is"
        return (" can't be read" if unread else left), "bad" if error else "calm"
    return (
        (", must be fixed", "bad")
        if error
        else ("", "calm" if problem.severity == "note" else "warn")
    )


def _undo(kind: str, title: str) -> Markup:
    """The button that takes back what was decided about a kind: its examples are asked
    about again.
    """
    return components.button("Undo", "undo", kind, label=f"Undo: {title}")


def _where(rows: Sequence[Problem], data: CheckedDataset) -> Markup:
    """The first of them to view, undecided ones before others; what is only worth a
    look can also be decided here.
    """
    item = Markup(
        '<li><span>Example {}, {}</span><q>{}</q>{}<span class="acts">{}</span></li>'
    )
    each = {
        row.message if row.kind == CHOICE else row.row: row for row in rows
    }.values()  # a question once
    decided = data.dropped.keys() | {
        row.row
        for row in rows
        if data.info.is_accepted(row) or data.info.is_refused(row)
    }
    shown, rows = [], sorted(each, key=lambda row: row.row in decided)
    for row in rows[:ROWS_SHOWN]:
        acts, about = (
            [
                components.button(
                    "View", "look", row.row, label=f"View example {row.row}"
                )
            ],
            components.EMPTY,
        )
        if row.severity == "note" and row.row not in decided:
            acts += decisions.answers(row, [row], data) if row.kind in FIXABLE else []
            about = components.text(row.message, "small")
        shown.append(
            item.format(row.row, row.place, row.quote, about, components.join(acts))
        )
    if len(rows) > ROWS_SHOWN:
        shown.append(
            Markup("<li>and {} more</li>").format(fmt.number(len(rows) - ROWS_SHOWN))
        )
    return Markup('<ul class="where">{}</ul>').format(components.join(shown))
