"""Data: bring examples, see what is wrong with them and mend it, see what will be learned."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from backend.errors import BadInput
from ui import cards, data_views, messages
from ui.choice import Choice
from ui.messages import handler
from ui.parts import LISTEN, Given, Kept, Updates, button, drawn, pressable, pressed, primary

TABLE_HEADERS = ["What is asked", "What it should answer"]
NOTHING_YET = "Bring your examples, or take ours to try it out.", "Then you see what it will learn."
EMPTY_TABLE = [["", ""] for _ in range(5)]


@dataclass
class DataTab:
    services: Any
    line: gr.HTML
    chooser: gr.Accordion
    samples: gr.HTML
    found: gr.Column
    summary: gr.HTML
    problems: gr.HTML
    row: gr.Number
    bubbles: gr.HTML
    counted: gr.HTML
    tokens: gr.HTML
    forward: gr.Button
    reason: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        fixed = [self.line, self.chooser, self.samples, self.found, self.summary, self.problems]
        return [*fixed, *self.preview_outputs, self.forward, self.reason]

    @property
    def preview_outputs(self) -> list[Any]:
        return [self.row, self.bubbles, self.counted, self.tokens]

    def show(self, choice: Choice, row: int = 1) -> Updates:
        samples = data_views.samples(self.services.samples())
        if not choice.data_id:
            return {
                self.line: cards.guide(2, *NOTHING_YET),
                self.chooser: gr.update(open=True),
                self.samples: samples,
                self.found: gr.update(visible=False),
                self.forward: gr.update(interactive=False),
                self.reason: "Bring some examples first.",
            }
        data = self.services.data(choice.data_id, choice.model_id)
        return {
            self.line: data_views.guide(data),
            self.chooser: gr.update(open=not data.rows),
            self.samples: samples,
            self.found: gr.update(visible=True),
            self.summary: data_views.summary(data),
            self.problems: data_views.problems(data),
            **self.preview(choice, row, data.rows),
            self.forward: gr.update(interactive=not data.blocked),
            self.reason: data.blocked,
        }

    def preview(self, choice: Choice, row: int, rows: int) -> Updates:
        """One example as bubbles and as tokens."""
        row = min(max(1, row), max(1, rows))
        shown: Updates = {self.row: gr.update(value=row, maximum=max(1, rows), label=f"Example, of {rows}")}
        try:
            preview = self.services.preview(choice.data_id, row, choice.model_id)
        except BadInput as error:
            return {**shown, self.bubbles: messages.error_alert(error), self.counted: "", self.tokens: ""}
        return {
            **shown,
            self.bubbles: cards.bubbles(preview.messages),
            self.counted: data_views.token_count(preview.pieces),
            self.tokens: cards.tokens(preview.pieces),
        }

    def signature(self, choice: Choice) -> Hashable:
        return choice.data_id, self.services.model_ready(choice.model_id)


def build(services: Any, kept: Kept) -> DataTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(cards.guide(2, *NOTHING_YET), elem_classes="guide")
    with gr.Accordion("Choose examples", open=True, elem_classes="fold-block") as chooser:
        samples = pressable()
        with gr.Tabs(elem_classes="ways"):
            with gr.Tab("Upload a file"):
                upload = gr.File(
                    label="JSON, JSONL, CSV, Excel or Parquet",
                    file_count="single",
                    height=150,
                    elem_classes="drop",
                    show_label=False,
                )
                drawn(
                    cards.text(
                        "JSON, JSONL, CSV, Excel, Parquet or plain text. The file stays on this computer.", "small"
                    )
                )
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
                    wrap=True,
                    interactive=True,
                    label="Your examples",
                    show_label=False,
                    buttons=[],
                )
                use_table = button("Read these")
    with gr.Column(visible=False) as found:
        summary = drawn()
        problems = pressable()
        with gr.Column(elem_classes="card preview"):
            drawn(f"<h2>What the model will learn</h2>{data_views.SWATCHES}")
            with gr.Row(elem_classes="stepper"):
                back = button("Previous", elem_id="row-back")
                row = gr.Number(
                    1, minimum=1, precision=0, label="Example", min_width=0, scale=0, elem_id="row-number"
                )
                on = button("Next", elem_id="row-on")
            with gr.Row(elem_classes="pair"):
                bubbles = drawn()
                with gr.Column():
                    counted = drawn()
                    tokens = drawn()
    with gr.Row(elem_classes="actions"):
        forward = primary("Go on to training", interactive=False, elem_id="to-train")
        reason = drawn(elem_classes="reason")

    tab = DataTab(
        services, line, chooser, samples, found, summary, problems, row, bubbles, counted, tokens, forward, reason
    )

    def taken(given: Given, data_id: str) -> Updates:
        before = kept.choice(given)
        choice = before.but(data_id=data_id, run_id="")
        return {**kept.keep(before, choice), **tab.show(choice)}

    @handler
    def take_sample(event: gr.EventData, given: Given) -> Updates:
        _, name = pressed(event)
        known = {sample.name: sample.path for sample in services.samples()}
        return taken(given, services.add_data(known[name], known[name].name)) if name in known else gr.skip()

    @handler
    def take_file(given: Given) -> Updates:
        path = given[upload]
        return taken(given, services.add_data(Path(path), Path(path).name)) if path else gr.skip()

    @handler
    def take_text(given: Given) -> Updates:
        return taken(given, services.add_text(given[pasted] or ""))

    @handler
    def take_table(given: Given) -> Updates:
        cells = [["" if cell is None else str(cell) for cell in line] for line in given[typed]]
        return taken(given, services.add_table([line for line in cells if any(cell.strip() for cell in line)]))

    @handler
    def mend(event: gr.EventData, given: Given) -> Updates:
        choice, (do, value) = kept.choice(given), pressed(event)
        kind, _, at = value.partition(":")
        if do == "accept":
            services.accept(choice.data_id, kind, [int(at)] if at.isdecimal() else "all")
        elif do == "accept-all":
            for wrong in data_views.must_mend(services.data(choice.data_id, choice.model_id)):
                services.accept(choice.data_id, wrong, "all")
        elif do == "undo":
            services.refuse(choice.data_id, kind)
        return tab.show(choice, int(given[row] or 1))

    def turning(step: int) -> Any:
        @handler
        def turn(given: Given) -> Updates:
            choice = kept.choice(given)
            rows = services.data(choice.data_id, choice.model_id).rows
            return tab.preview(choice, int(given[row] or 1) + step, rows)

        return turn

    everything = [*kept.outputs, *tab.outputs]
    reading: dict[str, Any] = {**LISTEN, "show_progress": "minimal", "show_progress_on": [line]}
    samples.click(take_sample, kept.inputs(), everything, **reading)
    upload.upload(take_file, kept.inputs(upload), everything, **reading)
    use_text.click(take_text, kept.inputs(pasted), everything, **reading)
    use_table.click(take_table, kept.inputs(typed), everything, **reading)
    problems.click(mend, kept.inputs(row), tab.outputs, **LISTEN)
    for trigger, step in ((back.click, -1), (on.click, 1), (row.submit, 0)):
        trigger(turning(step), kept.inputs(row), tab.preview_outputs, **LISTEN)
    return tab
