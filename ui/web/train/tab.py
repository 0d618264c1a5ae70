"""Train: everything that is about to happen, then watching it happen."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import RunProblem
from backend.records.specs import TrainSettings
from backend.runs.next_version import NextVersion
from ui.services.app import App
from ui.services.overrides import apply_overrides
from ui.services.runs import default_name
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web import errors as web_errors
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, html, primary
from ui.web.errors import handler
from ui.web.html import compare_runs, components
from ui.web.start import download_card
from ui.web.train import plan_view, run_view, sample_answers, settings_fields, version_cards
from ui.web.train.outcome import outcome
from ui.web.train.settings_form import SettingsForm
from ui.web.try_it import prompt_card

STOP, STOP_WAITING = "Stop and save what it learned", "Cancel"


@dataclass
class TrainTab:
    """before: the plan and its settings. after: the run."""

    app: App
    form: SettingsForm
    line: gr.HTML
    before: gr.Column
    version: gr.HTML
    goal: gr.Column
    plan: gr.HTML
    memory: gr.HTML
    prompts: prompt_card.PromptCard
    called: gr.Textbox
    start: gr.Button
    why_not: gr.HTML
    after: gr.Column
    status: gr.HTML
    forward: gr.Button
    resume: gr.Button
    stop: gr.Button
    notify: gr.Button
    stop_says: gr.HTML
    outcome: gr.HTML
    onward: gr.HTML
    health: gr.HTML
    curve: gr.HTML
    comparison: gr.HTML
    samples: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        planned = [self.version, self.goal, self.plan, self.memory, self.called, self.start, self.why_not]
        ahead = [self.line, self.before, *planned]
        buttons = [self.forward, self.resume, self.stop, self.notify, self.stop_says]
        after = [
            self.after,
            self.status,
            *buttons,
            self.outcome,
            self.onward,
            self.health,
            self.curve,
            self.comparison,
            self.samples,
        ]
        return [*ahead, *self.prompts.outputs, *after, *self.form.outputs]

    def show(self, choice: Choice) -> Updates:
        """The tab, except for the settings, in which the person may be typing: `SettingsForm.restore` fills those."""
        running = bool(choice.run_id)
        columns = {self.before: gr.update(visible=not running), self.after: gr.update(visible=running)}
        return {**columns, **(self._watch(choice) if running else self._plan(choice))}

    def _plan(self, choice: Choice) -> Updates:
        plan = memory = start = components.EMPTY
        unnamed, why_not, asks = "", "Add examples first, in step 2.", False
        if choice.data_id:
            try:
                advice = self.form.recommended(choice)
                read = apply_overrides(choice.settings, advice.settings)
                version = self._version(choice)
                ahead = self.app.runs.plan(choice.data_id, choice.model_id, read.settings, version)
                asks = ahead.has_pairs or ahead.settings.trainer == "dpo"
                plan = plan_view.plan(ahead, advice.why, read.changed)
                why_not = next((f"{fault.what} {fault.why}" for fault in read.faults.values()), ahead.blocked)
                memory, unnamed = plan_view.memory(ahead), default_name(ahead.data_name)
                if version:
                    start, unnamed, cant = self._start(choice, version, read.settings)
                    why_not = cant or why_not
                plan += self._fetching(choice)
            except Exception as error:
                words = web_errors.in_words(error)
                plan, why_not = components.problem_alert(words), words.what
        now, then = "There is nothing to train on yet.", ""
        if plan:
            now = "Check what is about to happen."
            then = self._first() or "You can close the page while it trains."
        return {
            self.line: components.guide(3, now, then),
            self.version: start,
            self.goal: gr.update(visible=asks),
            self.plan: plan,
            self.memory: memory,
            self.called: gr.update(placeholder=unnamed),
            **self.prompts.show(choice),
            self.start: gr.update(interactive=not why_not),
            self.why_not: why_not,
        }

    def _version(self, choice: Choice) -> NextVersion | None:
        return self.app.versions.next(choice.parent, from_base=choice.from_base) if choice.parent else None

    def _start(self, choice: Choice, version: NextVersion, settings: TrainSettings) -> tuple[Markup, str, str]:
        """The card about where the planned version starts, its name, and why it can't start there."""
        name = self.app.runs.info(choice.parent).name
        why_not = self.app.versions.why_not_continue(choice.parent, choice.model_id, settings)
        number = self.app.versions.number(choice.parent)
        card = version_cards.before(name, version.number, number, choice.from_base, why_not)
        return card, name, "" if choice.from_base or not why_not else f"{why_not} Or start from the base model again."

    def _first(self) -> str:
        """What is trained before a run that begins now."""
        first = [job.name for job in self.app.runs.unfinished()]
        if len(first) > 1:
            return f"{len(first)} other runs go first, one at a time."
        return f"{fmt.shorten(first[0], 40)} is trained first; this one begins after it." if first else ""

    def _fetching(self, choice: Choice) -> Markup:
        """How to get the chosen model, if it is not on this computer yet."""
        if not choice.model_id or self.app.models.simulated or self.app.models.is_ready(choice.model_id):
            return components.EMPTY
        found = self.app.models.download_status(choice.model_id)
        if found.model.bundled:
            return components.EMPTY
        return components.card(f"{found.model.name} is not on this computer yet", download_card.fetching(found))

    def _watch(self, choice: Choice) -> Updates:
        run_id = choice.run_id
        spec = self.app.runs.details(run_id).spec
        watched = run_view.Watched(
            self.app.runs.job(run_id),
            self.app.runs.curve(run_id),
            self.app.runs.verdict(run_id),
            self.app.runs.queue_position(run_id),
            self.app.results.has_model(run_id),
            self.app.runs.info(run_id),
            spec.settings.learning_rate,
            self.app.retries.shortening(run_id),
            spec.data.validation_chooses,
        )
        return {
            self.line: run_view.guide(watched),
            self.status: run_view.status(watched),
            self.forward: gr.update(visible=watched.has_model),
            self.resume: gr.update(visible=watched.job.state.can_resume),
            self.stop: gr.update(
                value=STOP_WAITING if watched.state == "queued" else STOP,
                visible=watched.can_stop,
                interactive=not watched.job.stop_requested,
            ),
            self.notify: gr.update(visible=watched.can_stop),
            self.stop_says: run_view.stop_reason(watched),
            self.outcome: self._outcome(run_id) if watched.has_model and not watched.can_stop else components.EMPTY,
            self.onward: version_cards.after(self.app.versions.next_number(run_id))
            if watched.has_model and not watched.can_stop
            else components.EMPTY,
            self.health: run_view.health(watched),
            self.curve: run_view.loss_card(watched),
            self.comparison: self._comparison(run_id),
            self.samples: sample_answers.card(watched.curve.samples),
        }

    def _outcome(self, run_id: str) -> Markup:
        evaluations = self.app.evaluations
        job = evaluations.latest(run_id)
        if job and not job.state.is_terminal:
            return outcome(job, None)
        try:
            report = evaluations.latest_report(run_id)
            return outcome(job, report, can_check=bool(report) or evaluations.questions(run_id) > 0)
        except RunProblem as error:
            return components.problem_alert(error)

    def _comparison(self, run_id: str) -> Markup:
        """A run that repeats another one with a change, compared with that one."""
        first = self.app.retries.first_run(run_id)
        return (
            compare_runs.card(self.app.runs.details(first), self.app.runs.details(run_id))
            if first
            else components.EMPTY
        )

    def signature(self, choice: Choice) -> Hashable:
        if not choice.run_id:
            downloads = [(one.state, one.progress) for one in self.app.models.downloads().values()]
            ready = self.app.models.is_ready(choice.model_id)
            return ready, repr(downloads), self._first(), self.prompts.signature(choice)
        job = self.app.runs.job(choice.run_id)
        evaluation = self.app.evaluations.latest(choice.run_id)
        checked = (evaluation.id, evaluation.state, evaluation.progress) if evaluation else ()
        shown = job.state, job.progress, job.stop_requested, checked
        return repr(shown), self.app.runs.curve_position(choice.run_id)


