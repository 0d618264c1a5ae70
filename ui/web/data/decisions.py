"""What needs the person, one at a time: a row, what would change, and buttons that say
what they do.
"""

from collections.abc import Sequence

from markupsafe import Markup

from backend.datasets.checks.answers import CHOICE
from backend.datasets.checks.fix import FIXABLE
from backend.datasets.checks.issues import GUESSES, ISSUE_TYPES, issue_title
from backend.datasets.checks.personal_data import PERSONAL
from backend.datasets.dataset import CheckedDataset
from backend.datasets.read.cells import DROP
from backend.records.rows import Problem
from backend.text.conversation import last_answer
from ui.text import format as fmt
from ui.web.data import before_after
from ui.web.html import components

COPIES = ("duplicate", "near_duplicate")
_LISTED = 6  # answers, and examples of each
CALM = (
    "chat",
    "preference_pairs",
    "spare_cells",
    "split_texts",
    "too_few",
    "too_many",
)
LATER = (*CALM, "health_claims")  # shown once nothing is left to decide
_AS_READ = Markup('<div class="row-as-read"><p class="small">{}</p>{}</div>')


def card(data: CheckedDataset) -> Markup:
    """The first decision; empty when none is left."""
    left = data.waiting
    if not left:
        return components.EMPTY
    first, rows = left[0], {problem.row for problem in left}
    progress = components.badge(f"{fmt.count(len(rows), 'example')} to decide", "calm")
    alike = [problem for problem in left if problem.kind == first.kind]
    at_once = (
        [each for each in alike if each.fix.startswith(DROP)]
        if first.fix.startswith(DROP)
        else [first]
    )
    effects = components.join(
        _effect(problem, data) for problem in at_once[: before_after.SHOWN]
    )
    acts = components.acts(*answers(first, alike, data))
    parts = (
        (acts, effects) if first.kind == CHOICE else (effects, acts)
    )  # whose buttons have the answers themselves
    shown = Markup('<div class="ask" data-kind="{}">{}{}</div>').format(
        first.kind, *parts
    )
    return components.card(
        issue_title(first.kind), shown, lead=first.message, aside=progress
    )


def _effect(problem: Problem, data: CheckedDataset) -> Markup:
    """The row as it is, and what the fix makes of it or which other row stays."""
    original = next((row for row in data.original.rows if row.row == problem.row), None)
    name, row = (
        f"Example {problem.row}, {problem.place}",
        data.now.get(problem.row, original),
    )
    if problem.kind == CHOICE:
        groups = data.contradicting[problem.row]
        listed = [
            (fmt.listed([f"example {each.row}" for each in same][:_LISTED]), same[0])
            for same in groups
        ]
        return components.join(
            _AS_READ.format(at.capitalize(), before_after.example(row))
            for at, row in listed
        )
    if row is None:  # it could not be read; cells without a column are marked
        width = len(data.original.source.mapping) + len(data.original.source.ignored)
        cells = (
            problem.quote.split(" | ")
            if problem.fix.startswith(DROP)
            else [problem.quote]
        )
        marked = [
            before_after.DELETED.format(cell) if at >= width else cell
            for at, cell in enumerate(cells)
        ]
        return _AS_READ.format(
            name, Markup("<p>{}</p>").format(Markup(" | ").join(marked))
        )
    change = next(
        (
            c
            for c in data.fix_previews.get(problem.kind, ())
            if c.row == problem.row and c.after
        ),
        None,
    )
    title, after = "After", components.text("Removed.", "fault")
    if change:
        after = before_after.after(change)
    elif problem.kind in COPIES:  # of the first one, which stays
        first = next(
            (
                group[0]
                for group in data.report.duplicates.groups
                if row.row in group[1:]
            ),
            None,
        )
        if twin := next(
            (other for other in data.original.rows if other.row == first), None
        ):
            title, after = (
                f"Example {twin.row}, which stays",
                before_after.example(twin),
            )
    return before_after.side_by_side(
        "As it is", title, [(name, before_after.example(row), after)]
    )


