"""Correcting the last answer of the chat on Try."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr
from markupsafe import Markup

from backend.errors import BadInput
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked
from ui.web.errors import handler
from ui.web.html import components
from ui.web.try_it import correcting
from ui.web.try_it.asking import example_of
from ui.web.try_it.talk import Turn, messages, talk_with, turns_with


@dataclass
class ChatCorrection:
    app: App
    card: gr.HTML

    def show(self, choice: Choice, turns: Sequence[Turn]) -> Updates:
        """The form for the last answer of the trained model, if there is one to a question without a document."""
        if self._is_another(choice) or not turns or not turns[-1].tuned.strip() or turns[-1].document:
            return {self.card: components.EMPTY}
        last, name = turns[-1], _name(turns)
        corrected = self.app.corrections.all(choice.run_id).get(last.question)
        gone = not self.app.corrections.has_examples(choice.run_id)
        key = f"correct {choice.run_id} chat {name}"
        return {self.card: correcting.form(name, key, last.expected or last.tuned, corrected, gone)}

    def listen(self, state: BrowserState) -> None:
        @handler
        def save(event: gr.EventData, inputs: Inputs) -> Updates:
            choice, (action, value) = state.choice(inputs), clicked(event)
            kind, _, name = action.partition(":")
            turns = turns_with(talk_with(choice), inputs[state.talk])
            if kind not in ("correct", "restore") or self._is_another(choice) or not turns:
                return {}
            if name != _name(turns):
                raise BadInput("This is no longer the last answer.", "", "Ask that question again, then correct it.")
            *before, last = turns
            example = example_of(self.app, choice, last.question) if last.alone else None
            # A validation example was asked with the messages that precede it there, not with those of the chat.
            asked = example.messages if example else messages("tuned", before, last, "")
            typed = components.fields(value).get("answer", "")
            correction = self.app.corrections.add(choice.run_id, asked, typed, last.tuned, kind == "restore")
            shown: Markup = self.show(choice, turns)[self.card]
            return {self.card: correcting.added(correction) + shown}

        state.listen(self.card.click, save, [self.card], state.talk)

    def _is_another(self, choice: Choice) -> bool:
        """Whether another model answered in the trained one's place, though it may be deleted by now: nothing is
        learned from its mistakes."""
        return bool(choice.right)


def _name(turns: Sequence[Turn]) -> str:
    return correcting.name_of(len(turns), turns[-1].question)


def build(app: App) -> ChatCorrection:
    return ChatCorrection(app, clickable(elem_id="correct-last"))
