"""The numbers of a training in their fields: what is typed counts as soon as a field is left, and no late answer
overwrites it.

What counts is kept by the browser itself the moment a field is left, so whatever is pressed next is sent with it, and
two fields never take each other's number back. The server only judges it (`overrides.py`): its answer goes into the
fields through `news`, and the browser, which alone knows what they hold now, takes of it what still fits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.records.specs import Trainer, TrainSettings
from ui.services.app import App
from ui.services.overrides import apply_overrides, as_input
from ui.services.selection import Choice
from ui.web.components import LISTEN, Kept, Updates
from ui.web.train import settings_fields

# What the browser remembers of each field: `last`, the update that was written into it (before one was: BEGIN),
# `usual`, the recommended value, and `left`, what it held when it was left, until it is written into again.
_MEMORY = "const memory = window.recipe ??= { last: {}, usual: {}, left: {} };"
# A field is left. An emptied one, or one with the recommended value, is none that was changed by hand.
_LEFT = """(typed, kept) => {
  MEMORY
  const value = typed ?? null, { NAME: before, ...others } = kept?.[0] ?? {};
  memory.left.NAME = value;
  if (value === null || value === memory.usual.NAME) return [[others]];
  if (before === undefined && value === (memory.last.NAME ?? BEGIN).value) return [kept]; // only passed
  return [[{ ...others, NAME: value }]];
}"""
# Writes into each field what is to stand there, but where another number was left since the answer was asked for (its
# own answer comes), and where a person is typing: there it holds neither that, nor what was written or left last.
_WRITE = """(news, kept, ...now) => {
  if (!news) return [];
  MEMORY
  const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
  return [null, ...NAMES.map((name, at) => {
    const value = now[at] ?? null, last = memory.last[name] ?? BEGIN[name], update = news.updates[name];
    if (!same(news.of[name], kept?.[0]?.[name])) return undefined;
    memory.usual[name] = news.usual[name];
    if (![update.value, last.value].includes(value) && memory.left[name] !== value) return undefined;
    memory.last[name] = update;
    delete memory.left[name];
    return value === update.value && same(last, update) ? undefined : update;
  })];
}"""


@dataclass
class Recipe:
    """inputs: the fields, by setting. news: what the server has to say of them."""

    app: App
    inputs: dict[str, Any]
    news: gr.JSON

    @property
    def outputs(self) -> list[Any]:
        return [self.news, *self.inputs.values()]

    def recommended(self, choice: Choice) -> Any:
        """The settings for what was chosen, each with its reason."""
        trainer: Trainer = "dpo" if choice.settings.get("trainer") == "dpo" else "sft"
        return self.app.advice.settings(choice.task, choice.data_id, choice.model_id, trainer)

    def settings(self, choice: Choice) -> TrainSettings:
        """What to train with. Raises BadSetting while a field holds what can't be taken."""
        read = apply_overrides(choice.settings, self.recommended(choice).settings)
        for fault in read.faults.values():
            raise fault
        return read.settings

    def restore(self, choice: Choice) -> Updates:
        """The fields as they stand; one in which the person is typing is left as it is."""
        recommended = self.recommended(choice).settings
        read = apply_overrides(choice.settings, recommended)
        usual = {name: as_input(name, getattr(recommended, name)) for name in self.inputs}
        updates = {
            name: settings_fields.wrong(read.faults[name], choice.settings[name], usual[name])
            if name in read.faults
            else settings_fields.right(name, getattr(read.settings, name))
            for name in self.inputs
        }
        several = len(self.app.models.hardware().gpus) > 1
        shown = {self.inputs[name]: gr.update(visible=several) for name in settings_fields.TOGETHER}
        news = {"of": choice.settings, "usual": usual, "updates": updates}
        return {self.news: _sendable(news), **shown}

    def listen(self, kept: Kept, judge: Any, outputs: list[Any], **options: Any) -> None:
        """Keeps what a field is left with, and then has `judge` answer into `outputs`."""
        names, fields, settings = list(self.inputs), list(self.inputs.values()), kept.part("settings")
        begin = {name: {"value": part.value} for name, part in self.inputs.items()}
        for name, part in self.inputs.items():
            left = _LEFT.replace("MEMORY", _MEMORY).replace("BEGIN", json.dumps(begin[name])).replace("NAME", name)
            one = gr.on(settings_fields.changes(part), None, [part, settings], [settings], js=left, **LISTEN)
            one.then(judge, kept.inputs(), outputs, trigger_mode="always_last", **options, **LISTEN)
        write = (
            _WRITE.replace("MEMORY", _MEMORY).replace("BEGIN", json.dumps(begin)).replace("NAMES", json.dumps(names))
        )
        self.news.change(None, [self.news, settings, *fields], [self.news, *fields], js=write, **LISTEN)


def _sendable(told: Any) -> Any:
    """As gradio can send it: no whole numbers of more than 64 bits, which a browser does not know either."""
    if isinstance(told, dict):
        return {name: _sendable(value) for name, value in told.items()}
    return float(told) if isinstance(told, int) and abs(told) >= 2**53 else told
