"""Is it better? The open run's evaluation: started, followed, and its verdict."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.datasets.read.as_text import SUFFIXES
from backend.errors import RunProblem
from backend.evaluation import answers_so_far
from backend.evaluation.blind_test import Question
from backend.evaluation.facts import LONGEST
from backend.records.evaluation import EvaluationReport
from jobs.records import Job, Progress, State
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, html, sent_file, upload_button
from ui.web.html import components
from ui.web.try_it import correcting, report_card, verdict_card
from ui.web.try_it.ready_models import no_model

TITLE = "Is it better?"
NO_QUESTIONS = (
    "No examples were set aside to check it with. Set some aside in step 3, or add a "
    "file for it in step 2, and train again."
)
UNKNOWN = "Not checked: is it any good?"
FACTS = "Are the answers in a text you already have? Let the base model look them up (retrieval)"
HIDDEN = "The answers are hidden here until you have chosen between them below."
SAVED = "The answers so far are saved: the next check asks only for the rest."
EARLIER = components.text("The result below is from an earlier check.", "small")


@dataclass(frozen=True)
class Looked:
    """What is known of a model's answers. card: the verdict, or how far it is. why_not:
    it can't be checked, and why. active: it is being checked. again: it was checked.
    texts: plain texts judge it. hidden: the person is choosing between its answers
    without knowing their names.
    """

    card: Markup
    why_not: str = ""
    active: bool = False
    again: bool = False
    texts: bool = False
    report: EvaluationReport | None = None
    hidden: bool = False


def look(app: App, run_id: str, *, on_try: bool = False) -> Looked:
    """What is known of the answers of a run that has a model: the same on Train, on Try
    and in My models.
    """
    evaluations = app.evaluations
    try:
        questions, texts = evaluations.judging(run_id)
    except RunProblem as error:
        return Looked(components.problem_alert(error), error.what)
    if not questions:
        return Looked(
            components.alert("calm", UNKNOWN, NO_QUESTIONS),
            NO_QUESTIONS,
        )
    job = evaluations.latest(run_id)
    if job and not job.state.is_terminal:
        return Looked(running(job), active=True, texts=texts)
    try:
        report = evaluations.latest_report(run_id)
    except RunProblem as error:
        return Looked(components.problem_alert(error), again=True, texts=texts)
    problem = failure(
        job, saved=(app.runner.folder(run_id) / answers_so_far.FILE).is_file()
    )
    if (
        report
        and report.next_kind == "continue"
        and not app.runs.job(run_id).state.can_resume
    ):
        report = report.model_copy(
            update={"next": ""}
        )  # it was continued since, or comes from another computer
    hidden = bool(report) and isinstance(app.blind_tests.state(run_id), Question)
    shown = report.model_copy(update={"answers": ()}) if report and hidden else report
    card = problem or before(questions, on_try)
    if shown:
        card = (
            problem
            + (EARLIER if problem else components.EMPTY)
            + verdict_card.verdict(shown)
        )
    return Looked(card, "", False, bool(report), texts, report, hidden)


class EvaluationCard:
    """check: evaluates against the base model. compare: also against the base model
    with good prompts. facts: the fold for a text to compare with in both cases, which a
    file fills too: does looking them up do as well?
    """

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        with gr.Column(elem_classes="evaluation", elem_id="evaluation"):
            self.card = clickable(before(0))
            with gr.Row(elem_classes="actions"):
                self.check = button("Check it", interactive=False, elem_id="evaluate")
                compare = "Check it, and compare with good prompts"
                self.compare = button(
                    compare, interactive=False, elem_id="evaluate-prompts"
                )
                self.cancel = button("Cancel", visible=False, elem_id="evaluate-cancel")
                self.why_not = html(elem_classes="reason")
            self.answers = clickable(elem_id="report-answers")
            with gr.Accordion(
                FACTS, open=False, elem_classes="fold-block", elem_id="facts"
            ) as self.facts:
                self.facts_text = gr.Textbox(
                    label="Your facts",
                    info="Such as prices or opening hours. The base model also answers with the passages that match "
                    "each question in its prompt. If it does as well as your model, facts can change without "
                    "training again.",
                    placeholder="Paste them here, with an empty line between two subjects",
                    lines=3,
                    max_lines=12,
                    elem_id="facts-text",
                )
                self.facts_file = upload_button(
                    "Load a text file", SUFFIXES, "facts-file"
                )
        buttons = [self.check, self.compare, self.cancel]
        self.outputs: list[Any] = [
            self.card,
            self.facts,
            *buttons,
            self.why_not,
            self.answers,
        ]
        state.listen(self.answers.click, self._correct, [self.answers])
        state.listen(
            self.facts_file.upload,
            self._load,
            [self.facts_text, self.facts_file],
            self.facts_file,
        )
        for part, baselines in ((self.check, False), (self.compare, True)):
            state.listen(
                part.click,
                partial(self._start, baselines=baselines),
                self.outputs,
                self.facts_text,
            )
        stop = state.acting(
            lambda choice: app.runner.stop_unfinished("evaluate", choice.run_id),
            self.show,
        )
        state.listen(self.cancel.click, stop, self.outputs)

    def show(self, choice: Choice) -> Updates:
        none = no_model(self.app, choice)
        looked = (
            Looked(before(0), none)
            if none
            else look(self.app, choice.run_id, on_try=True)
        )
        label, can, free = (
            "Check it again" if looked.again else "Check it",
            not looked.why_not,
            not looked.active,
        )
        answers = components.EMPTY
        if (
            looked.hidden
        ):  # a person is choosing between them without knowing their names
            answers = components.text(HIDDEN, "small")
        elif looked.report:
            below = correcting.below_answers(self.app, choice.run_id, looked.report)
            answers = report_card.answers(looked.report, below)
        return {
            self.card: looked.card,
            self.facts: gr.update(
                visible=can and free and not looked.texts
            ),  # which can't be looked up for texts
            self.check: gr.update(value=label, interactive=can, visible=free),
            self.compare: gr.update(interactive=can, visible=free and not looked.texts),
            self.cancel: gr.update(visible=looked.active),
            self.why_not: looked.why_not,
            self.answers: answers,
        }

    def signature(self, choice: Choice) -> Hashable:
        job = self.app.evaluations.latest(choice.run_id) if choice.run_id else None
        return repr((job.id, job.state, job.progress)) if job else ""

    def _start(self, inputs: Inputs, *, baselines: bool) -> Updates:
        choice = self._state.choice(inputs)
        job = self.app.evaluations.latest(choice.run_id)
        if job is None or job.state.is_terminal:
            typed = str(inputs[self.facts_text] or "").strip()[: LONGEST + 1]
            self.app.evaluations.start(choice.run_id, baselines=baselines, facts=typed)
        return self.show(choice)

    def _load(self, inputs: Inputs) -> Updates:
        return {
            self.facts_text: self.app.documents.read(
                sent_file(inputs[self.facts_file])
            ),
            self.facts_file: None,
        }

    def _correct(self, event: gr.EventData, inputs: Inputs) -> Updates:
        choice = self._state.choice(inputs)
        report = self.app.evaluations.latest_report(choice.run_id)
        added = (
            correcting.correct_reported(
                self.app, choice.run_id, report, *clicked(event)
            )
            if report
            else None
        )
        return (
            {self.answers: correcting.added(added) + self.show(choice)[self.answers]}
            if added
            else {}
        )


def before(examples: int, on_try: bool = True) -> Markup:
    """The card before a model is checked. examples: how many there are, 0 where that is
    not known. on_try: below it are the buttons that check it; else it leads to them.
    """
    many = f"the {fmt.count(examples, 'example')}" if examples else "the examples"
    checks = f"This tries your model and the base model on {many} that were set aside, and scores both"
    lead = f"A lower loss alone does not make a good model. {checks}."
    leads = (
        components.EMPTY
        if on_try
        else components.acts(components.button("Go to Try", "try", kind="firm"))
    )
    return components.card(UNKNOWN, leads, lead=lead)


def running(job: Job, title: str = TITLE) -> Markup:
    """How far an evaluation is."""
    now = job.progress or Progress(phase="Getting ready")
    if job.state is State.STOPPING or job.stop_requested:
        now = now.model_copy(update={"phase": "Stopping"})
    phase, percent, sentences = fmt.progress(None if job.state is State.QUEUED else now)
    badge = components.badge(*fmt.STATES[job.state.value])
    return components.card(
        title, components.progress(percent, phase), badges=badge, lead=sentences
    )


def failure(
    job: Job | None,
    what: str = "The check",
    retry: str = "Check it again.",
    *,
    saved: bool = False,
) -> Markup:
    """How `what` failed or was cancelled; empty for a completed job, and without one.

    retry: what to do then
    saved: whether its answers so far are saved
    """
    if job is None or job.state.value == "completed":
        return components.EMPTY
    if job.failure and job.state is not State.INTERRUPTED:
        return components.problem_alert(job.failure)
    if job.state.value == "stopped":
        return components.alert(
            "calm", f"{what} was cancelled", SAVED if saved else "It left no result."
        )
    why = job.failure.why if job.failure else "Its process ended."
    return components.alert(
        "bad", f"{what} did not finish", why, SAVED if saved else retry
    )
