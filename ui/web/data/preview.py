"""What the model will learn: one example as bubbles and as tokens, any by its number, the next that has a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import BadInput
from ui.services.app import App
from ui.services.selection import Choice
from ui.web import errors as web_errors
from ui.web.components import LISTEN, Given, Kept, Updates, button, drawn
from ui.web.data import views as data_views
from ui.web.errors import handler
from ui.web.html import components

# In the browser: the example that is shown now is written into its field, unless another number is being typed there.
_FOLLOW = """(kept, typed) => {
  const before = window.shownRow ?? 1, row = kept?.[0] > 0 ? kept[0] : 1;
  window.shownRow = row;
  return typed === before ? row : undefined;
}"""


@dataclass
class Preview:
    """The preview's parts. row: the example's number in the file; refused: why what was typed there is none."""

    app: App
    row: gr.Number
    refused: gr.HTML
    back: gr.Button
    on: gr.Button
    search: gr.Textbox
    search_back: gr.Button
    search_on: gr.Button
    hits: gr.HTML
    bubbles: gr.HTML
    counted: gr.HTML
    tokens: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        return [self.row, self.refused, self.bubbles, self.counted, self.tokens]

    def show(self, choice: Choice) -> Updates:
        data = self.app.datasets.state(choice)
        total = max(1, data.report.rows)
        shown: Updates = {self.row: gr.update(label=f"Example, of {total:,}")}
        try:
            preview = self.app.datasets.preview(choice)
        except BadInput as error:
            return {**shown, self.bubbles: web_errors.error_alert(error), self.counted: "", self.tokens: ""}
        return {
            **shown,
            self.bubbles: components.bubbles(preview.messages),
            self.counted: data_views.token_count(preview.pieces, preview.note),
            self.tokens: components.tokens(preview.pieces),
        }

    def listen(self, kept: Kept) -> None:
        """What the steps, the number and the search do. A number counts when its field is left, also by a press of
        Next: both then go to it, whichever answer comes first."""

        def gone_to(given: Given, row: int) -> Updates:
            before = kept.choice(given)
            choice = before.replace(row=row)
            return {**kept.keep(before, choice), **self.show(choice), self.hits: ""}

        def going(way: int = 0) -> Any:
            @handler
            def go(given: Given) -> Updates:
                """To the number that is typed, else a step on; a number that no example has is put back, and told."""
                choice, typed = kept.choice(given), given[self.row]
                if typed == choice.row:
                    return gone_to(given, self.app.datasets.step(choice, way)) if way else {self.refused: ""}
                total = self.app.datasets.state(choice).report.rows
                row = _number(typed, total)
                if row is None:
                    return {self.row: choice.row, self.refused: data_views.no_such_example(typed, total)}
                return gone_to(given, row)

            return go

        def finding(way: int) -> Any:
            @handler
            def find(given: Given) -> Updates:
                choice, text = kept.choice(given), str(given[self.search] or "")[:1000]
                found = self.app.datasets.find(choice, text, way)
                said = {self.hits: data_views.hits(found, text)}
                return {**gone_to(given, found.row), **said} if found.row else said

            return find

        typed, outputs = kept.inputs(self.row), [*kept.outputs, *self.outputs, self.hits]
        left = gr.on([self.row.submit, self.row.blur], going(), typed, outputs, trigger_mode="multiple", **LISTEN)
        for trigger, way in ((self.back.click, -1), (self.on.click, 1)):
            trigger(going(way), typed, outputs, **LISTEN)
        searches = ((self.search_back.click, -1), (self.search_on.click, 1), (self.search.submit, 1))
        for trigger, way in searches:
            trigger(finding(way), kept.inputs(self.search), outputs, cancels=[left], **LISTEN)
        row, data_id = kept.part("row"), kept.part("data_id")
        row.change(None, [row, self.row], self.row, js=_FOLLOW, **LISTEN)
        gr.on([row.change, data_id.change], None, None, self.refused, js="() => ''", **LISTEN)


def _number(typed: object, total: int) -> int | None:
    """The number of an example that was typed, as the browser sends it; None where there is none with it."""
    if isinstance(typed, bool) or not isinstance(typed, (int, float)) or typed not in range(1, total + 1):
        return None
    return int(typed)


def build(app: App) -> Preview:
    """Draws the preview."""
    with gr.Column(elem_classes="card preview", elem_id="preview"):
        drawn(Markup("<h2>What the model will learn</h2>{}").format(data_views.SWATCHES))
        with gr.Row(elem_classes="tools"):
            with gr.Column(elem_classes="go-to", scale=0, min_width=0):
                with gr.Row(elem_classes="stepper"):
                    back = button("Previous", elem_id="row-back")
                    row = gr.Number(1, label="Example", min_width=0, scale=0, elem_id="row-number")
                    on = button("Next", elem_id="row-on")
                refused = drawn(elem_id="row-refused")
            with gr.Row(elem_classes="stepper search"):
                search = gr.Textbox(
                    label="Find examples with", max_lines=1, min_width=0, scale=1, elem_id="row-search"
                )
                search_back = button("Find previous", elem_id="search-back")
                search_on = button("Find next", elem_id="search-on")
        hits = drawn()
        with gr.Row(elem_classes="pair"):
            bubbles = drawn()
            with gr.Column():
                counted = drawn()
                tokens = drawn()
    return Preview(app, row, refused, back, on, search, search_back, search_on, hits, bubbles, counted, tokens)