def build(app: App, state: BrowserState) -> TrainTab:
    """Draws the tab inside the current gr.Tab."""
    line = html(components.guide(3, "Working out what training will take here.", ""), elem_classes="guide")
    with gr.Column() as before:
        version = clickable()
        with gr.Column(visible=False) as goal:
            trainer = settings_fields.goal()
        plan = clickable(components.card(plan_view.PLAN, lead="One moment."))
        prompts = prompt_card.build(app, state, "train")
        with gr.Accordion(
            "Advanced: all training settings", open=False, elem_classes="fold-block", elem_id="advanced"
        ):
            memory = html()
            fields = {"trainer": trainer, **settings_fields.build()}
            answer = gr.JSON(visible=False)
            back = button("Back to the recommended settings", elem_id="reset-settings")
        with gr.Row(elem_classes="actions"):
            called = gr.Textbox(label="A name for your model", max_lines=1, elem_id="run-name")
            start = primary("Start training", interactive=False, elem_id="start-training")
            why_not = html(elem_classes="reason")
    with gr.Column(visible=False) as after:
        status = clickable()
        with gr.Row(elem_classes="actions"):
            forward = primary("Try your model", visible=False, elem_id="to-try")
            resume = button("Continue training", visible=False, elem_id="resume")
            stop = button(STOP, visible=False, elem_id="stop")
            notify = button("Notify me when it ends", visible=False, elem_id="notify")
            again = button("Train another", elem_id="train-again")
            stop_says = html(elem_classes="reason")
        judged = clickable()
        onward = clickable()
        health = clickable()
        curve = html()
        comparison = html()
        samples = html()

    tab = TrainTab(
        app, SettingsForm(app, fields, answer), line, before, version, goal, plan, memory, prompts, called, start,
        why_not, after, status, forward, resume, stop, notify, stop_says, judged, onward, health, curve, comparison,
        samples,
    )  # fmt: skip

    def changed(inputs: Inputs, choice: Choice) -> Updates:
        return {**state.change(state.choice(inputs), choice), **tab.show(choice)}

    @handler
    def judge(inputs: Inputs) -> Updates:
        """A field was left: it reports what is wrong with it, and the plan follows."""
        choice = state.choice(inputs)
        return {**tab.show(choice), **tab.form.restore(choice)}

    @handler
    def fetch(event: gr.EventData, inputs: Inputs) -> Updates:
        """Does something about the download of the chosen model."""
        download_card.act(app, *clicked(event))
        return tab.show(state.choice(inputs))

    @handler
    def reset(inputs: Inputs) -> Updates:
        choice = state.choice(inputs)
        goal = {name: value for name, value in choice.settings.items() if name == "trainer"}
        choice = choice.replace(settings=goal)
        return {**changed(inputs, choice), **tab.form.restore(choice)}

    @handler
    def begin(inputs: Inputs) -> Updates:
        choice = state.choice(inputs)
        name = (inputs[called] or "").strip()
        settings, version = tab.form.settings(choice), tab._version(choice)
        app.versions.check(version, choice.model_id, settings)
        run_id = app.runs.start(choice.data_id, choice.model_id, settings, name, version=version)
        started = choice.replace(run_id=run_id, parent="", from_base=False)
        return {**changed(inputs, started), called: ""}  # the name is for this run only

    @handler
    def end(inputs: Inputs) -> Updates:
        choice = state.choice(inputs)
        app.runs.stop(choice.run_id)
        return tab.show(choice)

    @handler
    def go_on(inputs: Inputs) -> Updates:
        choice = state.choice(inputs)
        app.runs.resume(choice.run_id)
        return tab.show(choice)

    @handler
    def another(inputs: Inputs) -> Updates:
        return changed(inputs, state.choice(inputs).replace(run_id="", parent="", from_base=False))

    @handler
    def choose_start(event: gr.EventData, inputs: Inputs) -> Any:
        """Where the next version starts, or that there is to be none."""
        starts: dict[str, dict[str, Any]] = {
            "continue": {"from_base": False},
            "from-base": {"from_base": True},
            "no-version": {"parent": "", "from_base": False},
        }
        do, _ = clicked(event)
        if do not in starts:
            return gr.skip()
        choice = state.choice(inputs).replace(**starts[do])
        return {**changed(inputs, choice), **tab.form.restore(choice)}

    @handler
    def follow_up(event: gr.EventData, inputs: Inputs) -> Any:
        """Plans the next version of the open run, or starts one that trains on."""
        (do, value), choice = clicked(event), state.choice(inputs)
        if do == "train-on":
            run_id = app.versions.train_on(choice.run_id, version_cards.epochs(value))
            return changed(inputs, choice.replace(run_id=run_id))
        if do != "train-again":
            return gr.skip()
        choice = app.for_next_version(choice, choice.run_id)
        return {**changed(inputs, choice), **tab.form.restore(choice)}

    @handler
    def retry(event: gr.EventData, inputs: Inputs) -> Any:
        """Repeats the run with the one change that a verdict names, or with shorter examples, and compares both."""
        choice = state.choice(inputs)
        retries = {
            "retry": app.retries.retry,
            "retry-evaluated": lambda run: app.retries.retry_evaluated(run, app.evaluations.latest_report(run)),
            "shorter": app.retries.retry_shortened,
        }
        repeat = retries.get(clicked(event)[0])
        return changed(inputs, choice.replace(run_id=repeat(choice.run_id))) if repeat else gr.skip()

    # One at a time, so that the last answer belongs to the last click.
    in_turn: dict[str, Any] = {"concurrency_id": "settings", "concurrency_limit": 1}
    tab.form.listen(state, judge, tab.outputs, **in_turn)
    state.listen(plan.click, fetch, tab.outputs)
    state.listen(back.click, reset, tab.outputs, **in_turn)
    begun = state.listen(start.click, begin, tab.outputs, called, **in_turn)
    begun.success(None, None, None, js="() => apprentice.address.toTop('train')", **PRIVATE)
    state.listen(stop.click, end, tab.outputs)
    notify.click(None, None, None, js="() => apprentice.runEnd.allow()", **PRIVATE)
    state.listen(resume.click, go_on, tab.outputs)
    state.listen(status.click, retry, tab.outputs)
    state.listen(judged.click, retry, tab.outputs)
    state.listen(health.click, retry, tab.outputs)
    state.listen(again.click, another, tab.outputs)
    state.listen(version.click, choose_start, tab.outputs, **in_turn)
    state.listen(onward.click, follow_up, tab.outputs, **in_turn)
    return tab
