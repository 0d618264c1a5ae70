"""Everything that was found in a file: each kind with its examples, its fix, the effect of the fix, and undo."""

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from backend.datasets.checks.fix import FIXABLE, WHOLE_FILE_FIXES, Change
from backend.datasets.checks.issues import GUESSES, issue_title
from backend.records.rows import Problem, Row
from ui.records.data import DatasetState
from ui.text import format as fmt
from ui.web.data import before_after
from ui.web.data.decisions import COPIES
from ui.web.html import components

REMOVE = "Remove what can't be read."
ROWS_SHOWN, GROUPS_SHOWN, COPIES_SHOWN = 8, 20, 6
WHOLE_FILE = {
    "add_system": "Give every example the same instructions",
    "remove_system": "Remove the instructions from every example",
}


def card(data: DatasetState) -> Markup:
    """One line on what was removed, changed and left as it is, and why, which opens to everything that was found."""
    kinds: dict[str, list[Problem]] = {}
    for problem in data.problems:
        if problem.kind not in GUESSES:
            kinds.setdefault(problem.kind, []).append(problem)

    def rank(problems: list[Problem]) -> tuple[bool, bool, int]:
        return any(not _settled(p, data) for p in problems), problems[0].severity != "error", -len(problems)

    ordered = sorted(kinds.values(), key=rank)
    first_copies = next((problems[0].kind for problems in ordered if problems[0].kind in COPIES), "")
    parts = [
        _kind(problems, data, _groups(data) if problems[0].kind == first_copies else components.EMPTY)
        for problems in ordered
    ]
    if not parts:
        return components.EMPTY
    return components.fold(_summary(data), _problems(parts), kind="details", key="findings")


def _summary(data: DatasetState) -> str:
    why = Counter(issue_title(change.kind) for change in data.dropped.values())
    parts = [f"{fmt.number(len(data.dropped))} removed ({fmt.listed([f'{t}: {n:,}' for t, n in why.items()])})"]
    parts = parts if why else []
    if data.changed:
        parts.append(f"{fmt.number(data.changed)} changed")
    if refused := {p.row for p in data.problems if p.row and data.info.is_refused(p) and p.row not in data.dropped}:
        parts.append(f"{fmt.number(len(refused))} left as {'it is' if len(refused) == 1 else 'they are'}")
    return fmt.listed(parts) or "Everything that was found"


def optional(data: DatasetState) -> Markup:
    """The fixes for the whole file that no problem asks for."""
    parts = list(filter(None, (_whole_file(kind, data) for kind in WHOLE_FILE_FIXES)))
    return components.card("Optional changes", _problems(parts)) if parts else components.EMPTY


def _problems(parts: Sequence[Markup]) -> Markup:
    return Markup('<ul class="problems">{}</ul>').format(components.join(parts))


def _settled(problem: Problem, data: DatasetState) -> bool:
    return data.info.is_accepted(problem) or data.info.is_refused(problem)


def _kind(problems: Sequence[Problem], data: DatasetState, groups: Markup) -> Markup:
    first = problems[0]
    rows = list({problem.row: problem for problem in reversed(problems) if problem.row}.values())[::-1]  # one each
    unread = first.kind in data.unreadable
    fixed = [p for p in rows if data.info.is_accepted(p)]
    left = [p for p in rows if data.info.is_refused(p)]
    waiting = len(rows) - len(fixed) - len(left)
    fix = REMOVE if unread else first.fix
    done = "removed" if unread or _drops(first.kind, data) else "fixed"
    refused = "can't be read" if unread else "left as is"
    badge = _badge(first, len(rows), waiting, len(fixed), f"{fmt.count(len(left), 'example')} {refused}", done)
    actions, title = [components.text(fix, "fix")], issue_title(first.kind)
    if waiting and (unread or first.kind in FIXABLE):
        label = f"{'Remove' if unread else 'Fix'} all {fmt.number(waiting)}"
        actions.append(components.button(label, "accept", first.kind, "firm", f"{label}: {fix}"))
    if waiting and first.severity != "error":
        actions.append(components.button("Leave as is", "refuse", first.kind, label=f"Leave as is: {title}"))
    if first.kind == "split_texts" and not data.info.read_options.get("join_cells"):
        actions.append(components.button("Join them", "join-cells", "", "firm"))
    if first.kind == "spare_cells":
        actions.append(components.button("Undo", "keep-cells", label=f"Undo: {title}"))
    if fixed or left:
        actions.append(components.button("Undo", "undo", first.kind, label=f"Undo: {title}"))
    notes = []
    if fixed and len(fixed) < len(rows):
        notes.append(f"{fmt.count(len(fixed), 'example')} {done}.")
    if left:
        notes.append(f"{fmt.count(len(left), 'example')} {refused}.")
        notes += ["Training can't start with an example like this."] if first.severity == "error" else []
    messages = list(dict.fromkeys(problem.message for problem in problems[:200]))
    about = messages[0] if len(messages) == 1 else f"For example: {messages[0]}"
    return _item(
        first.kind,
        _head(badge, title, about) + components.text(" ".join(notes), "small"),
        components.join(actions),
        _where(rows, data) + groups + _effect(first.kind, data),
    )


def _item(kind: str, head: Markup, actions: Markup, detail: Markup) -> Markup:
    return Markup(
        '<li data-kind="{}"><div class="problem-head">{}</div>'
        '<div class="problem-do">{}</div><div class="folds">{}</div></li>'
    ).format(kind, head, actions, detail)


def _head(badge: Markup, name: str, about: str) -> Markup:
    return Markup("{}<p><strong>{}</strong></p>{}").format(badge, name, components.text(about, "status"))


