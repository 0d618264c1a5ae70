"""The fold on Try that chooses which model answers next to the trained one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.hosting.policy import Feature
from ui.services.app import App
from ui.services.opponents import Opponent
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked
from ui.web.errors import handler
from ui.web.html import components
from ui.web.try_it.ready_models import no_model

NOTE = "A second model is loaded next to yours. This takes more memory and slows both down."
ELSEWHERE = "To compare with a model from elsewhere, put its GGUF file in this folder and reload this page:"


@dataclass
class OpponentCard:
    app: App
    fold: gr.HTML

    def show(self, choice: Choice) -> Updates:
        if no_model(self.app, choice):
            return {self.fold: components.EMPTY}
        found = self.app.results.opponents(choice.run_id)
        away = self.app.models.open_to_network or self.app.policy.why_not(Feature.FOREIGN_FILE)
        folder = "" if away else str(self.app.results.gguf_folder)
        has_choice = folder or len(found) > 1
        return {self.fold: opponents(found, choice.opponent, folder) if has_choice else components.EMPTY}

    def listen(
        self, state: BrowserState, show: Callable[[Choice, Inputs], Updates], outputs: list[Any], talk: Any
    ) -> None:
        @handler
        def choose(event: gr.EventData, inputs: Inputs) -> Any:
            action, opponent_id = clicked(event)
            if action != "against":
                return gr.skip()
            before = state.choice(inputs)
            choice = before.replace(opponent=self.app.results.opponent(before.run_id, opponent_id).id)
            return {**state.change(before, choice), **show(choice, inputs)}

        state.listen(self.fold.click, choose, outputs, talk)


def build(app: App) -> OpponentCard:
    """Draws the fold inside the current column."""
    return OpponentCard(app, clickable(elem_id="opponent"))


def opponents(found: Sequence[Opponent], chosen: str, folder: str) -> Markup:
    """The models that can answer next to the trained one, each with a button. folder: of GGUF files, "" to
    leave it out."""
    now = next((one for one in found if one.id == chosen), found[0])
    lines = (Markup("<li><p>{}</p>{}</li>").format(_words(one), _choose(one, one is now)) for one in found)
    listed = Markup('<ul class="ready">{}</ul>').format(components.join(lines))
    elsewhere = Markup("<p>{}<br><code>{}</code></p>").format(ELSEWHERE, folder) if folder else components.EMPTY
    note = components.text(NOTE, "small")
    return components.fold(f"Compared with: {_words(now)}", note, listed, elsewhere, key="opponent")


def _words(one: Opponent) -> str:
    return f"{fmt.shorten(one.name, 60)} ({one.what})" if one.id else "the base model"


def _choose(one: Opponent, chosen: bool) -> Markup:
    if chosen:
        return components.badge("chosen", "calm")
    return components.button("Choose", "against", one.id, "quiet", f"Choose {_words(one)}")
