"""Editing on Data: the example in the preview, a new one, and the instruction of all."""

from collections.abc import Callable
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.datasets import edits
from backend.datasets.dataset import CheckedDataset
from ui.records.data import EditableExample, Instruction
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked
from ui.web.data.actions import apply_action
from ui.web.html import components

SAVED = "Your file stays as it is. Each change can be undone."


class EditPanel:
    """buttons: for the example shown. form: the open one, if any; drawing the tab again
    leaves what is typed in it.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.buttons, self.form = (
            clickable(elem_id="row-acts"),
            clickable(elem_id="row-form"),
        )
        self.outputs: list[Any] = [self.buttons, self.form]

    def show(self, choice: Choice) -> Updates:
        return {self.buttons: buttons(self.app.datasets.selected(choice))}

    def close(self) -> Updates:
        return {self.form: components.EMPTY}

    def listen(
        self, state: BrowserState, show: Callable[[Choice], Updates], outputs: list[Any]
    ) -> None:
        """show: the whole tab, whose components are `outputs`."""

        def act(event: gr.EventData, inputs: Inputs) -> Updates:
            before, (action, value) = state.choice(inputs), clicked(event)
            if action in ("edit-row", "new-row"):
                edits = self.app.edits
                example = (
                    edits.new(before) if action == "new-row" else edits.editable(before)
                )
                return {self.form: form(example, before.data_id)}
            choice = apply_action(self.app, before, action, value)
            return {**state.change(before, choice), **show(choice), **self.close()}

        state.listen(
            self.buttons.click, act, outputs, trigger_mode="multiple"
        )  # no click is lost
        state.listen(self.form.click, act, outputs)  # a double click adds one example


def buttons(data: CheckedDataset) -> Markup:
    """The buttons for the example that is shown, and for the last edit."""
    acts = [
        components.button("Edit", "edit-row", label="Edit this example"),
        components.button("Delete", "delete-row", label="Delete this example"),
        components.button("Add an example", "new-row"),
    ]
    if data.info.edits:
        acts.append(
            components.button(
                "Undo", "undo-edit", label="Undo the last change to your examples"
            )
        )
    version = edits.summary(data.original.source.edits)
    return components.acts(*acts) + components.text(
        f"{version} {SAVED}" if version else "", "small"
    )


def form(example: EditableExample, data_id: str) -> Markup:
    """The fields of an example. What is typed stays in the browser until it is saved
    (static/js/drafts.js).
    """
    key = f"edit {data_id} {example.row}"
    fields = [
        components.textarea(
            part.label, part.name, part.text, f"{key} {part.name}", required=True
        )
        for part in example.fields
    ]
    title = (
        "A new example" if example.is_new else f"Edit example {fmt.number(example.row)}"
    )
    cancel = components.button("Cancel", "close-form")
    send = components.submit("Add this example" if example.is_new else "Save", cancel)
    action = (
        f"add-row:{data_id}" if example.is_new else f"save-row:{data_id}:{example.row}"
    )
    return components.form(
        action, Markup("<h3>{}</h3>").format(title), *fields, send, kind="write"
    )


def instruction(now: Instruction, data_id: str) -> Markup:
    """The instruction of the examples with a form to change it; empty for plain texts,
    which have none.
    """
    if not now.total:
        return components.EMPTY
    box = components.textarea(
        "The instruction for every example",
        "instruction",
        now.text,
        f"instruction {data_id}",
    )
    remove = (
        components.button("Remove it from every example", "remove-instruction", data_id)
        if now.count
        else ""
    )
    change = components.form(
        f"set-instruction:{data_id}",
        box,
        components.submit("Use it for every example", remove),
        kind="write",
    )
    shown = Markup("<blockquote>{}</blockquote>").format(now.text or now.default)
    return components.card(
        "Instruction (system prompt)",
        shown if now.text or now.default else components.EMPTY,
        components.fold(
            "Change it" if now.text else "Set one", change, key="instruction"
        ),
        lead=_carried(now),
    )


def _carried(common: Instruction) -> str:
    different, total = common.different, common.total
    if common.text:
        rests = (
            [fmt.count(different, "starts with another one", "start with another one")]
            if different
            else []
        )
        if rest := total - common.count - different:
            rests.append(fmt.count(rest, "has none", "have none"))
        more = f" {fmt.listed(rests)}." if rests else ""
        return f"{_start(common.count, total)} with this instruction.{more}"
    who = (
        f"{_start(different, total)} with one."
        if different
        else "Your examples have no instruction."
    )
    default = (
        "Where there is none, the model's chat template adds this one:"
        if common.default
        else ""
    )
    return f"{who} {default}".strip()


def _start(count: int, total: int) -> str:
    if total == 1:
        return "Your only example starts"
    if count == total:
        return f"All {fmt.number(total)} examples start"
    return f"{fmt.number(count)} of your {fmt.number(total)} examples {'starts' if count == 1 else 'start'}"
