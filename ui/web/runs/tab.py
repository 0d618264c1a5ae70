"""My models: every run, to open, resume, compare, rename, train again or delete; and
models from other computers.
"""

import time
from collections.abc import Hashable
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import BadInput
from backend.hosting.policy import Feature
from backend.runs.about import LONGEST_NAME, LONGEST_NOTE
from backend.settings import PROGRAM
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import (
    button,
    clickable,
    clicked,
    html,
    primary,
    sent_file,
    upload_button,
)
from ui.web.html import compare_runs, components
from ui.web.runs.views import damaged, imported, listing
from ui.web.try_it.evaluation_card import look

FROM_WHERE = f"The zip file “Everything in one file” that Share makes there. Larger than 1 GB: {PROGRAM} import FILE."


class RunNames:
    """panel: hidden until a run is to be renamed. run: its id."""

    def __init__(self, app: App) -> None:
        self.app = app
        with gr.Column(visible=False, elem_id="run-names") as self.panel:
            self.run = gr.Textbox("", label="Run", visible=False)
            self.name = gr.Textbox(label="Name", max_lines=1, max_length=LONGEST_NAME)
            only_you = "Only you see this."
            self.note = gr.Textbox(
                label="Note",
                info=only_you,
                lines=2,
                max_lines=8,
                max_length=LONGEST_NOTE,
            )
            with gr.Row(elem_classes="actions"):
                self.save_button = primary("Save")
                self.cancel = button("Cancel")
        self.inputs = [self.run, self.name, self.note]
        self.outputs: list[Any] = [self.panel, *self.inputs]

    def open(self, run_id: str) -> Updates:
        """Shows the name and the note of a run. Raises RunProblem when it does not
        exist.
        """
        name, note = self.app.runs.info(run_id).name, self.app.runs.note(run_id)
        return {
            self.panel: gr.update(visible=True),
            self.run: run_id,
            self.name: name,
            self.note: note,
        }

    def save(self, inputs: Inputs) -> Updates:
        """Saves the name and the note. Raises RunProblem, and BadInput without a name."""
        run_id, name, note = (str(inputs[part] or "") for part in self.inputs)
        if not name.strip():
            raise BadInput(
                "A model needs a name.",
                "The field is empty.",
                "Enter a name, or cancel.",
            )
        self.app.versions.describe(run_id, name=name, note=note)
        return self.close()

    def close(self) -> Updates:
        return {
            self.panel: gr.update(visible=False),
            self.run: "",
            self.name: "",
            self.note: "",
        }


class RunsTab:
    """listing: the table of runs. What opening one means for the other tabs is up to
    the page.
    """

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        self.line = html(components.guide(0, "One moment.", ""), elem_classes="guide")
        self.compared = html(elem_id="compared")
        self.names = names = RunNames(app)
        self.listing, self.verdict = (
            clickable(elem_id="run-list"),
            clickable(elem_id="verdict"),
        )
        with gr.Row(elem_classes="actions"):
            self.archive = upload_button(
                "Add a model from another computer", [".zip"], "import-model"
            )
            self.imported = html(
                FROM_WHERE, elem_classes="reason", elem_id="imported-model"
            )
        self.outputs: list[Any] = [
            self.line,
            self.compared,
            self.listing,
            self.verdict,
            self.archive,
            self.imported,
        ]
        everything = [*self.outputs, *names.outputs]
        state.listen(self.archive.upload, self._add, self.outputs, self.archive)
        state.listen(self.listing.click, self._act, everything)
        state.listen(names.save_button.click, self._save, everything, *names.inputs)
        state.listen(names.name.submit, self._save, everything, *names.inputs)
        names.cancel.click(names.close, None, names.outputs, **PRIVATE)

    def show(self, choice: Choice) -> Updates:
        runs = self.app.runs.all()
        now, then = (
            "You have not trained a model yet.",
            "Your models will be listed here.",
        )
        if runs:
            now = "Everything you trained here."
            then = "Open one to watch, try or share it, or to compare another with it."
        compared, both = components.EMPTY, {choice.run_id, choice.compared_run}
        if len(both - {""}) == 2:
            details = self.app.runs.details
            compared = compare_runs.card(
                details(choice.run_id), details(choice.compared_run)
            )
        outcomes = {
            run.info.id: self.app.blind_tests.outcome(run.info.id) for run in runs
        }
        votes = {run_id: outcome for run_id, outcome in outcomes.items() if outcome}
        verdict = components.EMPTY
        if choice.run_id and self.app.results.has_model(choice.run_id):
            named = Markup("<h2>The check of “{}”</h2>").format(
                self.app.runs.info(choice.run_id).name
            )
            verdict = named + look(self.app, choice.run_id).card
        reports = self.app.evaluations.summaries()
        listed = listing(
            runs, choice.run_id, time.time(), choice.compared_run, reports, votes
        )
        refused: Updates = {}
        if why_not := self.app.policy.why_not(Feature.IMPORT_MODEL):
            refused = {
                self.archive: gr.update(interactive=False),
                self.imported: why_not,
            }
        return {
            self.line: components.guide(0, now, then),
            self.compared: compared,
            self.listing: listed + damaged(self.app.runner.damaged()),
            self.verdict: verdict,
            **refused,
        }

    def signature(self, choice: Choice) -> Hashable:
        curves = [
            self.app.runs.curve(run).position
            for run in (choice.run_id, choice.compared_run)
            if run
        ]
        summaries, runs = self.app.evaluations.summaries(), self.app.runs.all()
        votes = [self.app.blind_tests.change_token(run.info.id) for run in runs]
        check = self.app.evaluations.latest(choice.run_id) if choice.run_id else None
        shown = (
            runs,
            self.app.runner.damaged(),
            curves,
            summaries,
            votes,
            check and (check.state, check.progress),
        )
        return repr(shown), int(time.time() / 60)

    def _act(self, event: gr.EventData, inputs: Inputs) -> Updates:
        before, (action, run_id) = self._state.choice(inputs), clicked(event)
        choice, runs = before, self.app.runs
        if action == "delete":
            if (
                runs.state(run_id) or run_id in self.app.runner.damaged()
            ):  # not after a second click
                self.app.delete_run(run_id)
            if choice.run_id == run_id:
                choice = choice.replace(run_id="")
        elif action == "resume":
            runs.resume(run_id)
        elif action == "compare":
            choice = choice.replace(
                compared_run="" if choice.compared_run == run_id else run_id
            )
        asked = self.names.open(run_id) if action == "name" else {}
        return {**self._state.change(before, choice), **self.show(choice), **asked}

    def _save(self, inputs: Inputs) -> Updates:
        return {**self.names.save(inputs), **self.show(self._state.choice(inputs))}

    def _add(self, inputs: Inputs) -> Updates:
        model = self.app.model_imports.add(sent_file(inputs[self.archive]))
        return {**self.show(self._state.choice(inputs)), self.imported: imported(model)}
