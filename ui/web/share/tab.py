"""Share: export the model as a file, checked to be the same model."""

from collections.abc import Hashable
from typing import Any

import gradio as gr

from backend.gguf.requirement import has_quantizer
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import action_bar, button, clickable, clicked, html, primary
from ui.web.html import components
from ui.web.share.endpoint_card import EndpointCard
from ui.web.share.hub_card import HubCard
from ui.web.share.spreadsheet_card import SpreadsheetCard
from ui.web.share.views import (
    added,
    at_home,
    choices,
    export,
    gguf_types,
    types_note,
)
from ui.web.try_it import ready_models
from ui.web.try_it.ready_models import no_model

DEFAULT = "gguf:Q8_0"
ONLY_SCRIPT = (
    "The training script can be made already: a Python file, your examples and the run "
    "itself, to train the same model elsewhere, on several GPUs or on rented ones."
)
MADE = "It is made already, from this model: see below."


class ShareTab:
    """make: makes the file of the chosen kind. types: of GGUF files. script: makes the
    script, which needs no model.
    """

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        self.line = html(components.guide(5, "One moment.", ""), elem_classes="guide")
        self.offered = clickable(elem_id="ready-to-share")
        self.kind = gr.Radio(
            choices({}),
            value="page",
            label="What do you need?",
            elem_classes="choices three",
            elem_id="export-kind",
        )
        with gr.Accordion(
            "Sizes of the file for any computer", open=False, elem_classes="fold-block"
        ):
            self.types = gr.CheckboxGroup(
                gguf_types({}, {}),
                value=[DEFAULT],
                label="GGUF types",
                info=types_note(True),
                elem_id="gguf-types",
            )
        self.added = html()
        self.exports = clickable(elem_id="exports")
        if card := at_home():
            html(card)
        self.spreadsheet = SpreadsheetCard(app, state)
        self.endpoint = EndpointCard(app, state)
        self.hub = HubCard(app, state)
        with action_bar():
            self.make = primary("Make the file", interactive=False, elem_id="export")
            self.script = button(
                "Make the training script", visible=False, elem_id="export-script"
            )
            self.why_not = html(elem_classes="reason")
        drawn = [
            self.line,
            self.offered,
            self.kind,
            self.types,
            self.make,
            self.script,
            self.why_not,
        ]
        cards = [*self.spreadsheet.outputs, *self.endpoint.outputs, *self.hub.outputs]
        self.outputs: list[Any] = [*drawn, self.exports, *cards]
        state.listen(self.make.click, self._make, self.outputs, self.kind, self.types)
        state.listen(
            self.script.click,
            lambda inputs: self._start(inputs, "script"),
            self.outputs,
        )
        state.listen(self.exports.click, self._act, [self.added, *self.outputs])
        ready_models.listen(
            self.offered, app, state, lambda choice, _: self.show(choice), self.outputs
        )

    def show(self, choice: Choice) -> Updates:
        why_not = no_model(self.app, choice)
        jobs = self.app.results.exports(choice.run_id) if choice.run_id else []
        sizes = {} if why_not else self.app.results.export_sizes(choice.run_id)
        busy = (
            "It is being made, see below. You can choose the next one when it is done."
        )
        busy = busy if any(not made.job.state.is_terminal for made in jobs) else ""
        narrow = {} if why_not else self.app.results.too_narrow(choice.run_id)
        instruction = self.app.results.system_message(choice.run_id) if jobs else ""
        programs = self.app.local_programs.installed() if jobs else ()
        only_script = bool(choice.run_id and why_not)
        now, then = (
            "Choose what you need.",
            "Each file is checked to be the same model.",
        )
        if why_not:
            now, then = "There is no model to share here yet.", why_not
        if not choice.run_id:
            now, then = "There is no model to share yet.", "Train a model first."
        return {
            self.line: components.guide(5, now, then)
            + ready_models.run_line(self.app, choice),
            self.offered: ready_models.offer(self.app, choice),
            self.kind: gr.update(choices=choices(sizes), visible=not only_script),
            self.types: gr.update(
                choices=gguf_types(sizes, narrow, has_quantizer()),
                info=types_note(has_quantizer()),
            ),
            self.make: gr.update(
                interactive=not (busy or why_not), visible=not only_script
            ),
            self.script: gr.update(interactive=not busy, visible=only_script),
            self.why_not: busy or (ONLY_SCRIPT if only_script else why_not),
            self.exports: components.join(
                export(made, instruction, programs) for made in jobs
            ),
            **self.spreadsheet.show(choice, why_not),
            **self.endpoint.show(choice, why_not),
            **self.hub.show(choice),
        }

    def signature(self, choice: Choice) -> Hashable:
        jobs = self.app.results.exports(choice.run_id) if choice.run_id else []
        offered = ready_models.offered(self.app, choice)
        cards = [
            card.signature(choice)
            for card in (self.spreadsheet, self.endpoint, self.hub)
        ]
        shown = (
            offered,
            [(made.job.id, made.job.state, made.job.progress) for made in jobs],
            cards,
        )
        return no_model(self.app, choice), repr(shown)

    def _act(self, event: gr.EventData, inputs: Inputs) -> Updates:
        """Cancels an export, or adds its file to a program of this computer."""
        (program, export_id), choice = clicked(event), self._state.choice(inputs)
        run_id = choice.run_id
        if program == "cancel":
            self.app.results.stop_export(run_id, export_id)
            return self.show(choice)
        name = self.app.local_programs.add(run_id, export_id, program)
        return {
            self.added: added(program, name, self.app.results.system_message(run_id))
        }

    def _make(self, inputs: Inputs) -> Updates:
        """Makes the chosen kind; for GGUF, all the types that are ticked."""
        kind = str(inputs[self.kind])
        return self._start(
            inputs,
            ",".join(inputs[self.types] or [DEFAULT]) if kind == DEFAULT else kind,
        )

    def _start(self, inputs: Inputs, kind: str) -> Updates:
        choice = self._state.choice(inputs)
        if self.app.results.finished_export(choice.run_id, kind):
            return {**self.show(choice), self.why_not: MADE}
        self.app.results.start_export(choice.run_id, kind)
        return self.show(choice)
