"""Editing on Data: the example in the preview, a new one, and the instruction of all."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from backend.errors import BadInput
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked
from ui.web.data import edit_views
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
            choice = apply_edit(self.app, before, action, value)
            return {**state.change(before, choice), **show(choice), **self.close()}

        state.listen(self.buttons.click, act, outputs, trigger_mode="multiple")  # no click is lost
        state.listen(self.form.click, act, outputs)  # a double click adds one example


def apply_edit(app: App, choice: Choice, action: str, value: str) -> Choice:
    """Makes, undoes or redoes an edit, and returns the choice after it.

    action: from the browser: what to do, and the form's examples and row
    value: from the browser: the form's fields
    """
    data_id, (kind, _, sent) = choice.data_id, action.partition(":")
    form_of, _, at = sent.partition(":")
    if kind == "save-row" and at.isdecimal():
        require_open(choice, form_of)
        app.edits.save(choice, int(at), components.fields(value))
        return choice
    if kind == "add-row":
        require_open(choice, form_of)
        return choice.replace(row=app.edits.add(data_id, components.fields(value)))
    if kind == "delete-row":
        app.edits.delete(data_id, choice.row)
    elif kind == "undo-edit":
        app.edits.undo(data_id)
    else:
        return choice
    return choice.replace(row=app.edits.nearest(data_id, choice.row))


def require_open(choice: Choice, data_id: str) -> None:
    """Raises BadInput when a form was drawn for other examples than those that are open now."""
    if data_id != choice.data_id:
        raise BadInput("These examples are no longer open.", "", "Open them again, then save.")
