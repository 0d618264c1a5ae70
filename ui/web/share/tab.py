"""Share: take the model away as a file, each with the proof that it is the same model."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.services.app import App
from ui.services.selection import Choice
from ui.web.components import LISTEN, Given, Kept, Updates, button, clickable, drawn, primary
from ui.web.errors import handler
from ui.web.html import components
from ui.web.share import hf_jobs_card
from ui.web.share.views import KINDS, choices
from ui.web.share.views import exports as exports_html
from ui.web.try_it import ready_models
from ui.web.try_it.ready_models import no_model

RECIPE = f"What can be taken already is the recipe. {KINDS['script'][1]}"


@dataclass
class ShareTab:
    """make: the file of the chosen kind. recipe: the script, which alone can be made before there is a model."""

    app: App
    line: gr.HTML
    offered: gr.HTML
    kind: gr.Radio
    make: gr.Button
    recipe: gr.Button
    why_not: gr.HTML
    exports: gr.HTML
    rent: hf_jobs_card.HfJobsCard

    @property
    def outputs(self) -> list[Any]:
        buttons = [self.make, self.recipe, self.why_not]
        return [self.line, self.offered, self.kind, *buttons, self.exports, *self.rent.outputs]

    def show(self, choice: Choice) -> Updates:
        why_not = no_model(self.app, choice)
        jobs = self.app.results.exports(choice.run_id) if choice.run_id else []
        sizes = {} if why_not else self.app.results.export_sizes(choice.run_id)
        busy = "One file is being made; the next can be started when it is done."
        busy = busy if any(job.active for job in jobs) else ""
        only_recipe = bool(choice.run_id and why_not)
        return {
            self.line: self._guide(choice, why_not) + ready_models.run_line(self.app, choice),
            self.offered: ready_models.offer(self.app, choice),
            self.kind: gr.update(choices=choices(sizes), visible=not only_recipe),
            self.make: gr.update(interactive=not (busy or why_not), visible=not only_recipe),
            self.recipe: gr.update(interactive=not busy, visible=only_recipe),
            self.why_not: busy or (RECIPE if only_recipe else why_not),
            self.exports: exports_html(jobs),
            **self.rent.show(choice),
        }

    def _guide(self, choice: Choice, why_not: str) -> Markup:
        if not choice.run_id:
            return components.guide(5, "There is nothing to take away yet.", "Train a model first.")
        now = "There is no model to take away here yet." if why_not else "Choose how to take it with you."
        return components.guide(5, now, why_not or "Each file comes with the proof that it is the same.")

    def signature(self, choice: Choice) -> Hashable:
        jobs = self.app.results.exports(choice.run_id) if choice.run_id else []
        offered = ready_models.offered(self.app, choice)
        return no_model(self.app, choice), repr((offered, [(job.id, job.state, job.progress) for job in jobs]))


def build(app: App, kept: Kept) -> ShareTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(components.guide(5, "One moment.", ""), elem_classes="guide")
    offered = clickable(elem_id="ready-to-share")
    kind = gr.Radio(
        choices({}),
        value="gguf:Q8_0",
        label="How do you want to take it?",
        elem_classes="choices four",
        elem_id="export-kind",
    )
    with gr.Row(elem_classes="actions"):
        make = primary("Make the file", interactive=False, elem_id="export")
        recipe = button("Make the recipe", visible=False, elem_id="export-recipe")
        why_not = drawn(elem_classes="reason")
    exports = drawn()
    rent = hf_jobs_card.build(app, kept)
    tab = ShareTab(app, line, offered, kind, make, recipe, why_not, exports, rent)

    def starting(to: Callable[[Given], str]) -> Any:
        @handler
        def start(given: Given) -> Updates:
            choice = kept.choice(given)
            app.results.start_export(choice.run_id, to(given))
            return tab.show(choice)

        return start

    make.click(starting(lambda given: str(given[kind])), kept.inputs(kind), tab.outputs, **LISTEN)
    recipe.click(starting(lambda _: "script"), kept.inputs(), tab.outputs, **LISTEN)
    ready_models.listen(offered, app, kept, lambda choice, _: tab.show(choice), tab.outputs)
    return tab
