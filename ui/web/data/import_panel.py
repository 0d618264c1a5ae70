"""The ways to get examples: a file, pasted text, a typed table; made from a text or a
topic; a sample.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.datasets.hub import ROWS, is_named
from backend.errors import BadInput
from backend.hosting.policy import Feature
from ui.services.app import App
from ui.services.data import samples
from ui.text import format as fmt
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, html, sent_file, upload_button
from ui.web.data import views as data_views
from ui.web.html import components

LONGEST_NAME = 60  # characters of a topic that names its examples
TABLE_HEADERS = ["What is asked", "What it should answer"]
EMPTY_TABLE = [["", ""] for _ in range(5)]
ALSO_READ = (
    "Also read: Word, PDF, OpenDocument, text, Markdown, web pages, exports of chats, "
    "e-mail, JSON, YAML, Parquet, any of these packed (.gz, .bz2, .xz, .zst), several "
    "at once, and several in one .zip."
)
FROM_HUB = (
    f"A dataset of the Hugging Face hub: hf:OWNER/NAME, of which the first {ROWS:,} "
    "rows are read. Only tables are downloaded, never program code. See on its page "
    "what it holds and what its license allows."
)
MAKE = (
    "No questions and answers yet? Take a handbook, a price list or a web page of "
    "yours, or just a topic. You get one question or passage after another to keep, "
    "change or ask about; the answers are your own sentences."
)
JOIN = "Add to the examples that are open (otherwise those stay under Earlier examples)"

Imported = Callable[
    ..., Updates
]  # a handler's inputs, the id of the import, and what to say of it


class ImportPanel:
    """The chooser. stored: the typed table as the browser stores it."""

    def __init__(self, app: App, stored: gr.JSON) -> None:
        self.app, self.stored = app, stored
        with gr.Accordion(
            "Choose examples", open=False, elem_id="chooser", elem_classes="fold-block"
        ) as self.chooser:
            with gr.Tabs(elem_classes="ways"):
                with gr.Tab("Upload"):
                    looks: dict[str, Any] = {
                        "height": 150,
                        "show_label": False,
                        "elem_classes": "drop",
                    }
                    label = "Your examples as a file, or several"
                    self.upload = gr.File(
                        label=label, file_count="multiple", elem_id="upload", **looks
                    )
                    html(data_views.templates())
                    stays, limits = (
                        "The file stays on this computer.",
                        app.policy.limits,
                    )
                    if app.policy.demo:
                        size, rows = fmt.size(limits.upload), fmt.number(limits.rows)
                        stays = (
                            f"At most {size} and {rows} examples. The file goes to this "
                            "server; don't upload anything private."
                        )
                    html(components.text(f"{ALSO_READ} {stays}", "small"))
                with gr.Tab("Paste"):
                    paste = "Paste JSON lines or a table with a heading"
                    looks = {
                        "lines": 7,
                        "max_lines": 16,
                        "elem_id": "pasted",
                        "elem_classes": "keeps",
                    }
                    self.pasted = gr.Textbox(
                        label="Examples as text", placeholder=paste, **looks
                    )
                    self.join_text = gr.Checkbox(
                        False,
                        label=JOIN,
                        visible=False,
                        elem_id="join-text",
                    )
                    self.use_text = button("Read this")
                    if not app.policy.why_not(Feature.HUB_DATA):
                        html(components.text(FROM_HUB, "small"))
                with gr.Tab("Type"):
                    self.typed = gr.Dataframe(
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
                    self.join_table = gr.Checkbox(
                        False,
                        label=JOIN,
                        visible=False,
                        elem_id="join-table",
                    )
                    with gr.Row(elem_classes="actions"):
                        self.add_row = button("Add a row", elem_id="add-row")
                        self.use_table = button("Read these")
            html(Markup("<h2>Or make examples</h2>"), elem_classes="group-name")
            with gr.Column(elem_classes="make-examples"):
                html(components.text(MAKE))
                self.join = gr.Checkbox(True, label=JOIN, visible=False, elem_id="join")
                with gr.Row(elem_classes="actions"):
                    self.material = upload_button(
                        "Choose a document or a table", None, "material"
                    )
                topic = "Or paste a text, or name a topic"
                looks = {
                    "lines": 2,
                    "max_lines": 8,
                    "elem_id": "topic",
                    "elem_classes": "keeps",
                }
                self.topic = gr.Textbox(
                    label=topic, placeholder="Questions to a bicycle workshop", **looks
                )
                with gr.Row(elem_classes="actions"):
                    self.make = button(
                        "Make examples from this", elem_id="make-examples"
                    )
            html(Markup("<h2>Or use ours</h2>"), elem_classes="group-name")
            self.samples = clickable()
            self.earlier = clickable(elem_id="earlier")
        choosing = [
            self.chooser,
            self.samples,
            self.upload,
            self.material,
            self.typed,
            self.pasted,
            self.earlier,
        ]
        self.joins = [self.join, self.join_text, self.join_table]
        self.outputs: list[Any] = [*choosing, *self.joins]

    def show(self, wanted: bool, data_id: str, close: bool = False) -> Updates:
        """wanted: whether to open the chooser. close: or close it, else it stays as it
        is. data_id: what is open.
        """
        opened: dict[str, Any] = {"open": wanted} if wanted or close else {}
        return {
            self.chooser: gr.update(
                label="Choose other examples" if data_id else "Choose examples",
                **opened,
            ),
            self.samples: data_views.samples(samples.SAMPLES),
            self.earlier: data_views.earlier(self.app.datasets.all(), data_id),
            **{
                join: gr.update(visible=bool(data_id) and not self.app.policy.demo)
                for join in self.joins
            },
        }

    def restore(self, inputs: Inputs) -> Updates:
        """The table that was typed before the page was loaded again."""
        rows = inputs[self.stored]
        texts = isinstance(rows, list) and all(
            isinstance(row, list) and all(isinstance(cell, str) for cell in row)
            for row in rows
        )
        return {self.typed: rows} if texts and rows else {}

    def listen(
        self, state: BrowserState, imported: Imported, outputs: list[Any]
    ) -> None:
        """Each way starts an import and answers with `imported`, which may fill
        `outputs`.
        """
        datasets = self.app.datasets

        def take_files(inputs: Inputs, paths: Sequence[Path]) -> Updates:
            choice = state.choice(inputs)
            started = datasets.import_files(paths, choice.model_id, choice.task)
            return imported(inputs, started)

        def take_sample(event: gr.EventData, inputs: Inputs) -> Updates:
            name = clicked(event)[1]
            taken = [sample.path for sample in samples.SAMPLES if sample.name == name]
            return take_files(inputs, taken) if taken else {}

        def take_file(inputs: Inputs) -> Updates:
            if not (sent := [Path(path) for path in inputs[self.upload] or ()]):
                return {}
            return {self.upload: None, **take_files(inputs, sent)}

        def make_from(inputs: Inputs, source: Path | str, name: str) -> Updates:
            choice = state.choice(inputs)
            if self.app.policy.demo or not (choice.data_id and inputs[self.join]):
                return imported(
                    inputs,
                    self.app.drafting.import_material(source, name, choice.model_id),
                )
            self.app.drafting.add_source(choice.data_id, source, name)
            return imported(
                inputs, "", f"{name} was added to what examples are made from."
            )

        def take_material(inputs: Inputs) -> Any:
            path = sent_file(inputs[self.material])
            return {self.material: None, **make_from(inputs, path, path.name)}

        def take_topic(inputs: Inputs) -> Updates:
            text = (inputs[self.topic] or "").strip()
            if not text:
                raise BadInput(
                    "There is no text.",
                    "The field is empty.",
                    "Paste a text, or name a topic.",
                )
            return make_from(
                inputs,
                text,
                fmt.shorten(
                    text.strip("#*_ \n").partition("\n")[0] or text, LONGEST_NAME
                ),
            )

        def take(inputs: Inputs, text: str, join: gr.Checkbox, *name: str) -> Updates:
            """Adds examples to those that are open, if the person chose so, or else
            imports them.
            """
            choice = state.choice(inputs)
            if self.app.policy.demo or not (
                choice.data_id and inputs[join] and text.strip()
            ):
                started = datasets.import_text(
                    text, choice.model_id, choice.task, *name
                )
                return imported(inputs, started)
            added = self.app.edits.add_text(choice.data_id, text)
            return imported(
                inputs,
                "",
                f"{fmt.count(added, 'example')} added to those that are open.",
            )

        def take_text(inputs: Inputs) -> Updates:
            text = inputs[self.pasted] or ""
            choice = state.choice(inputs)
            if not is_named(text):
                shown = take(inputs, text, self.join_text)
                is_read = not state.changed(shown).get(
                    "import_id"
                )  # else reading it may still fail
                return {**shown, self.pasted: ""} if is_read else shown
            if choice.data_id and inputs[self.join_text]:
                what, untick = (
                    "A dataset of the hub can't be added to others.",
                    "Untick the box above the button.",
                )
                raise BadInput(what, "It is imported by itself.", untick)
            started = datasets.import_from_hub(text, choice.model_id, choice.task)
            return imported(inputs, started)

        def rows_of(inputs: Inputs) -> list[list[str]]:
            return [
                ["" if cell is None else str(cell) for cell in row]
                for row in inputs[self.typed] or []
            ]

        def add_row(inputs: Inputs) -> Updates:
            return {self.typed: [*rows_of(inputs), ["", ""]]}

        def take_table(inputs: Inputs) -> Updates:
            return take(
                inputs,
                samples.table_as_lines(rows_of(inputs)),
                self.join_table,
                "Typed examples",
            )

        state.listen(self.samples.click, take_sample, outputs)
        state.listen(self.upload.upload, take_file, outputs, self.upload)
        state.listen(
            self.material.upload, take_material, outputs, self.material, self.join
        )
        state.listen(self.make.click, take_topic, outputs, self.topic, self.join)
        state.listen(
            self.use_text.click, take_text, outputs, self.pasted, self.join_text
        )
        state.listen(
            self.use_table.click, take_table, outputs, self.typed, self.join_table
        )
        state.listen(self.add_row.click, add_row, [self.typed], self.typed)
        self.typed.input(
            None, self.typed, None, js="apprentice.store.saveTable", **PRIVATE
        )
