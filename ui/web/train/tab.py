"""Train: everything that is about to happen, then watching it happen."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Updates
from ui.web.components import html
from ui.web.html import components
from ui.web.train import demo_cards, planning, running
from ui.web.train.settings_form import SettingsForm


@dataclass
class TrainTab:
    """Shows a run where one is open, else the plan of the next one."""

    app: App
    line: gr.HTML
    gpu: gr.HTML
    planning: planning.Planning
    running: running.Running

    @property
    def form(self) -> SettingsForm:
        return self.planning.form

    @property
    def forward(self) -> gr.Button:
        return self.running.forward

    @property
    def outputs(self) -> list[Any]:
        return [self.line, self.gpu, *self.planning.outputs, *self.running.outputs]

    def show(self, choice: Choice) -> Updates:
        """The tab, except for the settings, in which the person may be typing: `SettingsForm.restore` fills those."""
        runs, gpu = bool(choice.run_id), self.app.runs.gpu_time()
        columns = {
            self.planning.column: gr.update(visible=not runs),
            self.running.column: gr.update(visible=runs),
            self.gpu: demo_cards.gpu_time(gpu) if gpu else components.EMPTY,
        }
        return {**columns, **(self.running.show(choice.run_id) if runs else self.planning.show(choice))}

    def signature(self, choice: Choice) -> Hashable:
        half = self.running.signature(choice.run_id) if choice.run_id else self.planning.signature(choice)
        return half, self.app.runs.gpu_time()


def build(app: App, state: BrowserState) -> TrainTab:
    """Draws the tab inside the current gr.Tab."""
    line = html(components.guide(3, "Working out what training will take here.", ""), elem_classes="guide")
    gpu = html()
    tab = TrainTab(app, line, gpu, planning.build(app, state, line), running.build(app, line))
    if app.policy.demo:
        with gr.Accordion(demo_cards.RECORDED, open=False, elem_classes="fold-block"):
            html(demo_cards.recorded())
    tab.planning.listen(state, tab.show, tab.outputs)
    tab.running.listen(state, tab.show, tab.form.restore, tab.outputs)
    return tab
