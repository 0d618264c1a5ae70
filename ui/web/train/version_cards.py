"""The next version of a model as HTML: where it starts, above its plan."""

from pathlib import Path

from markupsafe import Markup

from backend.files.json_file import read_json
from backend.runs.division import Changes
from ui.text import format as fmt
from ui.web.html import components

_TEXTS = read_json(Path(__file__).with_suffix(".json"))
_WAYS: dict[str, tuple[str, str]] = _TEXTS["ways"]
_NONE_JUDGED: str = _TEXTS["none_judged"]


def before(
    name: str, number: int, before_it: int, from_base: bool, why_not: str, changes: Changes | None = None
) -> Markup:
    """Where the planned version starts.

    number: of the planned version
    before_it: the number of the version before
    from_base: whether it is to start from the base model
    why_not: why it can't continue the one before; "" when it can
    changes: of the examples since then; None where they are not known
    """
    reasons = {"continue": why_not}
    start = [(do, *(text.format(before=before_it) for text in _WAYS[do]), reasons.get(do, "")) for do in _WAYS]
    lines = (_start(*way, chosen=(way[0] == "from-base") == from_base) for way in start)
    return components.card(
        f"Version {number} of {name}",
        Markup('<ul class="ready">{}</ul>').format(components.join(lines)),
        components.acts(components.button("Train a new model instead", "no-version")),
        lead=compared(changes, before_it) if changes else "",
    )


def compared(changes: Changes, before_it: int) -> str:
    """How the examples differ from those of version `before_it`, and on which the two versions can be compared."""
    parts = []
    if changes.new:
        parts.append(f"{fmt.number(changes.new)} of your examples {_are(changes.new)} new or changed")
    if changes.gone:
        parts.append(f"{fmt.number(changes.gone)} of its examples {_are(changes.gone)} gone or changed")
    if changes.moved:
        was = "was" if changes.moved == 1 else "were"
        parts.append(f"{fmt.count(changes.moved, 'example')} that {was} set aside {_are(changes.moved)} now learned")
    since = f"Since version {before_it}, {fmt.listed(parts)}." if parts else "It learned from these same examples."
    if changes.judging:
        some = fmt.count(changes.judging, "example that judged", "examples that judged")
        return f"{since} The {some} version {before_it} stay set aside, so that the two can be compared."
    return f"{since} {_NONE_JUDGED.format(before=before_it)}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _start(do: str, title: str, meaning: str, why_not: str, *, chosen: bool) -> Markup:
    mark = components.button("Choose", do, kind="firm", label=f"Choose: {title}")
    if chosen:
        mark = components.badge("chosen", "good")
    elif why_not:
        mark = components.badge("not possible", "calm")
    return Markup("<li><div><strong>{}</strong>{}{}</div>{}</li>").format(
        title, components.text(meaning), components.text(why_not, "small"), mark
    )
