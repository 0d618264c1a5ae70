"""Start: what the model should learn, what this computer can do, and which model to use."""

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.advice.recommend import Recommendation
from backend.models.catalogue import TASKS
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked, html, primary
from ui.web.errors import handler
from ui.web.html import components
from ui.web.start import download_card, models_table
from ui.web.start import views as start_views

STABLE, CHANGING = "stable", "changing"  # as static/js/store.js has them


@dataclass
class StartTab:
    app: App
    line: gr.HTML
    task: gr.Radio
    facts: gr.Radio
    advice: gr.HTML
    machine: gr.HTML
    model: gr.HTML
    others: gr.HTML
    forward: gr.Button
    reason: gr.HTML
    chosen: Any = None  # the event by which the shown model becomes the chosen one

    @property
    def outputs(self) -> list[Any]:
        return [self.line, self.advice, self.machine, self.model, self.others, self.forward, self.reason]

    def show(self, choice: Choice) -> Updates:
        chosen, recommended = self._chosen(choice)
        options = self.app.advice.options(choice.task, choice.data_id)
        ready = {option.model.id for option in options or (chosen,) if self.app.models.is_ready(option.model.id)}
        preparing = self.app.models.unpacking()
        simulated = bool(self.app.models.simulated)
        here = simulated or chosen.model.id in ready or preparing
        waiting = "" if here else self.app.models.why_not_ready(chosen.model.id)
        why_not = start_views.why_disabled(chosen, waiting)
        size = self.app.models.size_mib(chosen.model.id)
        downloads = self.app.models.downloads()
        better, more = None, ""
        if size is None and not chosen.model.bundled and not simulated:
            more = download_card.fetching(self.app.downloads.status(chosen.model.id))
        elif recommended and (better := self.app.advice.better(choice.task, choice.data_id)):
            more = start_views.suggestion(better, chosen)
        return {
            self.line: start_views.guide(choice, not preparing),
            self.advice: start_views.RETRIEVAL if choice.facts_change else "",
            self.machine: start_views.machine_card(self.app.models.probe(), simulated),
            self.model: start_views.model_card(chosen, recommended, size, preparing, more, better is not None),
            self.others: models_table.others_table(options, chosen.model.id, ready, downloads),
            self.forward: gr.update(interactive=not why_not),
            self.reason: why_not,
        }

    def _chosen(self, choice: Choice) -> tuple[Recommendation, bool]:
        """The model that was chosen, else the recommended one, and whether it is that one."""
        recommended = self.app.advice.recommendation(choice.task, choice.data_id)
        if choice.model_id in ("", recommended.model.id):
            return recommended, True
        return self.app.advice.recommendation(choice.task, choice.data_id, choice.model_id), False

    def signature(self, choice: Choice) -> Hashable:
        job = self.app.models.unpacking()
        compared = self.app.advice.options(choice.task, choice.data_id) is not None
        better = self.app.advice.better(choice.task, choice.data_id)
        downloads = [(each.id, each.state, each.progress) for each in self.app.models.downloads().values()]
        ready = self.app.models.is_ready(choice.model_id)
        return repr((compared, better and better.model.id, job and (job.state, job.progress), downloads, ready))


def build(app: App, state: BrowserState) -> StartTab:
    """Draws the tab inside the current gr.Tab."""
    line = html(components.guide(1, "Say what it should learn.", "Then add examples of it."), elem_classes="guide")
    task = gr.Radio(
        [("\n".join(lines), key) for key, lines in start_views.TASKS.items()],
        label="What should it learn?",
        elem_classes="choices four",
    )
    facts = gr.Radio(
        [("No, or hardly ever", STABLE), ("Yes, prices, stock and the like", CHANGING)],
        value=STABLE,
        label="Do the right answers change often?",
        elem_classes="choices inline",
    )
    advice = html()
    machine = clickable(components.card("Your computer", lead="Looking at what it can do."))
    model = clickable(components.card("The model", lead="Working out which one fits."))
    with gr.Accordion("Other models", open=False, elem_classes="fold-block"):
        others = clickable()
    with gr.Row(elem_classes="actions"):
        forward = primary("Continue to your examples", elem_id="to-data")
        reason = html(elem_classes="reason")

    tab = StartTab(app, line, task, facts, advice, machine, model, others, forward, reason)

    def changed(inputs: Inputs, **changes: Any) -> Updates:
        before = state.choice(inputs)
        choice = before.replace(**changes)
        return {**state.change(before, choice), **tab.show(choice)}

    @handler
    def choose_task(inputs: Inputs) -> Updates:
        return changed(inputs, task=inputs[task])

    @handler
    def choose_facts(inputs: Inputs) -> Updates:
        return changed(inputs, facts_change=inputs[facts] == CHANGING)

    @handler
    def choose_model(event: gr.EventData, inputs: Inputs) -> Updates:
        """Chooses a model, or does something about its download."""
        action, value = clicked(event)
        download_card.act(app, action, value)
        chooses = action in ("model", "download") and value != state.choice(inputs).model_id
        return changed(inputs, model_id=value, settings={}) if chooses else changed(inputs)

    @handler
    def probe(event: gr.EventData, inputs: Inputs) -> Updates:
        """Looks at the computer again."""
        if clicked(event)[0] == "probe":
            app.models.probe_again()
        return tab.show(state.choice(inputs))

    @handler
    def leave(inputs: Inputs) -> Any:
        """The model that is shown becomes the chosen one, even if it is only the recommended one."""
        before = state.choice(inputs)
        shown, _ = tab._chosen(before)
        return state.change(before, before.replace(model_id=shown.model.id)) or gr.skip()

    state.on_load(f"() => apprentice.answers({json.dumps(TASKS)})", [], [task, facts])
    state.listen(task.input, choose_task, tab.outputs, task)
    state.listen(facts.input, choose_facts, tab.outputs, facts)
    tab.chosen = state.listen(forward.click, leave, [])
    state.listen(machine.click, probe, tab.outputs)
    state.listen(model.click, choose_model, tab.outputs)
    state.listen(others.click, choose_model, tab.outputs)
    return tab