def answers(
    problem: Problem, alike: Sequence[Problem], data: CheckedDataset
) -> list[Markup]:
    """At most three buttons, or one for each of several answers."""
    if problem.kind == CHOICE:
        given = data.contradicting[problem.row]
        total, picks = sum(map(len, given)), []
        for same in given[:_LISTED]:
            often = (
                f" ({len(same):,} of {total:,} examples)" if total > len(given) else ""
            )
            label = f"“{fmt.shorten(last_answer(same[0]), 60)}” is right{often}"
            picks.append(components.button(label, "pick", same[0].row))
        return [
            *picks,
            components.button(
                f"Keep {fmt.all_of(total)}", "pick", f"all:{problem.row}"
            ),
        ]
    kind, at, many = problem.kind, f"{problem.kind}:{problem.row}", len(alike)
    unread, where = kind in data.unreadable, f"example {problem.row}"
    drop = unread and problem.fix.startswith(DROP)
    fix = "Remove this row" if unread else ISSUE_TYPES[kind].fix.rstrip(".")
    alike_rows = (
        "extra copies" if kind in COPIES else "of these rows" if unread else "like this"
    )
    all_alike = f"{'Remove' if fix.startswith('Remove this') else 'Fix'} {fmt.all_of(many)} {alike_rows}"
    acts = []
    if drop:
        spare = sum(
            each.fix.startswith(DROP) for each in alike
        )  # other rows have too few cells
        what = (
            f"{DROP} spare cells of {fmt.all_of(spare)} rows"
            if spare > 1
            else problem.fix.rstrip(".")
        )
        acts.append(components.button(what, "drop-cells", "", "firm"))
        if any(p.kind == "split_texts" for p in data.problems):
            acts.append(components.button("Join them into one text", "join-cells"))
    acts.append(
        components.button(
            fix, "accept", at, "quiet" if drop else "firm", f"{fix}: {where}"
        )
    )
    if many > 1 and len(acts) < 3:
        acts.append(components.button(all_alike, "accept", kind))
    if problem.severity != "error":
        if many > 1 and any(
            data.info.is_refused(p) for p in data.problems if p.kind == kind
        ):
            acts.append(
                components.button(f"Keep {fmt.all_of(many)} as they are", "keep", kind)
            )
        else:
            acts.append(
                components.button(
                    "Keep it as it is", "refuse", at, label=f"Keep it as it is: {where}"
                )
            )
    if len(acts) < 3 and not unread:
        acts.append(
            components.button(
                "Edit it", "edit-row", problem.row, label=f"Edit it: {where}"
            )
        )
    return acts


def warnings(data: CheckedDataset) -> Markup:
    """The warnings that no button answers, each kind once; what is only good to know
    waits for the decisions.
    """
    kinds: dict[str, list[Problem]] = {}
    for problem in data.problems:
        answered = (
            problem.kind in GUESSES
            or problem.kind in data.unreadable
            or problem.severity == "note"
        )
        answered |= problem.kind in FIXABLE and problem.row > 0
        late = problem.kind in LATER or problem.kind in FIXABLE
        hidden = (
            data.info.is_refused(problem)
            or problem.row in data.dropped
            or (data.waiting and late)
        )
        if (
            not answered
            and not hidden
            and not (problem.kind == "too_few" and data.too_few)
        ):
            kinds.setdefault(problem.kind, []).append(problem)
    shown = []
    for kind, (first, *more) in kinds.items():
        title = issue_title(kind)
        counted = (
            f"{title}: {fmt.count(1 + len(more), 'example')}" if first.row else title
        )
        fix = "" if kind in FIXABLE else first.fix
        shown.append(
            components.alert(
                "calm" if kind in CALM else "warn", counted, first.message, fix
            )
        )
        if kind not in CALM and first.severity != "error":
            fix_all = [
                components.button(f"{first.fix.rstrip('.')} everywhere", "accept", kind)
            ] * (kind in PERSONAL)
            fine = components.button(
                "That is fine", "refuse", kind, label=f"That is fine: {title}"
            )
            shown.append(
                Markup('<div class="after-alert">{}</div>').format(
                    components.acts(*fix_all, fine)
                )
            )
    return components.join(shown)
