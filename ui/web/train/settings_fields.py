"""The Advanced section: one input for each field of TrainSettings, made from the facts on the field."""

from itertools import groupby
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import BadSetting
from backend.records.setting import Setting
from backend.records.specs import GOAL, TrainSettings
from ui.services.training.overrides import as_input
from ui.web.components import html


def goal() -> gr.Radio:
    """The choice of what to learn from preference pairs; shown with the plan."""
    setting = TrainSettings.facts()["trainer"]
    choices = [(text, value) for value, text in setting.choices.items()]
    return gr.Radio(choices, value="sft", label=setting.label, info=setting.help, elem_id="set-trainer")


def build() -> dict[str, gr.components.Component]:
    """An input for each other setting, in groups, inside the current fold; by the setting's name."""
    made: dict[str, gr.components.Component] = {}
    for title, members in groupby(TrainSettings.facts().items(), lambda member: member[1].group):
        if title == GOAL:
            continue
        html(Markup("<h3>{}</h3>").format(title), elem_classes="group-name")
        with gr.Row(elem_classes="settings"):
            for name, setting in members:
                made[name] = _input(name, setting)
    return made


def _input(name: str, setting: Setting) -> gr.components.Component:
    described: dict[str, Any] = {"label": setting.label, "info": setting.help, "elem_id": f"set-{name}"}
    field = TrainSettings.model_fields[name]
    value = as_input(name, field.default)
    if field.annotation is bool:
        return gr.Checkbox(value, **described)
    if choices := [(text, choice) for choice, text in setting.choices.items()] or TrainSettings.options(name):
        return gr.Dropdown(choices, value=value, filterable=False, **described)
    step = 1 if field.annotation is int else max(float(value), 0.1) / 10
    return gr.Number(value, step=step, **described)  # `wrong` reports its limits


def right(name: str, value: Any) -> dict[str, Any]:
    """The update of an input that shows a setting's value."""
    return gr.update(value=as_input(name, value), info=TrainSettings.facts()[name].help, elem_classes=[])


def wrong(error: BadSetting, typed: Any, usual: Any) -> dict[str, Any]:
    """The update of an input with an invalid value: it stays as typed, with the reason and the `usual` value."""
    info = f"{error.what} {error.why} Fix it before you start, or empty the field to go back to {usual}."
    return gr.update(value=typed, info=info, elem_classes=["wrong"])


def changes(part: Any) -> list[Any]:
    """The events that change a setting; a number counts when its field is left."""
    return [part.blur, part.submit] if isinstance(part, gr.Number) else [part.input]
