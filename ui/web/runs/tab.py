"""My models: every run, to open, resume, compare, rename, train again or delete; and models from other computers."""

import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.hosting.policy import Feature
from backend.settings import PROGRAM
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked, html, sent_file
from ui.web.errors import handler
from ui.web.html import compare_runs, components
from ui.web.runs import run_names
from ui.web.runs.run_names import RunNames
from ui.web.runs.views import damaged, imported, listing

FROM_WHERE = f"The zip file “Everything in one file” that Share makes there. Larger than 1 GB: {PROGRAM} import FILE."


@dataclass
class RunsTab:
    """listing: the table of runs. What opening one means for the other tabs is up to the page."""

    app: App
    line: gr.HTML
    compared: gr.HTML
    listing: gr.HTML
    names: RunNames
    archive: gr.UploadButton
    imported: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        return [self.line, self.compared, self.listing, self.archive, self.imported]

    def show(self, choice: Choice) -> Updates:
        runs = self.app.runs.all()
        now, then = "You have not trained a model yet.", "Your models will be listed here."
        if runs:
            now, then = (
                "Everything you trained here.",
                "Open one to watch, try or share it, or to compare another with it.",
            )
        compared, both = components.EMPTY, {choice.run_id, choice.compared_run}
        if len(both - {""}) == 2:
            details = self.app.runs.details
            compared = compare_runs.card(details(choice.run_id), details(choice.compared_run))
        outcomes = {run.info.id: self.app.blind_tests.outcome(run.info.id) for run in runs}
        votes = {run_id: outcome for run_id, outcome in outcomes.items() if outcome}
        refused: Updates = {}
        if why_not := self.app.policy.why_not(Feature.IMPORT_MODEL):
            refused = {self.archive: gr.update(interactive=False), self.imported: why_not}
        return {
            self.line: components.guide(0, now, then),
            self.compared: compared,
            self.listing: listing(
                runs,
                choice.run_id,
                time.time(),
                choice.compared_run,
                self.app.evaluations.summaries(),
                votes,
            )
            + damaged(self.app.runs.damaged()),
            **refused,
        }

    def signature(self, choice: Choice) -> Hashable:
        curves = [self.app.runs.curve_position(run) for run in (choice.run_id, choice.compared_run) if run]
        summaries, runs = self.app.evaluations.summaries(), self.app.runs.all()
        votes = [self.app.blind_tests.change_token(run.info.id) for run in runs]
        return repr((runs, self.app.runs.damaged(), curves, summaries, votes)), int(time.time() / 60)


def build(app: App, state: BrowserState) -> RunsTab:
    """Draws the tab inside the current gr.Tab."""
    line = html(components.guide(0, "One moment.", ""), elem_classes="guide")
    compared = html(elem_id="compared")
    names = run_names.build()
    runs = clickable(elem_id="run-list")
    with gr.Row(elem_classes="actions"):
        archive = gr.UploadButton(
            "Add a model from another computer",
            file_types=[".zip"],
            size="md",
            min_width=0,
            scale=0,
            elem_id="import-model",
        )
        added = html(FROM_WHERE, elem_classes="reason", elem_id="imported-model")
    tab = RunsTab(app, line, compared, runs, names, archive, added)

    @handler
    def act(event: gr.EventData, inputs: Inputs) -> Updates:
        before, (action, run_id) = state.choice(inputs), clicked(event)
        choice = before
        if action == "delete":
            if app.runs.state(run_id) or run_id in app.runs.damaged():  # not after a second click
                app.delete_run(run_id)
            if choice.run_id == run_id:
                choice = choice.replace(run_id="")
        elif action == "resume":
            app.runs.resume(run_id)
        elif action == "compare":
            choice = choice.replace(compared_run="" if choice.compared_run == run_id else run_id)
        asked = names.open(app, run_id) if action == "name" else {}
        return {**state.change(before, choice), **tab.show(choice), **asked}

    @handler
    def save(inputs: Inputs) -> Updates:
        return {**names.save(app, inputs), **tab.show(state.choice(inputs))}

    @handler
    def add(inputs: Inputs) -> Updates:
        model = app.model_imports.add(sent_file(inputs[archive]))
        return {**tab.show(state.choice(inputs)), added: imported(model)}

    state.listen(archive.upload, add, tab.outputs, archive)
    state.listen(runs.click, act, [*tab.outputs, *names.outputs])
    state.listen(names.save_button.click, save, [*tab.outputs, *names.outputs], *names.inputs)
    state.listen(names.name.submit, save, [*tab.outputs, *names.outputs], *names.inputs)
    names.cancel.click(names.close, None, names.outputs, **PRIVATE)
    return tab
