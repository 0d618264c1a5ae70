"""Train: everything that is about to happen, then watching it happen."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.services.app import App
from ui.services.overrides import apply_overrides
from ui.services.runs import default_name
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web import errors as web_errors
from ui.web.components import LISTEN, Given, Kept, Updates, button, clickable, drawn, pressed, primary
from ui.web.errors import handler
from ui.web.html import compare_runs, components
from ui.web.start import download_card
from ui.web.train import settings_fields
from ui.web.train import views as train_views
from ui.web.train.settings_form import Recipe

STOP, STOP_WAITING = "Stop and keep what it learned", "Don't wait any longer"
_TO_TOP = "() => document.querySelector('#tab-train-button[aria-selected=true]') && window.scrollTo({ top: 0 })"


@dataclass
class TrainTab:
    """before: the plan, with the numbers of its recipe; after: the run."""

    app: App
    recipe: Recipe
    line: gr.HTML
    before: gr.Column
    goal: gr.Column
    plan: gr.HTML
    memory: gr.HTML
    called: gr.Textbox
    start: gr.Button
    why_not: gr.HTML
    after: gr.Column
    status: gr.HTML
    forward: gr.Button
    resume: gr.Button
    stop: gr.Button
    stop_says: gr.HTML
    health: gr.HTML
    curve: gr.HTML
    beside: gr.HTML
    samples: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        ahead = [self.line, self.before, self.goal, self.plan, self.memory, self.called, self.start, self.why_not]
        buttons = [self.forward, self.resume, self.stop, self.stop_says]
        after = [self.after, self.status, *buttons, self.health, self.curve, self.beside, self.samples]
        return [*ahead, *after, *self.recipe.outputs]

    def show(self, choice: Choice) -> Updates:
        """The tab but for the recipe's fields, in which the person may be typing; `Recipe.restore` fills those."""
        running = bool(choice.run_id)
        columns = {self.before: gr.update(visible=not running), self.after: gr.update(visible=running)}
        return {**columns, **(self._watch(choice) if running else self._plan(choice))}

    def _plan(self, choice: Choice) -> Updates:
        plan = memory = components.EMPTY
        unnamed, why_not, asks = "", "Bring some examples first, in step 2.", False
        if choice.data_id:
            try:
                advice = self.recipe.recommended(choice)
                read = apply_overrides(choice.settings, advice.settings)
                ahead = self.app.runs.plan(choice.data_id, choice.model_id, read.settings)
                asks = ahead.has_pairs or ahead.settings.trainer == "dpo"
                plan = train_views.plan(ahead, advice.why, read.changed)
                why_not = next((f"{fault.what} {fault.why}" for fault in read.faults.values()), ahead.blocked)
                memory, unnamed = train_views.memory(ahead), default_name(ahead.data_name)
                plan += self._fetching(choice)
            except Exception as error:
                words = web_errors.in_words(error)
                plan, why_not = components.problem_alert(words), words.what
        now, then = "There is nothing to train on yet.", ""
        if plan:
            now = "Look through what is about to happen."
            then = self._first() or "You can close the page while it trains."
        return {
            self.line: components.guide(3, now, then),
            self.goal: gr.update(visible=asks),
            self.plan: plan,
            self.memory: memory,
            self.called: gr.update(placeholder=unnamed),
            self.start: gr.update(interactive=not why_not),
            self.why_not: why_not,
        }

    def _first(self) -> str:
        """What is trained before a run that begins now."""
        first = [job.name for job in self.app.runs.unfinished()]
        if len(first) > 1:
            return f"{len(first)} trainings go first, one at a time."
        return f"{fmt.shorten(first[0], 40)} is trained first; this one begins after it." if first else ""

    def _fetching(self, choice: Choice) -> Markup:
        """The way to the chosen model where it is not here yet."""
        if not choice.model_id or self.app.models.simulated or self.app.models.is_ready(choice.model_id):
            return components.EMPTY
        found = self.app.models.download_status(choice.model_id)
        if found.model.embedded:
            return components.EMPTY
        return components.card(f"{found.model.name} is not on this computer yet", download_card.fetching(found))

    def _watch(self, choice: Choice) -> Updates:
        run_id = choice.run_id
        watched = train_views.Watched(
            self.app.runs.job(run_id),
            self.app.runs.curve(run_id),
            self.app.runs.verdict(run_id),
            self.app.runs.queue_position(run_id),
            self.app.results.has_model(run_id),
            self.app.runs.info(run_id),
            self.app.runs.details(run_id).spec.settings.learning_rate,
            self.app.retries.shortening(run_id),
        )
        return {
            self.line: train_views.guide(watched),
            self.status: train_views.status(watched),
            self.forward: gr.update(visible=watched.has_model),
            self.resume: gr.update(visible=watched.job.state.can_resume),
            self.stop: gr.update(
                value=STOP_WAITING if watched.state == "queued" else STOP,
                visible=watched.can_stop,
                interactive=not watched.job.stop_requested,
            ),
            self.stop_says: train_views.stop_reason(watched),
            self.health: train_views.health(watched),
            self.curve: train_views.loss_card(watched),
            self.beside: self._beside(run_id),
            self.samples: train_views.samples(watched.curve.samples),
        }

    def _beside(self, run_id: str) -> Markup:
        """A run that repeats another one with a change, beside that one."""
        first = self.app.retries.first_run(run_id)
        return (
            compare_runs.card(self.app.runs.details(first), self.app.runs.details(run_id))
            if first
            else components.EMPTY
        )

    def signature(self, choice: Choice) -> Hashable:
        if not choice.run_id:
            downloads = [(one.state, one.progress) for one in self.app.models.downloads().values()]
            return self.app.models.is_ready(choice.model_id), repr(downloads), self._first()
        job = self.app.runs.job(choice.run_id)
        return repr((job.state, job.progress, job.stop_requested)), self.app.runs.curve_position(choice.run_id)


