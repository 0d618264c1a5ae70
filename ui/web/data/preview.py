"""The preview of the training data: one example as bubbles and as tokens, found by its
number.
"""

from functools import partial
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import BadInput, NotYet
from ui.services.app import App
from ui.services.selection import Choice
from ui.web import errors as web_errors
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, html
from ui.web.data import views as data_views
from ui.web.data.edit_panel import EditPanel
from ui.web.html import conversations


class Preview:
    """The preview. row: the example's number. refused: why there is no example of that
    number.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        with gr.Column(elem_classes="card preview", elem_id="preview"):
            html(
                Markup("<h2>What the model will learn</h2>{}").format(
                    data_views.SWATCHES
                )
            )
            with (
                gr.Row(elem_classes="tools"),
                gr.Column(elem_classes="go-to", scale=0, min_width=0),
            ):
                with gr.Row(elem_classes="stepper"):
                    self.back = button("Previous", elem_id="row-back")
                    self.row = gr.Number(
                        1, label="Example", min_width=0, scale=0, elem_id="row-number"
                    )
                    self.on = button("Next", elem_id="row-on")
                self.refused = html(elem_id="row-refused")
            self.editing = EditPanel(app)
            with gr.Row(elem_classes="pair"):
                self.bubbles = html()
                with gr.Column():
                    self.counted = html()
                    self.tokens = html()
        drawings = [self.bubbles, self.counted, self.tokens]
        self.outputs: list[Any] = [
            self.row,
            self.refused,
            *drawings,
            *self.editing.outputs,
        ]

    def show(self, choice: Choice) -> Updates:
        data = self.app.datasets.selected(choice)
        label = data_views.example_label(len(data.dataset.rows), data.original.highest)
        shown: Updates = {self.row: gr.update(label=label), **self.editing.show(choice)}
        try:
            preview = self.app.datasets.preview(choice)
        except (BadInput, NotYet) as error:
            return {
                **shown,
                self.bubbles: web_errors.error_alert(error),
                self.counted: "",
                self.tokens: "",
            }
        return {
            **shown,
            self.bubbles: conversations.bubbles(preview.messages),
            self.counted: data_views.token_count(preview),
            self.tokens: conversations.tokens(preview.pieces),
        }

    def listen(self, state: BrowserState) -> None:
        """A number counts when its field is left, also by a click on Next: both events
        then show that example.
        """

        def show_row(inputs: Inputs, row: int) -> Updates:
            before = state.choice(inputs)
            choice = before.replace(row=row)
            return {
                **state.change(before, choice),
                **self.show(choice),
                **self.editing.close(),
            }

        def go(inputs: Inputs, step: int = 0) -> Updates:
            """Shows the example of the typed number, or the next one. A number without
            an example is put back.
            """
            choice, typed = state.choice(inputs), inputs[self.row]
            if typed == choice.row:
                return (
                    show_row(inputs, self.app.datasets.step(choice, step))
                    if step
                    else {self.refused: ""}
                )
            total = self.app.datasets.selected(choice).original.highest
            is_number = isinstance(typed, (int, float)) and not isinstance(typed, bool)
            if not is_number or typed not in range(1, total + 1):
                return {
                    self.row: choice.row,
                    self.refused: data_views.no_such_example(typed, total),
                }
            return show_row(inputs, int(typed))

        leave = partial(gr.on, [self.row.submit, self.row.blur])
        state.listen(leave, go, self.outputs, self.row, trigger_mode="multiple")
        for trigger, step in ((self.back.click, -1), (self.on.click, 1)):
            state.listen(trigger, partial(go, step=step), self.outputs, self.row)
        state.on_change("apprentice.followRow", [self.row], [self.row, self.refused])
