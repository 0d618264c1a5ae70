"""My models: every run, to open, go on with, or delete."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from ui import cards, compare, present
from ui.choice import Choice
from ui.messages import handler
from ui.parts import LISTEN, Given, Kept, Updates, drawn, pressable, pressed


@dataclass
class RunsTab:
    """listing: the drawn list; what opening a run means for the other tabs is wired by the layout."""

    services: Any
    line: gr.HTML
    compared: gr.HTML
    listing: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        return [self.line, self.compared, self.listing]

    def show(self, choice: Choice) -> Updates:
        runs = self.services.runs()
        said = "Everything you trained here." if runs else "Nothing is trained yet."
        then = "Open one to watch it, try it or take it away, then compare another with it."
        then = then if runs else "Your models will be listed here."
        return {
            self.line: cards.guide(0, said, then),
            self.compared: self._compared(choice),
            self.listing: listing(runs, choice.run_id, time.time()),
        }

    def _compared(self, choice: Choice) -> str:
        if not choice.run_id or not choice.beside or choice.run_id == choice.beside:
            return ""
        return compare.card(self.services.compared(choice.run_id), self.services.compared(choice.beside))

    def signature(self, choice: Choice) -> Hashable:
        runs = [(run.id, run.state, run.eval_loss) for run in self.services.runs()]
        drawn = [self.services.curve_position(one) for one in (choice.run_id, choice.beside) if one]
        return repr((runs, drawn)), int(time.time() / 60)


def build(services: Any, kept: Kept) -> RunsTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(cards.guide(0, "One moment.", ""), elem_classes="guide")
    compared = drawn(elem_id="compared")
    drawn_list = pressable(elem_id="runs")
    tab = RunsTab(services, line, compared, drawn_list)

    @handler
    def act(event: gr.EventData, given: Given) -> Updates:
        before, (do, run_id) = kept.choice(given), pressed(event)
        choice = before
        if do == "delete":
            services.delete(run_id)
            if choice.run_id == run_id:
                choice = choice.but(run_id="")
        elif do == "resume":
            services.resume(run_id)
        elif do == "compare":
            choice = choice.but(beside="" if choice.beside == run_id else run_id)
        return {**kept.keep(before, choice), **tab.show(choice)}

    drawn_list.click(act, kept.inputs(), [*kept.outputs, *tab.outputs], **LISTEN)
    return tab


def listing(runs: Iterable[Any], open_id: str, now: float) -> str:
    """The runs as a table, newest first."""
    runs = list(runs)
    opened = next((run.name for run in runs if run.id == open_id), "")
    lines = [_line(run, opened, run.id == open_id, now) for run in runs]
    if not lines:
        return ""
    headers = ("Name", "State", "Held-back loss", "When", "")
    return f'<section class="card">{cards.table(headers, lines, "Your models", kind="runs")}</section>'


def losses(run: Any) -> str:
    """The loss before and after, and when it was measured if the run is not through."""
    if run.eval_loss is None:
        return "not yet"
    if run.eval_step == 0:
        return f"{present.loss(run.eval_loss)}{cards.text('before training', 'small')}"
    when = f"tested at step {run.eval_step}" if run.eval_step and run.state.value != "completed" else ""
    change = f"{present.loss(run.first_eval_loss)} to {present.loss(run.eval_loss)}"
    return change + (cards.text(when, "small") if when else "")


def _line(run: Any, opened: str, is_open: bool, now: float) -> tuple[str, ...]:
    state = str(run.state.value)
    acts = [cards.button("Open", "open", run.id, "firm", f"Open {run.name}")]
    if opened and not is_open:
        acts.append(cards.button("Compare", "compare", run.id, label=f"Compare {run.name} with {opened}"))
    if state in ("stopped", "interrupted", "failed"):
        acts.append(cards.button("Go on", "resume", run.id, label=f"Go on training {run.name}"))
    if state not in ("queued", "starting", "running", "stopping"):
        sure = cards.button("Delete for good", "delete", run.id, "danger")
        acts.append(cards.confirm("Delete", "This removes the model, its curve and its files.", sure))
    name = f"<strong>{escape(run.name)}</strong>{cards.text(f'{run.model_name}, {run.data_name}', 'small')}"
    return (
        name + (cards.badge("Open", "calm") if is_open else ""),
        cards.badge(*present.state(state)),
        losses(run),
        escape(present.when(run.created, now)),
        f'<div class="acts">{"".join(acts)}</div>',
    )
