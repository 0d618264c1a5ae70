"""Start: what should it learn, what can this computer do, and which model to take."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.advice.recommend import Recommendation
from backend.models.catalogue import TASKS
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.components import LISTEN, Given, Kept, Updates, clickable, drawn, pressed, primary
from ui.web.errors import handler
from ui.web.html import components
from ui.web.start import download_card
from ui.web.start import views as start_views

CHANGING = "Yes, prices, stock and the like"
STABLE = "No, or hardly ever"

# Both answers as the browser kept them, put back by the browser itself: a server's answer would come after a quick
# person has chosen, and take that back.
RESTORE = f"""(task, changing) => [
  {json.dumps(TASKS)}.includes(task?.[0]) ? task[0] : null,
  changing?.[0] === true ? {json.dumps(CHANGING)} : {json.dumps(STABLE)},
]"""


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
    taken: Any = None  # the event by which the shown model becomes the chosen one

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
        why_not = start_views.reason(chosen, waiting)
        size = self.app.models.size_mib(chosen.model.id)
        downloads = self.app.models.downloads()
        better, more = None, ""
        if size is None and not chosen.model.embedded and not simulated:
            more = download_card.fetching(self.app.models.download_status(chosen.model.id))
        elif recommended and (better := self.app.advice.better(choice.task, choice.data_id)):
            more = start_views.suggestion(better, chosen)
        return {
            self.line: start_views.guide(choice, not preparing),
            self.advice: start_views.RETRIEVAL if choice.facts_change else "",
            self.machine: start_views.machine_card(self.app.models.probe(), simulated),
            self.model: start_views.model_card(chosen, recommended, size, preparing, more, better is not None),
            self.others: start_views.others_table(options, chosen.model.id, ready, downloads),
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
        downloads = [(one.id, one.state, one.progress) for one in self.app.models.downloads().values()]
        ready = self.app.models.is_ready(choice.model_id)
        return repr((compared, better and better.model.id, job and (job.state, job.progress), downloads, ready))

    @property
    def answers(self) -> list[gr.Radio]:
        """What `RESTORE` fills, from the kept `task` and `facts_change`."""
        return [self.task, self.facts]


def build(app: App, kept: Kept) -> StartTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(
        components.guide(1, "Say what it should learn.", "Then you bring examples of it."), elem_classes="guide"
    )
    task = gr.Radio(
        [("\n".join(words), key) for key, words in start_views.TASKS.items()],
        label="What should it learn?",
        elem_classes="choices four",
    )
    facts = gr.Radio(
        [STABLE, CHANGING], value=STABLE, label="Do the right answers change often?", elem_classes="choices inline"
    )
    advice = drawn()
    machine = clickable(components.card("Your computer", lead="Looking at what it can do."))
    model = clickable(components.card("The model", lead="Working out which one fits."))
    with gr.Accordion("Other models", open=False, elem_classes="fold-block"):
        others = clickable()
    with gr.Row(elem_classes="actions"):
        forward = primary("Go on to your examples", elem_id="to-data")
        reason = drawn(elem_classes="reason")

    tab = StartTab(app, line, task, facts, advice, machine, model, others, forward, reason)

    def changed(given: Given, **changes: Any) -> Updates:
        before = kept.choice(given)
        choice = before.replace(**changes)
        return {**kept.keep(before, choice), **tab.show(choice)}

    @handler
    def choose_task(given: Given) -> Updates:
        return changed(given, task=given[task])

    @handler
    def choose_facts(given: Given) -> Updates:
        return changed(given, facts_change=given[facts] == CHANGING)

    @handler
    def press(event: gr.EventData, given: Given) -> Updates:
        """A model is chosen, or something is done about its download."""
        do, value = pressed(event)
        download_card.act(app, do, value)
        chooses = do in ("model", "download") and value != kept.choice(given).model_id
        return changed(given, model_id=value, settings={}) if chooses else changed(given)

    @handler
    def look(event: gr.EventData, given: Given) -> Updates:
        """Looks at the machine again."""
        if pressed(event)[0] == "probe":
            app.models.probe_again()
        return tab.show(kept.choice(given))

    @handler
    def take(given: Given) -> Updates:
        """Going on keeps the model that is shown, also when it is only the recommended one."""
        before = kept.choice(given)
        chosen, _ = tab._chosen(before)
        return kept.keep(before, before.replace(model_id=chosen.model.id)) or gr.skip()

    outputs = [*kept.outputs, *tab.outputs]
    task.input(choose_task, kept.inputs(task), outputs, **LISTEN)
    facts.input(choose_facts, kept.inputs(facts), outputs, **LISTEN)
    tab.taken = forward.click(take, kept.inputs(), kept.outputs, **LISTEN)
    machine.click(look, kept.inputs(), tab.outputs, **LISTEN)
    model.click(press, kept.inputs(), outputs, **LISTEN)
    others.click(press, kept.inputs(), outputs, **LISTEN)
    return tab
