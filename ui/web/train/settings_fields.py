"""The Advanced section: one input for each field of TrainSettings, with its help from `settings_help`."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import gradio as gr
from markupsafe import Markup
from pydantic.fields import FieldInfo

from backend.errors import BadSetting
from backend.records.specs import TrainSettings
from ui.services.training.overrides import NEEDED, as_input
from ui.text.settings_help import GOAL, GROUPS, SETTINGS
from ui.web.components import html

CHOICES = {
    "trainer": [
        ("Learn from the good answers", "sft"),
        ("Learn the difference between good and bad answers", "dpo"),
    ],
    "method": [("LoRA", "lora"), ("QLoRA, 4-bit", "qlora"), ("Full", "full")],
    "target_modules": [
        ("All layers", "all-linear"),
        ("Attention only", "attention"),
        ("The ones this model needs", NEEDED),
    ],
    "long_documents": [("In overlapping pieces", "windows"), ("Only their beginning", "truncate")],
    "precision": [("Auto", "auto"), ("bf16", "bf16"), ("fp16", "fp16"), ("fp32", "fp32")],
    "optim": [("AdamW", "adamw"), ("AdamW in 8 bits", "adamw_8bit"), ("AdamW in 8 bits, paged", "paged_adamw_8bit")],
    "lr_scheduler_type": [("Cosine", "cosine"), ("Linear", "linear"), ("Constant", "constant")],
}


def goal() -> gr.Radio:
    """The choice of what to learn from preference pairs; shown with the plan."""
    words = SETTINGS["trainer"]
    return gr.Radio(CHOICES["trainer"], value="sft", label=words.label, info=words.says, elem_id="set-trainer")


def build() -> dict[str, gr.components.Component]:
    """An input for each other setting, in groups, inside the current fold; by the setting's name."""
    made: dict[str, gr.components.Component] = {}
    for title, names in GROUPS.items():
        if title == GOAL:
            continue
        html(Markup("<h3>{}</h3>").format(title), elem_classes="group-name")
        with gr.Row(elem_classes="settings"):
            for name in names:
                made[name] = _input(name, TrainSettings.model_fields[name])
    return made


def _input(name: str, field: FieldInfo) -> gr.components.Component:
    words: dict[str, Any] = {"label": SETTINGS[name].label, "info": SETTINGS[name].says, "elem_id": f"set-{name}"}
    value = as_input(name, field.default)
    if field.annotation is bool:
        return gr.Checkbox(value, **words)
    choices = CHOICES.get(name) or _literals(field.annotation)
    if choices:
        return gr.Dropdown(choices, value=value, filterable=False, **words)
    step = 1 if field.annotation is int else max(float(value), 0.1) / 10
    return gr.Number(value, step=step, **words)  # `wrong` reports its limits


def right(name: str, value: Any) -> dict[str, Any]:
    """The update of an input that shows a setting's value."""
    return gr.update(value=as_input(name, value), info=SETTINGS[name].says, elem_classes=[])


def wrong(error: BadSetting, typed: Any, usual: Any) -> dict[str, Any]:
    """The update of an input with an invalid value: it stays as typed, with the reason and the `usual` value."""
    info = f"{error.what} {error.why} Fix it before you start, or empty the field to go back to {usual}."
    return gr.update(value=typed, info=info, elem_classes=["wrong"])


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [value for part in get_args(annotation) for value in _literals(part)]


def changes(part: Any) -> list[Any]:
    """The events that change a setting; a number counts when its field is left."""
    return [part.blur, part.submit] if isinstance(part, gr.Number) else [part.input]