def _badge(first: Problem, rows: int, waiting: int, fixed: int, left: str, done: str) -> Markup:
    if not rows:
        return components.badge("the whole file", "warn")
    if waiting:
        must = first.severity == "error"
        state = f"{fmt.count(waiting, 'example')}, {'must be fixed' if must else 'worth a look'}"
        return components.badge(state, "bad" if must else "warn")
    if fixed < rows and first.severity == "error":
        return components.badge(left, "bad")  # which still keeps training from starting
    if fixed:
        return components.badge(f"{fmt.count(fixed, 'example')} {done}")
    return components.badge(left, "calm")


def _where(rows: Sequence[Problem], data: DatasetState) -> Markup:
    if not rows:
        return components.EMPTY
    shown = [_row(problem, data) for problem in rows[:ROWS_SHOWN]]
    if len(rows) > ROWS_SHOWN:
        shown.append(Markup("<li>and {} more</li>").format(fmt.number(len(rows) - ROWS_SHOWN)))
    return components.fold("Show where", _list(shown), key=f"where-{rows[0].kind}")


def _list(items: Sequence[Markup]) -> Markup:
    return Markup('<ul class="where">{}</ul>').format(components.join(items))


def _row(problem: Problem, data: DatasetState) -> Markup:
    quote = Markup("<q>{}</q>").format(problem.quote) if problem.quote else ""
    place, at = f"Example {problem.row}, {problem.place}", f"{problem.kind}:{problem.row}"
    unread = problem.kind in data.unreadable
    buttons = components.EMPTY if unread else _look(problem.row)
    if data.info.is_accepted(problem):
        state = "removed" if unread or _drops(problem.kind, data) else "fixed"
        label = "Undo" if problem.severity == "error" else "Leave as is"
        buttons += components.button(label, "refuse", at, label=f"{label}: example {problem.row}")
    elif problem.kind in FIXABLE or unread:
        state = ("can't be read" if unread else "left as is") if data.info.is_refused(problem) else ""
        label = "Remove it" if unread else "Fix this one"
        buttons += components.button(label, "accept", at, label=f"{label}: example {problem.row}")
    else:
        state = ""
    badge = components.badge(state, "calm") if state else ""
    return Markup('<li><span>{}</span>{}{}<span class="acts">{}</span></li>').format(place, quote, badge, buttons)


def _look(row: int) -> Markup:
    return components.button("View", "look", row, label=f"View example {row}")


def _drops(kind: str, data: DatasetState) -> bool:
    """Whether the fix removes examples instead of changing them."""
    changed = _changes(kind, data)
    return bool(changed) and not any(change.after for change in changed)


def _changes(kind: str, data: DatasetState) -> Sequence[Change]:
    return data.changes.get(kind) or data.fix_previews.get(kind, [])


def _effect(kind: str, data: DatasetState) -> Markup:
    changed = _changes(kind, data)
    if not changed:
        return components.EMPTY
    return components.fold("Before and after", before_after.changes(changed), key=f"effect-{kind}")


def _whole_file(kind: str, data: DatasetState) -> Markup:
    accepted = kind in data.accepted
    if not accepted and not data.fix_previews.get(kind):
        return components.EMPTY
    title = WHOLE_FILE[kind]
    if accepted:
        badge, act = components.badge("done"), components.button("Undo", "undo", kind, label=f"Undo: {title}")
    else:
        badge = components.badge("optional", "calm")
        act = components.button("Do this", "accept", kind, label=f"Do this: {title}")
    return _item(kind, _head(badge, title, WHOLE_FILE_FIXES[kind]), act, _effect(kind, data))


def _groups(data: DatasetState) -> Markup:
    """The duplicates in groups: the example that stays, and its copies."""
    groups = data.report.duplicates.groups
    numbers = {number for group in groups[:GROUPS_SHOWN] for number in group[: COPIES_SHOWN + 1]}
    rows = {row.row: row for row in data.original.rows if row.row in numbers}
    shown = [_group(group, rows) for group in groups[:GROUPS_SHOWN]]
    if len(groups) > GROUPS_SHOWN:
        shown.append(Markup("<li>and {} more groups</li>").format(fmt.number(len(groups) - GROUPS_SHOWN)))
    summary = "Show the group" if len(groups) == 1 else f"Show the {fmt.number(len(groups))} groups"
    return components.fold(summary, Markup('<ol class="groups">{}</ol>').format(components.join(shown)), key="groups")


def _group(group: Sequence[int], rows: dict[int, Row]) -> Markup:
    first, *copies = group
    parts = [_member(rows[first], components.badge("kept"))]
    parts += [_member(rows[number], components.badge("copy", "warn")) for number in copies[:COPIES_SHOWN]]
    if len(copies) > COPIES_SHOWN:
        numbers = ", ".join(map(str, copies[COPIES_SHOWN : COPIES_SHOWN + 40]))
        dots = " …" if len(copies) > COPIES_SHOWN + 40 else ""
        more = fmt.count(len(copies) - COPIES_SHOWN, "copy", "copies")
        parts.append(Markup("<li>and {}: {}{}</li>").format(more, numbers, dots))
    return Markup("<li>{}</li>").format(_list(parts))


def _member(row: Row, badge: Markup) -> Markup:
    text = row.text or " → ".join(str(m.get("content") or "") for m in row.messages if m["role"] != "system")
    return Markup('<li>{}<span>Example {}</span><q>{}</q><span class="acts">{}</span></li>').format(
        badge, row.row, fmt.shorten(text, 160), _look(row.row)
    )
