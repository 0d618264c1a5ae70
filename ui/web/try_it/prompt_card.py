"""Try a prompt first: how far the base model gets without training, on Train."""

from collections.abc import Hashable
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import ApprenticeError
from backend.records.evaluation import TrialReport
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.text import verdicts
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, html
from ui.web.html import components
from ui.web.try_it import evaluation_card, report_card, verdict_card

TITLE = "Try a prompt first"
OLD = "Your examples have changed since: the result below is from before."


class PromptCard:
    """begin: tries prompts on the base model with the selected examples."""

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._state = app, state
        with gr.Column(elem_classes="evaluation", elem_id="prompts"):
            self.card = html(before(0))
            with gr.Row(elem_classes="actions"):
                self.begin = button(
                    "Try prompts", interactive=False, elem_id="try-prompts"
                )
                self.cancel = button("Cancel", visible=False, elem_id="cancel-prompts")
                self.why_not = html(elem_classes="reason")
            self.answers = html()
        self.outputs: list[Any] = [
            self.card,
            self.begin,
            self.cancel,
            self.why_not,
            self.answers,
        ]
        state.listen(self.begin.click, self._start, self.outputs)
        stop = state.acting(lambda choice: app.prompt_trials.stop(choice), self.show)
        state.listen(self.cancel.click, stop, self.outputs)

    def show(self, choice: Choice) -> Updates:
        """The card for examples that are checked; it waits until they are."""
        trials = self.app.prompt_trials
        job = trials.latest(choice)
        if job and not job.state.is_terminal:
            return self._shown(evaluation_card.running(job, TITLE), active=True)
        try:
            why_not = trials.why_not(choice)
            if job is None or job.state.value != "completed":
                questions, seconds = (0, None) if why_not else trials.ahead(choice)
                problem = evaluation_card.failure(
                    job, "The trial", "Try the prompts again."
                )
                return self._shown(before(questions, problem, seconds), why_not)
            report, current = trials.report(job.id), trials.is_current(job, choice)
        except ApprenticeError as error:
            return self._shown(before(0, components.problem_alert(error)), error.what)
        shown = self._shown(ended(report, current), why_not, again=True)
        return {**shown, self.answers: report_card.answers(report)}

    def _shown(
        self,
        card: Markup,
        why_not: str = "",
        *,
        active: bool = False,
        again: bool = False,
    ) -> Updates:
        label = "Try prompts again" if again else "Try prompts"
        return {
            self.card: card,
            self.begin: gr.update(
                value=label, interactive=not why_not, visible=not active
            ),
            self.cancel: gr.update(visible=active),
            self.why_not: why_not,
            self.answers: components.EMPTY,
        }

    def signature(self, choice: Choice) -> Hashable:
        job = self.app.prompt_trials.latest(choice)
        return repr((job.id, job.state, job.progress)) if job else ""

    def _start(self, inputs: Inputs) -> Updates:
        choice = self._state.choice(inputs)
        job = self.app.prompt_trials.latest(choice)
        if job is None or job.state.is_terminal:
            self.app.prompt_trials.start(choice)
        return self.show(choice)


def before(
    questions: int,
    problem: Markup = components.EMPTY,
    seconds: tuple[float, float] | None = None,
) -> Markup:
    """The card before prompts are tried. questions: how many there are, 0 where that is
    not known. seconds: the least and the most that it takes, None where that is not
    known.
    """
    many = f"the {fmt.count(questions, 'question')}" if questions else "the questions"
    lead = (
        f"You may not need any training. The base model answers {many} of the examples "
        "that are set aside: as it is, with the best of several instructions, and with "
        "some of your examples in its prompt. (prompt baselines)"
    )
    takes = (
        f"It takes {fmt.span(*seconds)}. (computed from the speed of this computer)"
        if seconds
        else ""
    )
    return components.card(TITLE, problem, components.text(takes, "small"), lead=lead)


def ended(report: TrialReport, current: bool) -> Markup:
    """How well the base model does with each kind of prompt. current: the examples are
    still the same.
    """
    tone = "good" if report.next_kind == "prompt_may_do" else "calm"
    return components.card(
        TITLE,
        components.EMPTY if current else components.text(OLD, "small"),
        components.alert(tone, verdicts.trial_title(report), report.next),
        verdict_card.systems(report),
        verdict_card.instruction(report),
        components.text(verdict_card.how(report), "small"),
    )
