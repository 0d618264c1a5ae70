"""My models: every run, to open, go on with, or delete."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from ui.records import Losses, RunLine
from ui.services import losses
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.components import LISTEN, Given, Kept, Updates, clickable, drawn, pressed
from ui.web.errors import handler
from ui.web.html import compare_runs, components


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
            self.listing: listing(runs, choice.run_id, time.time(), choice.beside),
        }

    def _compared(self, choice: Choice) -> str:
        if not choice.run_id or not choice.beside or choice.run_id == choice.beside:
            return ""
        return compare_runs.card(self.app.runs.compared(choice.run_id), self.app.runs.compared(choice.beside))

    def signature(self, choice: Choice) -> Hashable:
        drawn = [self.app.runs.curve_position(one) for one in (choice.run_id, choice.beside) if one]
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
                choice = choice.but(run_id="")
        elif do == "resume":
            app.runs.resume(run_id)
        elif do == "compare":
            choice = choice.but(beside="" if choice.beside == run_id else run_id)
        return {**kept.keep(before, choice), **tab.show(choice)}

    drawn_list.click(act, kept.inputs(), [*kept.outputs, *tab.outputs], **LISTEN)
    return tab


def listing(runs: Iterable[RunLine], open_id: str, now: float, beside: str = "") -> str:
    """The runs as a table, newest first. beside: the one that the open one is compared with."""
    runs = list(runs)
    opened = next((run.origin.name for run in runs if run.origin.id == open_id), "")
    lines = [_line(run, opened, run.origin.id == open_id, run.origin.id == beside, now) for run in runs]
    if not lines:
        return ""
    headers = ("Name", "State", "Loss", "When", "")
    return f'<section class="card">{components.table(headers, lines, "Your models", kind="runs")}</section>'


def _losses(told: Losses) -> str:
    """The best test, else the one before training, else the practice loss; and what it was before training."""
    number, words = losses.facts(told)[-1]
    before = f"{fmt.loss(told.before.loss)} {losses.BEFORE}" if told.before and told.best else ""
    return escape(number) + components.text(words, "small") + components.text(before, "small")


def _line(run: RunLine, opened: str, is_open: bool, is_beside: bool, now: float) -> tuple[str, ...]:
    state, run_id, called = str(run.state.value), run.origin.id, run.origin.name
    acts = [components.button("Open", "open", run_id, "firm", f"Open {called}")]
    if opened and not is_open:
        words, label = "Compare", f"Compare {called} with {opened}"
        if is_beside:
            words, label = "Stop comparing", f"Stop comparing {called} with {opened}"
        acts.append(components.button(words, "compare", run_id, label=label))
    if state in ("stopped", "interrupted", "failed"):
        acts.append(components.button("Go on", "resume", run_id, label=f"Go on training {called}"))
    if state not in ("queued", "starting", "running", "stopping"):
        sure = components.button("Delete for good", "delete", run_id, "danger")
        acts.append(components.confirm("Delete", "This removes the model, its curve and its files.", sure))
    name = f"<strong>{escape(called)}</strong>{components.text(fmt.origin(run.origin), 'small')}"
    return (
        name + (components.badge("Open now", "calm") if is_open else ""),
        components.badge(*fmt.state(state)),
        _losses(run.losses),
        escape(fmt.when(run.created, now)),
        f'<div class="acts">{"".join(acts)}</div>',
    )
