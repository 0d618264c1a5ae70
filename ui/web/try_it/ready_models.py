"""Whether the open run has a model to try or to take away, and where it has none the models that are ready.

Nothing is opened by itself: the person chooses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.services.app import App
from ui.services.selection import Choice
from ui.web.components import LISTEN, Given, Kept, Updates, pressed
from ui.web.errors import handler
from ui.web.html import components


def no_model(app: App, choice: Choice) -> str:
    """Why there is nothing to try or to share; "" when there is."""
    if not choice.run_id:
        return "Train a model first, in step 3, or open one of your models."
    state = app.runs.state(choice.run_id)
    if state in ("failed", "interrupted"):
        return "Its training broke off. Step 3 says why, and how to go on."
    if state not in ("completed", "stopped"):
        return "This is possible when its training is done or stopped."
    if not app.results.has_model(choice.run_id):
        return "Its training was stopped before it had learned anything. Go on with it in step 3."
    return ""


def which(app: App, choice: Choice) -> str:
    """The open run, in a line."""
    return components.which(app.runs.origin(choice.run_id)) if choice.run_id else ""


def offer(app: App, choice: Choice) -> str:
    """The models that are ready, each with a button that opens it; "" where the open one is, or none is."""
    ready = app.results.ready_to_try() if no_model(app, choice) else []
    lines = "".join(
        f"<li>{components.which(one)}{components.button('Open', 'open', one.id, 'firm', f'Open {one.name}')}</li>"
        for one in ready
    )
    stays = "The run above stays as it is; you find it under My models." if choice.run_id else ""
    return components.card("Models that are ready", f'<ul class="ready">{lines}</ul>', lead=stays) if ready else ""


def offered(app: App, choice: Choice) -> Any:
    """Which models `offer` has, for a tab's signature."""
    return [one.id for one in app.results.ready_to_try()] if no_model(app, choice) else []


def listen(
    part: gr.HTML,
    app: App,
    kept: Kept,
    show: Callable[[Choice, Given], Updates],
    outputs: list[Any],
    *given: Any,
) -> None:
    """A press on an offered model opens it, and `show` shows the tab with it. given: more that `show` reads."""

    @handler
    def open_it(event: gr.EventData, held: Given) -> Any:
        do, run_id = pressed(event)
        if do != "open":
            return gr.skip()
        before = kept.choice(held)
        choice = app.with_run(before, run_id)
        return {**kept.keep(before, choice), **show(choice, held)}

    part.click(open_it, kept.inputs(*given), [*kept.outputs, *outputs], **LISTEN)
