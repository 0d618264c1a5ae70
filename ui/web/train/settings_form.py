"""The fields of the training settings: a value counts as soon as its field is left, and
no late answer overwrites it.

The browser stores the value at once (static/js/settings.js), so it is sent with
whatever is clicked next, and two fields never overwrite each other. The server only
judges it (`overrides.py`) and sends its answer through `answer`; the browser, which
alone knows what the fields hold by then, takes of it what still fits.
"""

import json
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.records.setting import Setting
from backend.records.specs import GOAL, TrainSettings
from ui.services.app import App
from ui.services.selection import Choice
from ui.services.training.overrides import apply_overrides, as_input
from ui.web.browser_state import PRIVATE, BrowserState, Updates
from ui.web.components import html


def goal() -> gr.Radio:
    """The choice of what to learn from preference pairs; shown with the plan."""
    setting = TrainSettings.facts()["trainer"]
    choices = [(text, value) for value, text in setting.choices.items()]
    return gr.Radio(
        choices,
        value="sft",
        label=setting.label,
        info=setting.help,
        elem_id="set-trainer",
    )


def build() -> dict[str, gr.components.Component]:
    """An input for each other setting, in groups, inside the current fold; by the
    setting's name.
    """
    made: dict[str, gr.components.Component] = {}
    for title, members in groupby(
        TrainSettings.facts().items(), lambda member: member[1].group
    ):
        if title == GOAL:
            continue
        html(Markup("<h3>{}</h3>").format(title), elem_classes="group-name")
        with gr.Row(elem_classes="settings"):
            for name, setting in members:
                made[name] = _input(name, setting)
    return made


def _input(name: str, setting: Setting) -> gr.components.Component:
    described: dict[str, Any] = {
        "label": setting.label,
        "info": setting.help,
        "elem_id": f"set-{name}",
    }
    field = TrainSettings.model_fields[name]
    value = as_input(name, field.default)
    if field.annotation is bool:
        return gr.Checkbox(value, **described)
    if choices := [
        (text, choice) for choice, text in setting.choices.items()
    ] or TrainSettings.options(name):
        return gr.Dropdown(choices, value=value, filterable=False, **described)
    step = 1 if field.annotation is int else max(float(value), 0.1) / 10
    return gr.Number(value, step=step, **described)  # `restore` reports its limits


@dataclass
class SettingsForm:
    """fields: the inputs, by setting. answer: the server's updates of them."""

    app: App
    fields: dict[str, Any]
    answer: gr.JSON

    def recommended(self, choice: Choice) -> Any:
        """The recommended settings for this choice, each with its reason."""
        advice = self.app.advice.settings(choice)
        continues = choice.parent and not choice.from_base
        return (
            self.app.versions.settings(choice.parent, advice) if continues else advice
        )

    def settings(self, choice: Choice) -> TrainSettings:
        """The settings to train with. Raises BadSetting while a field holds an invalid
        value.
        """
        read = apply_overrides(choice.settings, self.recommended(choice).settings)
        for fault in read.faults.values():
            raise fault
        return read.settings

    def restore(self, choice: Choice) -> Updates:
        """The fields as they stand; the browser leaves alone the one in which the
        person is typing.
        """
        recommended = self.recommended(choice).settings
        read = apply_overrides(choice.settings, recommended)
        fields = {}
        for name, field in self.fields.items():
            usual = as_input(name, getattr(recommended, name))
            shown, info, classes = (
                as_input(name, getattr(read.settings, name)),
                TrainSettings.facts()[name].help,
                [],
            )
            if error := read.faults.get(name):  # it stays as typed
                then = f"Fix it before you start, or empty the field to go back to {usual}."
                shown, info, classes = (
                    choice.settings[name],
                    f"{error.what} {error.why} {then}",
                    ["wrong"],
                )
            update = gr.update(value=shown, info=info, elem_classes=classes)
            fields[name] = {
                "initial": field.value,
                "recommended": usual,
                "update": update,
            }
        return {self.answer: _sendable({"changed": choice.settings, "fields": fields})}

    def listen(
        self, state: BrowserState, judge: Any, outputs: list[Any], **options: Any
    ) -> None:
        """Stores the value of a field that is left, then has `judge` answer into
        `outputs`.
        """
        for name, field in self.fields.items():
            js = f"(value) => apprentice.settings.leave({json.dumps(name)}, {json.dumps(field.value)}, value)"
            events = (
                [field.blur, field.submit]
                if isinstance(field, gr.Number)
                else [field.input]
            )
            left = gr.on(events, None, field, None, js=js, **PRIVATE)
            state.listen(
                left.then, judge, outputs, trigger_mode="always_last", **options
            )
        all_fields = [self.answer, *self.fields.values()]
        self.answer.change(
            None, all_fields, all_fields, js="apprentice.settings.write", **PRIVATE
        )


def _sendable(value: Any) -> Any:
    """The value as gradio can send it: no whole numbers of more than 64 bits, which a
    browser doesn't know either.
    """
    if isinstance(value, dict):
        return {name: _sendable(part) for name, part in value.items()}
    return float(value) if isinstance(value, int) and abs(value) >= 2**53 else value
