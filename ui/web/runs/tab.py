"""My models: every run, to open, go on with, or delete."""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.services.app import App
from ui.services.selection import Choice
from ui.web.components import LISTEN, Given, Kept, Updates, clickable, drawn, pressed
from ui.web.errors import handler
from ui.web.html import compare_runs, components
from ui.web.runs.views import listing


@dataclass
class RunsTab:
    """listing: the drawn list; what opening a run means for the other tabs is wired by the layout."""

    app: App
    line: gr.HTML
    compared: gr.HTML
    listing: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        return [self.line, self.compared, self.listing]

    def show(self, choice: Choice) -> Updates:
        runs = self.app.runs.all()
        said = "Everything you trained here." if runs else "Nothing is trained yet."
        then = "Open one to watch it, try it or take it away, then compare another with it."
        then = then if runs else "Your models will be listed here."
        return {
            self.line: components.guide(0, said, then),
            self.compared: self._compared(choice),
            self.listing: listing(runs, choice.run_id, time.time(), choice.compared_run),
        }

    def _compared(self, choice: Choice) -> Markup:
        if not choice.run_id or not choice.compared_run or choice.run_id == choice.compared_run:
            return components.EMPTY
        return compare_runs.card(self.app.runs.details(choice.run_id), self.app.runs.details(choice.compared_run))

    def signature(self, choice: Choice) -> Hashable:
        drawn = [self.app.runs.curve_position(one) for one in (choice.run_id, choice.compared_run) if one]
        return repr((self.app.runs.all(), drawn)), int(time.time() / 60)


def build(app: App, kept: Kept) -> RunsTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(components.guide(0, "One moment.", ""), elem_classes="guide")
    compared = drawn(elem_id="compared")
    drawn_list = clickable(elem_id="run-list")
    tab = RunsTab(app, line, compared, drawn_list)

    @handler
    def act(event: gr.EventData, given: Given) -> Updates:
        before, (do, run_id) = kept.choice(given), pressed(event)
        choice = before
        if do == "delete":
            app.delete_run(run_id)
            if choice.run_id == run_id:
                choice = choice.replace(run_id="")
        elif do == "resume":
            app.runs.resume(run_id)
        elif do == "compare":
            choice = choice.replace(compared_run="" if choice.compared_run == run_id else run_id)
        return {**kept.keep(before, choice), **tab.show(choice)}

    drawn_list.click(act, kept.inputs(), [*kept.outputs, *tab.outputs], **LISTEN)
    return tab
