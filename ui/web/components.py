"""The gradio components that every tab uses, each set up once."""

from abc import ABCMeta
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import escape

from backend.errors import BadInput

# A gr.HTML that escapes whatever is not Markup, wherever it comes from. `class` would
# run gradio's metaclass, which writes a stub file beside the source of each component
# class.
_escaping = {
    "postprocess": lambda part, value: "" if value is None else str(escape(value))
}
_Html: type[gr.HTML] = ABCMeta.__new__(type(gr.HTML), "Html", (gr.HTML,), _escaping)


def html(value: str = "", js: str | None = None, **options: Any) -> gr.HTML:
    """HTML on the page, without gradio's own styling: `Markup`, or text, which is
    escaped. js: run with it.
    """
    return _Html(
        value, js_on_load=js, apply_default_css=False, padding=False, **options
    )


def clickable(value: str = "", **options: Any) -> gr.HTML:
    """As `html`, but its buttons and forms raise the component's click event; read it
    with `clicked`.
    """
    return html(value, "apprentice.listenToButtons(element, trigger)", **options)


_LONGEST_SENT = (
    1_000_000  # characters of a form; one that is longer can't be read as a form
)


def clicked(event: gr.EventData) -> tuple[str, str]:
    """The button that was clicked: (do, value). Both come from the browser: whoever
    uses `value` checks it.
    """
    data = event._data if isinstance(event._data, dict) else {}
    return str(data.get("do", ""))[:100], str(data.get("value", ""))[:_LONGEST_SENT]


def sent_file(value: object) -> Path:
    """The file that an upload field sent. Raises BadInput when it sent none."""
    if not isinstance(value, str) or not value:
        raise BadInput("No file has arrived.", "", "Choose it again.")
    return Path(value)


def button(label: str, **options: Any) -> gr.Button:
    """A plain button, as wide as its label."""
    return gr.Button(label, min_width=0, scale=0, size="md", **options)


def upload_button(
    label: str, suffixes: Iterable[str] | None, elem_id: str
) -> gr.UploadButton:
    """A button that asks for a file, as wide as its label. suffixes: of the files that
    can be chosen; None for any.
    """
    types = None if suffixes is None else list(suffixes)
    return gr.UploadButton(
        label, file_types=types, size="md", min_width=0, scale=0, elem_id=elem_id
    )


def primary(label: str, **options: Any) -> gr.Button:
    """The one main button of a tab."""
    return button(label, variant="primary", **options)


def action_bar() -> gr.Row:
    """The last row of a step, always in view at the foot of the window: its primary
    button, and why that is disabled (html(elem_classes="reason")).
    """
    return gr.Row(elem_classes="actions foot")


def details(key: str, label: str = "Details") -> gr.Accordion:
    """What the step's decision does not need, folded; the browser remembers what was
    opened. key: its element id.
    """
    return gr.Accordion(label, open=False, elem_id=key, elem_classes="details")
