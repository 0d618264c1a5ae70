"""The ways to bring examples: a sample, a file, pasted text, a typed table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ui.services.app import App
from ui.web.components import LISTEN, Given, Kept, Updates, button, clickable, drawn, pressed
from ui.web.data import views as data_views
from ui.web.errors import handler
from ui.web.html import components

KINDS = "JSON, JSONL, CSV, Excel, Parquet, plain text, or one of these packed with gzip."
TABLE_HEADERS = ["What is asked", "What it should answer"]
EMPTY_TABLE = [["", ""] for _ in range(5)]
CELLS = 200_000  # characters of a typed table that the browser keeps

Taken = Callable[[Given, str], Updates]  # what a handler was given, and the id of what is being read


@dataclass
class ImportPanel:
    """The chooser's parts. typed_kept: the typed table as this browser keeps it."""

    app: App
    chooser: gr.Accordion
    samples: gr.HTML
    upload: gr.File
    pasted: gr.Textbox
    use_text: gr.Button
    typed: gr.Dataframe
    typed_kept: gr.BrowserState
    use_table: gr.Button
    earlier: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        return [self.chooser, self.samples, self.upload, self.typed, self.earlier]

    def show(self, wanted: bool, data_id: str) -> Updates:
        """wanted: examples are asked for. Otherwise the chooser stays as the person left it."""
        opened: Updates = {self.chooser: gr.update(open=True)} if wanted else {}
        return {
            self.samples: data_views.samples(self.app.datasets.samples()),
            self.earlier: data_views.earlier(self.app.datasets.all(), data_id),
            **opened,
        }

    def restore(self, given: Given) -> Updates:
        """The table that was typed here before the page was loaded again."""
        cells = given[self.typed_kept]
        texts = isinstance(cells, list) and all(
            isinstance(line, list) and all(isinstance(cell, str) for cell in line) for line in cells
        )
        return {self.typed: cells} if texts and cells else {}

    def listen(self, kept: Kept, taken: Taken, outputs: list[Any]) -> None:
        """What each way of bringing does; `outputs` are what `taken` may fill."""

        @handler
        def take_sample(event: gr.EventData, given: Given) -> Any:
            _, name = pressed(event)
            known = {sample.name: sample.path for sample in self.app.datasets.samples()}
            if name not in known:
                return gr.skip()
            return taken(
                given, self.app.datasets.import_file(known[name], known[name].name, kept.choice(given).model_id)
            )

        @handler
        def take_file(given: Given) -> Any:
            path = given[self.upload]
            if not path:
                return gr.skip()
            import_id = self.app.datasets.import_file(Path(path), Path(path).name, kept.choice(given).model_id)
            return {self.upload: None, **taken(given, import_id)}

        @handler
        def take_text(given: Given) -> Updates:
            return taken(given, self.app.datasets.import_text(given[self.pasted] or "", kept.choice(given).model_id))

        @handler
        def take_table(given: Given) -> Updates:
            filled = [line for line in _cells(given[self.typed]) if any(cell.strip() for cell in line)]
            return taken(given, self.app.datasets.import_table(filled, kept.choice(given).model_id))

        @handler
        def keep_table(given: Given) -> Updates:
            cells = _cells(given[self.typed])
            small = sum(len(cell) for line in cells for cell in line) <= CELLS
            return {self.typed_kept: cells if small else gr.skip()}

        reading: dict[str, Any] = {**LISTEN, "show_progress": "minimal", "show_progress_on": [self.samples]}
        self.samples.click(take_sample, kept.inputs(), outputs, **reading)
        self.upload.upload(take_file, kept.inputs(self.upload), outputs, **reading)
        self.use_text.click(take_text, kept.inputs(self.pasted), outputs, **reading)
        self.use_table.click(take_table, kept.inputs(self.typed), outputs, **reading)
        self.typed.input(keep_table, {self.typed}, self.typed_kept, **LISTEN)


def build(app: App) -> ImportPanel:
    """Draws the chooser."""
    with gr.Accordion("Choose examples", open=False, elem_classes="fold-block") as chooser:
        samples = clickable()
        with gr.Tabs(elem_classes="ways"):
            with gr.Tab("Upload a file"):
                upload = gr.File(
                    label="Your examples as a file",
                    file_count="single",
                    height=150,
                    elem_classes="drop",
                    elem_id="upload",
                    show_label=False,
                )
                drawn(components.text(f"{KINDS} The file stays on this computer.", "small"))
            with gr.Tab("Paste"):
                pasted = gr.Textbox(
                    label="Examples as text",
                    lines=7,
                    max_lines=16,
                    placeholder="Paste JSON lines or a table with a heading",
                )
                use_text = button("Read this")
            with gr.Tab("Type them in"):
                typed = gr.Dataframe(
                    EMPTY_TABLE,
                    headers=TABLE_HEADERS,
                    type="array",
                    column_count=2,
                    column_widths=["50%", "50%"],
                    wrap=True,
                    interactive=True,
                    label="Your examples",
                    show_label=False,
                    buttons=[],
                )
                use_table = button("Read these")
        earlier = clickable(elem_id="earlier")
    typed_kept = gr.BrowserState(None, storage_key="apprentice-table", secret="apprentice")  # noqa: S106
    return ImportPanel(app, chooser, samples, upload, pasted, use_text, typed, typed_kept, use_table, earlier)


def _cells(table: Any) -> list[list[str]]:
    return [["" if cell is None else str(cell) for cell in line] for line in table or []]