def build(app: App, kept: Kept) -> TrainTab:
    """Draws the tab inside the current gr.Tab."""
    line = drawn(components.guide(3, "Working out what training will take here.", ""), elem_classes="guide")
    with gr.Column() as before:
        with gr.Column(visible=False) as goal:
            trainer = settings_fields.goal()
        plan = clickable(components.card(train_views.PLAN, lead="One moment."))
        with gr.Accordion("Advanced: every number of the recipe", open=False, elem_classes="fold-block"):
            memory = drawn()
            inputs = {"trainer": trainer, **settings_fields.build()}
            news = gr.JSON(visible=False)
            back = button("Back to the recommended numbers")
        with gr.Row(elem_classes="actions"):
            called = gr.Textbox(label="A name for your model", max_lines=1, elem_id="run-name")
            start = primary("Start training", interactive=False, elem_id="start-training")
            why_not = drawn(elem_classes="reason")
    with gr.Column(visible=False) as after:
        status = clickable()
        with gr.Row(elem_classes="actions"):
            forward = primary("Try your model", visible=False, elem_id="to-try")
            resume = button("Go on training", visible=False, elem_id="resume")
            stop = button(STOP, visible=False, elem_id="stop")
            again = button("Train another", elem_id="train-again")
            stop_says = drawn(elem_classes="reason")
        health = clickable()
        curve = drawn()
        beside = drawn()
        samples = drawn()

    tab = TrainTab(
        app, Recipe(app, inputs, news), line, before, goal, plan, memory, called, start, why_not,
        after, status, forward, resume, stop, stop_says, health, curve, beside, samples,
    )  # fmt: skip

    def changed(given: Given, choice: Choice) -> Updates:
        return {**kept.keep(kept.choice(given), choice), **tab.show(choice)}

    @handler
    def judge(given: Given) -> Updates:
        """A field was left: what is wrong with it is told there, and the plan follows."""
        choice = kept.choice(given)
        return {**tab.show(choice), **tab.recipe.restore(choice)}

    @handler
    def fetch(event: gr.EventData, given: Given) -> Updates:
        """Something is done about the download of the chosen model."""
        download_card.act(app, *pressed(event))
        return tab.show(kept.choice(given))

    @handler
    def reset(given: Given) -> Updates:
        choice = kept.choice(given)
        goal = {name: value for name, value in choice.settings.items() if name == "trainer"}
        choice = choice.replace(settings=goal)
        return {**changed(given, choice), **tab.recipe.restore(choice)}

    @handler
    def begin(given: Given) -> Updates:
        choice = kept.choice(given)
        name = (given[called] or "").strip()
        run_id = app.runs.start(choice.data_id, choice.model_id, tab.recipe.settings(choice), name)
        return {**changed(given, choice.replace(run_id=run_id)), called: ""}  # the next one has a name of its own

    @handler
    def end(given: Given) -> Updates:
        choice = kept.choice(given)
        app.runs.stop(choice.run_id)
        return tab.show(choice)

    @handler
    def go_on(given: Given) -> Updates:
        choice = kept.choice(given)
        app.runs.resume(choice.run_id)
        return tab.show(choice)

    @handler
    def another(given: Given) -> Updates:
        return changed(given, kept.choice(given).replace(run_id=""))

    @handler
    def retry(event: gr.EventData, given: Given) -> Any:
        """Queues the run again with the one change that the verdict names, or with shorter examples, and shows it
        beside this one."""
        choice, retries = kept.choice(given), {"retry": app.retries.retry, "shorter": app.retries.retry_shortened}
        begin_again = retries.get(pressed(event)[0])
        return changed(given, choice.replace(run_id=begin_again(choice.run_id))) if begin_again else gr.skip()

    everything = [*kept.outputs, *tab.outputs]
    # One at a time, so that the last answer is to the last press.
    in_turn: dict[str, Any] = {"concurrency_id": "recipe", "concurrency_limit": 1}
    tab.recipe.listen(kept, judge, tab.outputs, **in_turn)
    plan.click(fetch, kept.inputs(), tab.outputs, **LISTEN)
    back.click(reset, kept.inputs(), everything, **in_turn, **LISTEN)
    begun = start.click(begin, kept.inputs(called), everything, **in_turn, **LISTEN)
    begun.success(None, None, None, js=_TO_TOP, **LISTEN)
    stop.click(end, kept.inputs(), tab.outputs, **LISTEN)
    resume.click(go_on, kept.inputs(), tab.outputs, **LISTEN)
    status.click(retry, kept.inputs(), everything, **LISTEN)
    health.click(retry, kept.inputs(), everything, **LISTEN)
    again.click(another, kept.inputs(), everything, **LISTEN)
    return tab
