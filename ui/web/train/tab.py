"""Train: everything that is about to happen, then watching it happen."""

from collections.abc import Hashable
from typing import Any

import gradio as gr

from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Updates
from ui.web.components import html
from ui.web.html import components
from ui.web.train import planning
from ui.web.train.running import Running


class TrainTab:
    """Shows a run where one is open, else the plan of the next one."""

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app = app
        guide = components.guide(3, "Working out what training will take here.", "")
        self.line = html(guide, elem_classes="guide")
        self.planning, self.running = (
            planning.Planning(app, state, self.line),
            Running(app, self.line),
        )
        self.form, self.forward = self.planning.form, self.running.forward
        self.outputs: list[Any] = [
            self.line,
            *self.planning.outputs,
            *self.running.outputs,
        ]
        self.planning.listen(state, self.show, self.outputs)
        self.running.listen(state, self.show, self.form.restore, self.outputs)

    def show(self, choice: Choice) -> Updates:
        """The tab, except for the settings, in which the person may be typing:
        `SettingsForm.restore` fills those.
        """
        runs = bool(choice.run_id)
        columns = {
            self.planning.column: gr.update(visible=not runs),
            self.running.column: gr.update(visible=runs),
        }
        return {
            **columns,
            **(
                self.running.show(choice.run_id) if runs else self.planning.show(choice)
            ),
        }

    def signature(self, choice: Choice) -> Hashable:
        return (
            self.running.signature(choice.run_id)
            if choice.run_id
            else self.planning.signature(choice)
        )
