"""The question whom the model should learn to write like, where an export of a chat does not say."""

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from backend.datasets.chats.people import WHOEVER_ANSWERS
from ui.text import format as fmt
from ui.web.html import components

SHOWN = 60  # people to choose from
HINT = "Choose one, or several who answer for the same side; everyone else asks."


def ask_people(people: Iterable[tuple[str, int]], chosen: Iterable[str] = ()) -> Markup:
    """A form with a checkbox for each person in a chat. people: each with the number of their messages."""
    people, chosen = list(people), set(chosen)
    boxes = [
        _box(f"person-{number}", name, name, fmt.count(count, "message") if count else "", name in chosen)
        for number, (name, count) in enumerate(people[:SHOWN])
    ]
    if len(people) > 2:
        anybody = WHOEVER_ANSWERS in chosen
        boxes.append(_box("person-any", WHOEVER_ANSWERS, "Whoever answers", "the first to write asks", anybody))
    legend = Markup("<legend>Learn to write like</legend>")
    fields = Markup('<fieldset class="people">{}{}</fieldset>').format(legend, components.join(boxes))
    send = Markup('<button type="submit" class="btn firm">Read it this way</button>')
    return components.form("people", fields, send, kind="how")


def _box(field: str, value: str, text: str, small: str, checked: bool) -> Markup:
    mark = Markup(" checked") if checked else ""
    note = Markup(" <small>{}</small>").format(small) if small else ""
    return Markup(
        '<label class="tick"><input type="checkbox" name="{}" value="{}"{}><span>{}{}</span></label>'
    ).format(field, value, mark, text, note)


def sent_people(value: str) -> dict[str, Any]:
    """The ticked people as the field of ReadOptions; {} when none is. value: comes from the browser."""
    ticked = [name for field, name in components.fields(value).items() if field.startswith("person-")]
    return {"imitate": ticked} if ticked else {}
