"""What the model will learn: one example as bubbles and as tokens, any by its number, the next that has a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.errors import BadInput
from ui import cards, data_views, messages
from ui.choice import Choice
from ui.messages import handler
from ui.parts import LISTEN, Given, Kept, Updates, button, drawn


@dataclass
class Preview:
    """The preview's parts. row: the example's number in the file."""

    services: Any
    row: gr.Number
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
        return [self.row, self.bubbles, self.counted, self.tokens]

    def show(self, choice: Choice) -> Updates:
        data = self.services.data(choice)
        total = max(1, data.report.rows)
        shown: Updates = {self.row: gr.update(value=choice.row, label=f"Example, of {total:,}")}
        try:
            preview = self.services.preview(choice)
        except BadInput as error:
            return {**shown, self.bubbles: messages.error_alert(error), self.counted: "", self.tokens: ""}
        return {
            **shown,
            self.bubbles: cards.bubbles(preview.messages),
            self.counted: data_views.token_count(preview.pieces, preview.note),
            self.tokens: cards.tokens(preview.pieces),
        }

    def listen(self, kept: Kept) -> None:
        """What the steps, the number and the search do."""

        def gone_to(given: Given, row: int) -> Updates:
            before = kept.choice(given)
            choice = before.but(row=row)
            return {**kept.keep(before, choice), **self.show(choice)}

        def turning(way: int) -> Any:
            @handler
            def turn(given: Given) -> Updates:
                choice = kept.choice(given)
                row = self.services.step(choice, way)
                return gone_to(given, row)

            return turn

        @handler
        def go(given: Given) -> Updates:
            choice, row = kept.choice(given), int(given[self.row] or 0)
            total = self.services.data(choice).report.rows
            if 1 <= row <= total:
                return {self.hits: "", **gone_to(given, row)}
            return {self.row: choice.row, self.hits: data_views.no_such_example(row, total)}

        def finding(way: int) -> Any:
            @handler
            def find(given: Given) -> Updates:
                choice, text = kept.choice(given), str(given[self.search] or "")[:1000]
                found = self.services.find(choice, text, way)
                said = {self.hits: data_views.hits(found, text)}
                return {**said, **gone_to(given, found.row)} if found.row else said

            return find

        outputs = [*kept.outputs, *self.outputs]
        for trigger, way in ((self.back.click, -1), (self.on.click, 1)):
            trigger(turning(way), kept.inputs(), outputs, **LISTEN)
        self.row.submit(go, kept.inputs(self.row), [*outputs, self.hits], **LISTEN)
        searches = ((self.search_back.click, -1), (self.search_on.click, 1), (self.search.submit, 1))
        for trigger, way in searches:
            trigger(finding(way), kept.inputs(self.search), [*outputs, self.hits], **LISTEN)


def build(services: Any) -> Preview:
    """Draws the preview."""
    with gr.Column(elem_classes="card preview", elem_id="preview"):
        drawn(f"<h2>What the model will learn</h2>{data_views.SWATCHES}")
        with gr.Row(elem_classes="tools"):
            with gr.Row(elem_classes="stepper"):
                back = button("Previous", elem_id="row-back")
                row = gr.Number(1, precision=0, label="Example", min_width=0, scale=0, elem_id="row-number")
                on = button("Next", elem_id="row-on")
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
    return Preview(services, row, back, on, search, search_back, search_on, hits, bubbles, counted, tokens)
