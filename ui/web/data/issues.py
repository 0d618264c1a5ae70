"""What was found in a file, drawn: each kind of problem with its rows, its fix, what that changes, and a way back."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from backend.datasets.checks.fix import FIXABLE, WHOLE_FILE_FIXES, Change
from backend.datasets.checks.issues import issue_title
from backend.records.rows import Problem, Row
from ui.records import DataState
from ui.text import format as fmt
from ui.web.data import read_options
from ui.web.html import components

LEAVE_OUT = "Leave out what can't be read."
ROWS_SHOWN, GROUPS_SHOWN, COPIES_SHOWN = 8, 20, 6
COPIES = ("duplicate", "near_duplicate")
WHOLE_FILE = {"add_system": "Give all the same instructions", "remove_system": "Take all instructions out"}


def card(data: DataState) -> str:
    """Every kind of problem, what must be mended first."""
    kinds: dict[str, list[Problem]] = {}
    for problem in data.problems:
        if problem.kind not in read_options.GUESSES:
            kinds.setdefault(problem.kind, []).append(problem)
    words = "Mend or leave out all that must be"
    all_at_once = components.button(words, "accept-all", "", "firm") if must_fix(data) else ""
    ordered = sorted(kinds.values(), key=lambda found: (*_rank(found, data), -len(found)))
    first_copies = next((found[0].kind for found in ordered if found[0].kind in COPIES), "")
    parts = [_kind(found, data, _groups(data) if found[0].kind == first_copies else "") for found in ordered]
    parts += [_whole_file(kind, data) for kind in WHOLE_FILE_FIXES]
    if not any(parts):
        return ""
    found = f'<ul class="problems">{"".join(parts)}</ul>'
    return components.card("What was found" if kinds else "If you like", found, aside=all_at_once)


def must_fix(data: DataState) -> list[str]:
    """The kinds of errors that can be mended here (or whose rows can be left out), and wait for a word."""
    waiting = [p for p in data.problems if p.severity == "error" and not _settled(p, data)]
    return [kind for kind in dict.fromkeys(p.kind for p in waiting) if kind in FIXABLE or kind in data.unread]


def _settled(problem: Problem, data: DataState) -> bool:
    return data.info.is_accepted(problem) or data.info.is_refused(problem)


def _rank(found: Sequence[Problem], data: DataState) -> tuple[bool, bool]:
    return all(_settled(p, data) for p in found), found[0].severity != "error"


def _kind(found: Sequence[Problem], data: DataState, groups: str) -> str:
    first = found[0]
    rows = list({problem.row: problem for problem in reversed(found) if problem.row}.values())[::-1]  # one each
    unread = first.kind in data.unread
    mended = [p for p in rows if data.info.is_accepted(p)]
    left = [p for p in rows if data.info.is_refused(p)]
    waiting = len(rows) - len(mended) - len(left)
    fix = LEAVE_OUT if unread else first.fix
    done = "left out" if unread or first.fix.startswith("Leave this row out") else "mended"
    kept = "can't be read" if unread else "left as is"
    head = _badge(first, len(rows), waiting, len(mended), f"{fmt.count(len(left), 'example')} {kept}", done)
    actions = [components.text(fix, "fix")]
    if waiting and (unread or first.kind in FIXABLE):
        words = "Do this for all" if waiting == len(rows) else f"Do this for the other {fmt.number(waiting)}"
        actions.append(components.button(words, "accept", first.kind, "firm", f"{words}: {fix}"))
    if waiting and first.severity != "error":
        actions.append(
            components.button("Leave as is", "refuse", first.kind, label=f"Leave as is: {issue_title(first.kind)}")
        )
    if mended or left:
        actions.append(components.button("Undo", "undo", first.kind, label=f"Undo: {issue_title(first.kind)}"))
    notes = []
    if mended and len(mended) < len(rows):
        notes.append(f"{fmt.count(len(mended), 'example')} {done}.")
    if left:
        notes.append(f"{fmt.count(len(left), 'example')} {kept}.")
        notes += ["Training can't begin with such an example."] if first.severity == "error" else []
    return _item(
        first.kind,
        f"{head}<p><strong>{escape(issue_title(first.kind))}</strong></p>{components.text(_about(found), 'said')}"
        f"{components.text(' '.join(notes), 'small')}",
        "".join(actions),
        _where(rows, data) + groups + _effect(first.kind, data),
    )


def _item(kind: str, head: str, actions: str, detail: str) -> str:
    return (
        f'<li data-kind="{escape(kind)}"><div class="problem-head">{head}</div>'
        f'<div class="problem-do">{actions}</div><div class="folds">{detail}</div></li>'
    )


def _badge(first: Problem, rows: int, waiting: int, mended: int, left: str, done: str) -> str:
    if not rows:
        return components.badge("the file, to know", "warn")
    if waiting:
        must = first.severity == "error"
        words = f"{fmt.count(waiting, 'example')}, {'must be mended' if must else 'to know'}"
        return components.badge(words, "bad" if must else "warn")
    if mended:
        return components.badge(f"{fmt.count(mended, 'example')} {done}")
    return components.badge(left, "calm")


def _about(found: Sequence[Problem]) -> str:
    said = list(dict.fromkeys(problem.message for problem in found[:200]))
    return said[0] if len(said) == 1 else f"For instance: {said[0]}"


def _where(rows: Sequence[Problem], data: DataState) -> str:
    if not rows:
        return ""
    shown = "".join(_row(problem, data) for problem in rows[:ROWS_SHOWN])
    more = f"<li>and {fmt.number(len(rows) - ROWS_SHOWN)} more</li>" if len(rows) > ROWS_SHOWN else ""
    return components.fold("Show where", f'<ul class="where">{shown}{more}</ul>', key=f"where-{rows[0].kind}")


def _row(problem: Problem, data: DataState) -> str:
    quote = f"<q>{escape(problem.quote)}</q>" if problem.quote else ""
    place, at = f"Example {problem.row}, line {problem.line}", f"{problem.kind}:{problem.row}"
    unread = problem.kind in data.unread
    buttons = "" if unread else components.button("Look", "look", problem.row, label=f"Look at example {problem.row}")
    if data.info.is_accepted(problem):
        state = "left out" if unread else "mended"
        words = "Take it back" if problem.severity == "error" else "Leave as is"
        buttons += components.button(words, "refuse", at, label=f"{words}: example {problem.row}")
    elif problem.kind in FIXABLE or unread:
        state = ("can't be read" if unread else "left as is") if data.info.is_refused(problem) else ""
        words = "Leave it out" if unread else "Mend this one"
        buttons += components.button(words, "accept", at, label=f"{words}: example {problem.row}")
    else:
        state = ""
    badge = components.badge(state, "calm") if state else ""
    return f'<li><span>{place}</span>{quote}{badge}<span class="acts">{buttons}</span></li>'


def _effect(kind: str, data: DataState) -> str:
    changed: Sequence[Change] = data.changes.get(kind) or data.fix_previews.get(kind, [])
    if not changed:
        return ""
    return components.fold("Before and after", read_options.changes(changed), key=f"effect-{kind}")


def _whole_file(kind: str, data: DataState) -> str:
    accepted = kind in data.accepted
    if not accepted and not data.fix_previews.get(kind):
        return ""
    words = WHOLE_FILE[kind]
    act = components.button("Undo", "undo", kind, label=f"Undo: {words}")
    head = components.badge("done") if accepted else components.badge("if you like", "calm")
    if not accepted:
        act = components.button("Do this", "accept", kind, label=words)
    said = f"<p><strong>{escape(words)}</strong></p>{components.text(WHOLE_FILE_FIXES[kind], 'said')}"
    return _item(kind, head + said, act, _effect(kind, data))


def _groups(data: DataState) -> str:
    """The rows that say the same, in groups: the one that is kept, and its copies."""
    groups = data.report.duplicates.groups
    numbers = {number for group in groups[:GROUPS_SHOWN] for number in group[: COPIES_SHOWN + 1]}
    rows = {row.row: row for row in data.original.rows if row.row in numbers}
    shown = "".join(_group(group, rows) for group in groups[:GROUPS_SHOWN])
    more = f"<li>and {fmt.number(len(groups) - GROUPS_SHOWN)} more groups</li>" if len(groups) > GROUPS_SHOWN else ""
    words = f"Look at the {fmt.count(len(groups), 'group')}"
    return components.fold(words, f'<ol class="groups">{shown}{more}</ol>', key="groups")


def _group(group: Sequence[int], rows: dict[int, Row]) -> str:
    first, *copies = group
    parts = [f"<li>{components.badge('kept')}{_said(first, rows)}</li>"]
    parts += [f"<li>{components.badge('copy', 'warn')}{_said(number, rows)}</li>" for number in copies[:COPIES_SHOWN]]
    if len(copies) > COPIES_SHOWN:
        numbers = ", ".join(map(str, copies[COPIES_SHOWN : COPIES_SHOWN + 40]))
        dots = " …" if len(copies) > COPIES_SHOWN + 40 else ""
        parts.append(f"<li>and {fmt.count(len(copies) - COPIES_SHOWN, 'copy', 'copies')}: {numbers}{dots}</li>")
    return f'<li><ul class="where">{"".join(parts)}</ul></li>'


def _said(number: int, rows: dict[int, Row]) -> str:
    row = rows[number]
    said = row.text or " → ".join(str(m.get("content") or "") for m in row.messages if m["role"] != "system")
    look = components.button("Look", "look", number, label=f"Look at example {number}")
    return f'<span>Example {number}</span><q>{escape(fmt.shorten(said, 160))}</q><span class="acts">{look}</span>'
