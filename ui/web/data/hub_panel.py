"""Adding a dataset from the Hugging Face hub: its name, what there is to choose, and the choice."""

from collections.abc import Callable
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.datasets.hub import ROWS, HubDataset
from ui.services.app import App
from ui.text import format as fmt
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, html
from ui.web.errors import handler
from ui.web.html import components

ABOUT = (
    "Only tables are downloaded, never program code. Look at the dataset's page first: what it holds, who made it, "
    "and what its license allows."
)


class HubPanel:
    """results: the dataset that was looked up, with the form."""

    def __init__(self, app: App) -> None:
        self.app = app
        with gr.Row(elem_classes="actions"):
            name = "Name of the dataset"
            self.name = gr.Textbox(label=name, placeholder="owner/name", max_lines=1, elem_id="hub-name", scale=1)
            self.look = button("Look it up")
        html(components.text(ABOUT, "small"))
        self.results = clickable(elem_id="hub-found")

    def listen(self, state: BrowserState, imported: Callable[[Inputs, str], Updates], outputs: list[Any]) -> None:
        @handler
        def look_up(inputs: Inputs) -> Updates:
            return {self.results: choices(self.app.hub_data.look_up(str(inputs[self.name] or "")))}

        @handler
        def start(event: gr.EventData, inputs: Inputs) -> Updates:
            action, value = clicked(event)
            name, _, commit = action.removeprefix("hub:").partition("@")
            form, model_id = components.fields(value), state.choice(inputs).model_id
            typed = form.get("rows", "")
            rows = int(typed) if typed.isdecimal() and len(typed) < 10 else 0
            data_id = self.app.hub_data.start(name, commit, form.get("split", ""), rows, model_id)
            return {self.results: components.EMPTY, **imported(inputs, data_id)}

        quiet: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": [self.results]}
        state.listen(self.look.click, look_up, [self.results], self.name, **quiet)
        state.listen(self.name.submit, look_up, [self.results], self.name, **quiet)
        state.listen(self.results.click, start, [self.results, *outputs])


def choices(dataset: HubDataset) -> Markup:
    """A dataset's license, version and access, and a form to choose a split and a number of rows."""
    licence = dataset.licence or "its card states none: ask its makers before you use it"
    lines = [
        ("License", licence, ""),
        ("Version", dataset.commit[:8], "Exactly this commit is downloaded."),
        ("Access", "its makers approve each download" if dataset.gated else "public", ""),
    ]
    page = components.external_link(f"https://huggingface.co/datasets/{dataset.id}", "Its page on Hugging Face")
    parts = []
    for part in dataset.splits:
        count = f"{fmt.count(part.rows, 'row')}, " if part.rows else ""
        parts.append((part.name, f"{part.name}: {count}{fmt.bytes_of(part.bytes)}"))
    split = Markup('<label>Part (split)<select name="split">{}</select></label>').format(
        components.options(parts, dataset.split("").name)
    )
    rows = Markup(
        "<label>Rows to read, from the start"
        '<input type="number" name="rows" min="1" max="1000000" value="{}" required></label>'
    ).format(ROWS)
    chosen = Markup('<div class="choose">{}{}</div>').format(split, rows)
    send = components.submit("Download and read")
    form = components.form(f"hub:{dataset.id}@{dataset.commit}", chosen, send, kind="how")
    return components.card(dataset.id, components.rows(lines), form, aside=page)
