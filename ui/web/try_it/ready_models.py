"""Whether the open run has a model to try or export, and if not, a list of runs that
have one.

No run is opened automatically: the person chooses.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.records.runs import RunInfo
from ui.services.app import App
from ui.services.results.trained_models import DELETED
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clicked
from ui.web.html import components

_ENDED = {  # without a model, by the run's state
    "failed": "Its training failed. Step 3 shows why and how to continue.",
    "interrupted": "Its training was interrupted. Continue it in step 3.",
    "stopped": "Its training was stopped before it learned anything. Continue it in step 3.",
    "completed": f"{DELETED} Train it again from your examples.",
}


def no_model(app: App, choice: Choice) -> str:
    """Why there is no model to try or share; "" when there is one."""
    if not choice.run_id:
        return "Train a model first, in step 3, or open one of your models."
    if app.results.has_model(choice.run_id):
        return ""
    return _ENDED.get(
        app.runs.state(choice.run_id), "Wait until its training is done, or stop it."
    )


def run_line(app: App, choice: Choice) -> Markup:
    """The open run, in a line."""
    return (
        components.run_line(app.runs.info(choice.run_id))
        if choice.run_id
        else components.EMPTY
    )


def offered(app: App, choice: Choice) -> list[RunInfo]:
    """The runs that have a model; none where the open run has one."""
    return app.results.ready_to_try() if no_model(app, choice) else []


def offer(app: App, choice: Choice) -> Markup:
    """The offered runs, each with a button that opens it."""
    if not (ready := offered(app, choice)):
        return components.EMPTY
    lines = (
        Markup("<li>{}{}</li>").format(
            components.run_line(run),
            components.button(
                "Open",
                "open",
                run.id,
                "firm",
                f"Open {run.name}{fmt.version(run.version)}",
            ),
        )
        for run in ready
    )
    stays = (
        "The run above is not affected. You can find it under My models."
        if choice.run_id
        else ""
    )
    models = Markup('<ul class="ready">{}</ul>').format(components.join(lines))
    return components.card("Models ready to use", models, lead=stays)


def listen(
    part: gr.HTML,
    app: App,
    state: BrowserState,
    show: Callable[[Choice, Inputs], Updates],
    outputs: list[Any],
    *inputs: Any,
) -> None:
    """Opens an offered run when its button is clicked, then shows the tab again.
    inputs: further inputs of `show`.
    """

    def open_run(event: gr.EventData, values: Inputs) -> Any:
        action, run_id = clicked(event)
        if action != "open":
            return gr.skip()
        before = state.choice(values)
        choice = app.with_run(before, run_id)
        return {**state.change(before, choice), **show(choice, values)}

    state.listen(part.click, open_run, outputs, *inputs)
