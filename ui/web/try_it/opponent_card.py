"""The fold on Try that chooses the two models that answer."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import BadInput
from ui.services.app import App
from ui.services.results.opponents import BASE_MODEL, MOST, OWN, Listed, Opponent, Pair
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked
from ui.web.errors import handler
from ui.web.html import components
from ui.web.try_it.ready_models import no_model

NOTE = "Every other model is loaded separately. This takes more memory and slows both answers down."
LATEST = f"This lists only the latest {MOST} exports and trained models."
NOT_YOURS = (
    "Your model is not answering right now. The check below is still about your model, and the blind test about the "
    "two that you choose there."
)


class OpponentCard:
    """Two lists, and the models that they choose."""

    def __init__(self, app: App) -> None:
        self.app, self.fold = app, clickable(elem_id="opponent")

    def show(self, choice: Choice) -> Updates:
        if no_model(self.app, choice):
            return {self.fold: components.EMPTY}
        listed = self.app.results.opponents(choice.run_id)
        pair = self.app.results.pair(choice)
        return {self.fold: opponents(listed, pair) if listed.models else components.EMPTY}

    def listen(
        self, state: BrowserState, show: Callable[[Choice, Inputs], Updates], outputs: list[Any], talk: Any
    ) -> None:
        @handler
        def choose(event: gr.EventData, inputs: Inputs) -> Any:
            action, value = clicked(event)
            if action != "compare":
                return gr.skip()
            before, chosen = state.choice(inputs), components.fields(value)
            left, right = chosen.get("left", ""), chosen.get("right", "")
            if left and left == right:
                raise BadInput("These are the same model.", "", "Choose two different ones.")
            pair = self.app.results.pair(before.replace(left=left, right=right))
            choice = before.replace(left=pair.base.id, right=pair.tuned.id)
            return {**state.change(before, choice), **show(choice, inputs)}

        state.listen(self.fold.click, choose, outputs, talk)


def opponents(listed: Listed, pair: Pair) -> Markup:
    """Two lists of the models that can answer. listed: besides the base model and the trained one."""
    form = components.form(
        "compare",
        _select("Compare", "left", [BASE_MODEL, *listed.models], pair.base),
        _select("with", "right", [OWN, *listed.models], pair.tuned),
        Markup('<button type="submit" class="btn firm">Compare</button>'),
        kind="choose-two",
    )
    latest = components.text(LATEST if listed.is_cut else "", "small")
    title = f"Comparing {pair.base.label} with {pair.tuned.label}"
    return components.fold(title, components.text(NOTE, "small"), form, latest, key="opponent")


def _select(label: str, name: str, models: Sequence[Opponent], chosen: Opponent) -> Markup:
    """chosen: one of the models, or one that is older than those listed."""
    labels = {model.id: model.label for model in (*models, chosen)}
    select = Markup('<label><span>{0}</span><select name="{1}" aria-label="{0}">{2}</select></label>')
    return select.format(label, name, components.options(labels.items(), chosen.id))
