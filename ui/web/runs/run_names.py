"""The name of a run and a note about it, to edit. What is being typed stays while the list around it is redrawn."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.errors import BadInput
from backend.runs.about import LONGEST_NAME, LONGEST_NOTE
from ui.services.app import App
from ui.web.browser_state import Inputs, Updates
from ui.web.components import button, primary


@dataclass
class RunNames:
    """panel: hidden until a run is to be renamed. run: its id."""

    panel: gr.Column
    run: gr.Textbox
    name: gr.Textbox
    note: gr.Textbox
    save_button: gr.Button
    cancel: gr.Button

    @property
    def inputs(self) -> list[Any]:
        return [self.run, self.name, self.note]

    @property
    def outputs(self) -> list[Any]:
        return [self.panel, *self.inputs]

    def open(self, app: App, run_id: str) -> Updates:
        """Shows the name and the note of a run. Raises RunProblem when it does not exist."""
        name, note = app.runs.info(run_id).name, app.runs.note(run_id)
        return {self.panel: gr.update(visible=True), self.run: run_id, self.name: name, self.note: note}

    def save(self, app: App, inputs: Inputs) -> Updates:
        """Saves the name and the note. Raises RunProblem, and BadInput without a name."""
        run_id, name, note = (str(inputs[part] or "") for part in self.inputs)
        if not name.strip():
            raise BadInput("A model needs a name.", "The field is empty.", "Enter a name, or cancel.")
        app.versions.rename(run_id, name)
        app.versions.set_note(run_id, note)
        return self.close()

    def close(self) -> Updates:
        return {self.panel: gr.update(visible=False), self.run: "", self.name: "", self.note: ""}


def build() -> RunNames:
    """Draws the fields inside the current tab."""
    with gr.Column(visible=False, elem_id="run-names") as panel:
        run = gr.Textbox("", label="Run", visible=False)
        name = gr.Textbox(label="Name", max_lines=1, max_length=LONGEST_NAME)
        note = gr.Textbox(label="Note", info="Only you see this.", lines=2, max_lines=8, max_length=LONGEST_NOTE)
        with gr.Row(elem_classes="actions"):
            save = primary("Save")
            cancel = button("Cancel")
    return RunNames(panel, run, name, note, save, cancel)
