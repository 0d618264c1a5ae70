"""Editing on Data: the example in the preview, a new one, and the instruction of all."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked
from ui.web.data import edit_views
from ui.web.data.actions import apply_action
from ui.web.html import components


class EditPanel:
    """buttons: for the example shown. form: the open one, if any; drawing the tab again leaves what is typed in it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.buttons, self.form = clickable(elem_id="row-acts"), clickable(elem_id="row-form")
        self.outputs: list[Any] = [self.buttons, self.form]

    def show(self, choice: Choice) -> Updates:
        return {self.buttons: edit_views.buttons(self.app.datasets.selected(choice))}

    def close(self) -> Updates:
        return {self.form: components.EMPTY}

    def listen(self, state: BrowserState, show: Callable[[Choice], Updates], outputs: list[Any]) -> None:
        """show: the whole tab, whose components are `outputs`."""

        def act(event: gr.EventData, inputs: Inputs) -> Updates:
            before, (action, value) = state.choice(inputs), clicked(event)
            if action in ("edit-row", "new-row"):
                edits = self.app.edits
                example = edits.new(before) if action == "new-row" else edits.editable(before)
                return {self.form: edit_views.form(example, before.data_id)}
            choice = apply_action(self.app, before, action, value)
            return {**state.change(before, choice), **show(choice), **self.close()}

        state.listen(self.buttons.click, act, outputs, trigger_mode="multiple")  # no click is lost
        state.listen(self.form.click, act, outputs)  # a double click adds one example
