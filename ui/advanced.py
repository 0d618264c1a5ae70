"""The Advanced fold: every number of TrainSettings as an input, with its sentence from help_text."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

import gradio as gr
from pydantic.fields import FieldInfo

from backend.errors import BadSetting
from backend.specs import ALL_LINEAR, ATTENTION, TrainSettings, settings_from
from ui import present
from ui.help_text import GOAL, GROUPS, SETTINGS

NEEDED = "needed"  # layers with names of their own (Phi), as the recommendation names them
TARGETS = {"all-linear": ALL_LINEAR, "attention": ATTENTION}
CHOICES = {
    "trainer": [
        ("Learn from the good answers", "sft"),
        ("Learn the difference between good and bad answers", "dpo"),
    ],
    "method": [("LoRA", "lora"), ("QLoRA, 4 bits", "qlora"), ("Full", "full")],
    "target_modules": [
        ("All layers", "all-linear"),
        ("Attention only", "attention"),
        ("Those this model needs", NEEDED),
    ],
    "long_documents": [("In pieces that overlap", "windows"), ("Only their beginning", "truncate")],
    "sharding": [("Each has all of it", "none"), ("Divided (FSDP)", "fsdp"), ("Only in between (ZeRO-2)", "zero2")],
    "lr_scheduler_type": [("Cosine", "cosine"), ("Linear", "linear"), ("Constant", "constant")],
}

TOGETHER = ("num_processes", "sharding")  # for several cards


def goal() -> gr.Radio:
    """What to learn from preference pairs; stands beside the plan."""
    label = SETTINGS["trainer"].label
    return gr.Radio(CHOICES["trainer"], value="sft", label=label, info=info("trainer"), elem_id="set-trainer")


def build() -> dict[str, gr.components.Component]:
    """One input for each other setting, grouped, inside the current fold; by the setting's name."""
    made: dict[str, gr.components.Component] = {}
    for title, names in GROUPS.items():
        if title == GOAL:
            continue
        gr.HTML(f"<h3>{title}</h3>", js_on_load=None, apply_default_css=False, elem_classes="group-name")
        with gr.Row(elem_classes="settings"):
            for name in names:
                made[name] = _input(name, TrainSettings.model_fields[name])
    return made


def _input(name: str, field: FieldInfo) -> gr.components.Component:
    words: dict[str, Any] = {"label": SETTINGS[name].label, "info": info(name), "elem_id": f"set-{name}"}
    value = as_input(name, field.default)
    if field.annotation is bool:
        return gr.Checkbox(value, **words)
    choices = CHOICES.get(name) or _literals(field.annotation)
    if choices:
        return gr.Dropdown(choices, value=value, filterable=False, **words)
    step = 1 if field.annotation is int else max(float(value), 0.1) / 10
    return gr.Number(value, step=step, **words)  # its limits are told by `wrong`


def info(name: str) -> str:
    """What a setting does and which way to turn it."""
    return f"{SETTINGS[name].says} ({SETTINGS[name].term})"


def right(name: str, value: Any) -> dict[str, Any]:
    """The update of an input that shows a setting's value."""
    return gr.update(value=as_input(name, value), info=info(name), elem_classes=[])


def wrong(name: str, error: BadSetting, typed: Any, kept: Any) -> dict[str, Any]:
    """The update of an input that holds what can't be taken: it keeps what was typed and says why."""
    said = f"{error.what} {error.why} It stays at {as_input(name, kept)}."
    return gr.update(value=typed, info=said, elem_classes=["wrong"])


def _literals(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation)]
    return [value for part in get_args(annotation) for value in _literals(part)]


def changes(part: Any) -> list[Any]:
    """The events by which a person changes a setting; a number counts when its field is left."""
    return [part.blur, part.submit] if isinstance(part, gr.Number) else [part.input]


def as_input(name: str, value: Any) -> Any:
    """A setting's value as its input shows it."""
    if name == "target_modules":
        return next((word for word, modules in TARGETS.items() if tuple(value) == modules), NEEDED)
    return value


def changed(settings: dict[str, Any], name: str, value: Any, recommended: TrainSettings) -> dict[str, Any]:
    """`settings` (those changed by hand) with `value` for `name`; left out where it is empty or the recommended one.

    Raises BadSetting in the words of the page.
    """
    others = {other: kept for other, kept in settings.items() if other != name}
    if value is None or value == NEEDED:
        return others
    try:
        checked = getattr(settings_from({**recommended.model_dump(), **others, name: value}), name)
    except BadSetting as error:
        shown = present.setting(value)[:60]
        raise BadSetting(f"{SETTINGS[name].label} can't be {shown}.", error.why, error.next) from error
    return others if checked == getattr(recommended, name) else {**others, name: as_input(name, checked)}
