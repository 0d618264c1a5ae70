"""The few gradio parts that every tab is made of, each set up once."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Hashable
from dataclasses import asdict
from typing import Any, Protocol

import gradio as gr
from markupsafe import escape

from ui.services.selection import Choice

Updates = dict[Any, Any]  # component -> its new value or gr.update
Given = dict[Any, Any]  # component -> what it holds, as a handler with a set of inputs is given it
STORAGE_KEY = "apprentice"


class Kept:
    """The `Choice` as this browser keeps it. Each field is kept apart, so that two answers that cross on their way
    never overwrite each other's; and as the one item of a list, since gradio's BrowserState never writes down an
    empty value, so that after a reload what was cleared would be back."""

    def __init__(self) -> None:
        self._parts = {
            name: gr.BrowserState([value], storage_key=f"{STORAGE_KEY}-{name}", secret=STORAGE_KEY)
            for name, value in asdict(Choice()).items()
        }

    @property
    def outputs(self) -> list[gr.BrowserState]:
        return list(self._parts.values())

    def part(self, name: str) -> gr.BrowserState:
        """What keeps one field of the choice."""
        return self._parts[name]

    def inputs(self, *more: Any) -> set[Any]:
        """For a listener's inputs: what is kept, and more components."""
        return {*self._parts.values(), *more}

    def choice(self, given: Given) -> Choice:
        kept = {name: given[part] for name, part in self._parts.items()}
        return Choice.from_browser(
            {name: value[0] for name, value in kept.items() if isinstance(value, list) and value}
        )

    def keep(self, before: Choice, after: Choice) -> Updates:
        """What to write for the browser to keep: only what differs."""
        old, new = asdict(before), asdict(after)
        return {part: [new[name]] for name, part in self._parts.items() if new[name] != old[name]}


class Tab(Protocol):
    """What the layout needs of a tab. Components that others may touch are fields of the tab's dataclass."""

    line: gr.HTML  # where one is and what comes next

    @property
    def outputs(self) -> list[Any]:
        """Every component that `show` may fill."""

    def show(self, choice: Choice) -> Updates:
        """The whole tab as it stands, from the app."""

    def signature(self, choice: Choice) -> Hashable:
        """Cheap; when it or the choice changes, the timer shows the tab again."""


# A press on a drawn button (cards.button) becomes the component's click event with the button's data; so does a
# drawn form that is sent, with the fields that can be seen as JSON.
_PRESS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (button && !button.disabled) trigger('click', {do: button.dataset.do, value: button.dataset.value || ''});
});
element.addEventListener('submit', (event) => {
  event.preventDefault();
  const seen = [...event.target.elements].filter((field) => field.name && field.offsetParent);
  const fields = Object.fromEntries(seen.map((field) => [field.name, field.value]));
  trigger('click', {do: event.target.dataset.send, value: JSON.stringify(fields)});
});
"""

LISTEN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def _postprocess(part: gr.HTML, value: object) -> str:
    return "" if value is None else str(escape(value))


# A gr.HTML that escapes whatever is not Markup, wherever it comes from. `class` would run gradio's metaclass, which
# writes a stub file beside the source of each component class.
_Html: type[gr.HTML] = ABCMeta.__new__(type(gr.HTML), "Html", (gr.HTML,), {"postprocess": _postprocess})


def drawn(value: str = "", **options: Any) -> gr.HTML:
    """HTML on the page, without gradio's own styling: `Markup`, or text, which is escaped."""
    return _Html(value, js_on_load=None, apply_default_css=False, padding=False, **options)


def clickable(value: str = "", **options: Any) -> gr.HTML:
    """As `drawn`, but its `components.button`s raise the component's click event; read it with `pressed`."""
    return _Html(value, js_on_load=_PRESS, apply_default_css=False, padding=False, **options)


def pressed(event: gr.EventData) -> tuple[str, str]:
    """What was pressed: (do, value). Both come from the browser: `value` is checked by whoever uses it."""
    data = event._data if isinstance(event._data, dict) else {}
    return str(data.get("do", ""))[:100], str(data.get("value", ""))[:10_000]


def button(words: str, **options: Any) -> gr.Button:
    """A quiet button, only as wide as its words."""
    options.setdefault("variant", "secondary")
    return gr.Button(words, min_width=0, scale=0, size="md", **options)


def primary(words: str, **options: Any) -> gr.Button:
    """The one heavy button of a tab."""
    return button(words, variant="primary", **options)
