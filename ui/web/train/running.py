"""The second half of Train: a run in progress, how it ended, and the next steps."""

from collections.abc import Callable, Hashable
from typing import Any

import gradio as gr

from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import action_bar, button, clickable, clicked, html, primary
from ui.web.html import compare_runs, components
from ui.web.train import run_view
from ui.web.try_it import evaluation_card

REFUSED = "Your browser does not let this page notify you. You can allow it in the browser's settings for this page."
STOP, STOP_WAITING = "Stop and save what it learned", "Cancel"


class Running:
    """line: above both halves of the tab. column: all that is drawn here."""

    def __init__(self, app: App, line: gr.HTML) -> None:
        self.app, self.line = app, line
        with gr.Column(visible=False) as self.column:
            self.outcome, self.status = clickable(), clickable()
            self.learning, self.comparison = clickable(), html()
            with action_bar():
                self.forward = primary(
                    "Try your model", visible=False, elem_id="to-try"
                )
                self.resume = primary(
                    "Continue training", visible=False, elem_id="resume"
                )
                self.stop = button(STOP, visible=False, elem_id="stop")
                self.notify = button(
                    "Notify me when it ends", visible=False, elem_id="notify"
                )
                self.refused = html(
                    components.text(REFUSED, "small"),
                    visible=False,
                    elem_id="notify-refused",
                )
                self.next_version = button(
                    "Train the next version", visible=False, elem_id="next-version"
                )
                self.again = button("Train a new model", elem_id="train-again")
                self.stop_says = html(elem_classes="reason")
        buttons = [
            self.forward,
            self.resume,
            self.stop,
            self.notify,
            self.refused,
            self.next_version,
            self.stop_says,
        ]
        cards = [self.outcome, self.learning, self.comparison]
        self.outputs: list[Any] = [self.column, self.status, *buttons, *cards]

    def show(self, run_id: str) -> Updates:
        details, repeated = self.app.runs.details, self.app.versions.first_run(run_id)
        spec = details(run_id).spec
        watched = run_view.Watched(
            self.app.runs.job(run_id),
            self.app.runs.curve(run_id),
            self.app.runs.verdict(run_id),
            self.app.runs.queue_position(run_id),
            self.app.results.has_model(run_id),
            self.app.runs.info(run_id),
            spec.settings.learning_rate,
            self.app.versions.shorter_length(run_id),
            spec.data.validation_chooses,
            self.app.runs.longest_wait(run_id),
        )
        has_ended, can_resume = (
            watched.has_model and not watched.can_stop,
            watched.job.state.can_resume,
        )
        return {
            self.line: run_view.guide(watched),
            self.status: run_view.status(watched),
            self.forward: gr.update(
                visible=watched.has_model,
                variant="secondary" if can_resume else "primary",
            ),
            self.resume: gr.update(visible=can_resume),
            self.stop: gr.update(
                value=STOP_WAITING if watched.state == "queued" else STOP,
                visible=watched.can_stop,
                interactive=not watched.job.stop_requested,
            ),
            self.notify: gr.update(visible=watched.can_stop),
            self.refused: gr.update(visible=watched.can_stop),
            self.stop_says: run_view.what_follows(watched),
            self.outcome: evaluation_card.look(self.app, run_id).card
            if has_ended
            else components.EMPTY,
            self.next_version: gr.update(
                visible=has_ended
                and not can_resume
                and self.app.runs.is_divided(run_id)
            ),
            self.learning: run_view.learning(watched),
            self.comparison: compare_runs.card(details(repeated), details(run_id))
            if repeated
            else components.EMPTY,
        }

    def signature(self, run_id: str) -> Hashable:
        job = self.app.runs.job(run_id)
        evaluation = self.app.evaluations.latest(run_id)
        checked = (
            (evaluation.id, evaluation.state, evaluation.progress) if evaluation else ()
        )
        shown = job.state, job.progress, job.stop_requested, checked
        return repr(shown), self.app.runs.curve(run_id).position

    def listen(
        self,
        state: BrowserState,
        show: Callable[[Choice], Updates],
        restore: Callable[[Choice], Updates],
        outputs: list[Any],
    ) -> None:
        """Has its buttons answer.

        show: the whole tab
        restore: its settings
        outputs: the components of the tab
        """
        app = self.app

        def show_plan(choice: Choice) -> Updates:
            return {**show(choice), **restore(choice)}

        def again(choice: Choice) -> Choice:
            return choice.replace(
                run_id=app.versions.retry(
                    choice.run_id, app.runs.verdict(choice.run_id)
                )
            )

        def retry(event: gr.EventData, inputs: Inputs) -> Any:
            """Repeats the run with the change that a verdict names, or plans it again
            with shorter examples.
            """
            do = clicked(event)[0]
            if do == "retry":
                return state.acting(again, show)(inputs)
            shorter = state.acting(
                lambda choice: app.for_shorter(choice, choice.run_id), show_plan
            )
            return shorter(inputs) if do == "shorter" else gr.skip()

        end = state.acting(lambda choice: app.runner.stop(choice.run_id), show)
        resume = state.acting(lambda choice: app.runs.resume(choice.run_id), show)
        follow_up = state.acting(
            lambda choice: app.for_next_version(choice, choice.run_id), show_plan
        )
        another = state.acting(
            lambda choice: choice.replace(run_id="", parent="", from_base=False), show
        )
        state.listen(self.stop.click, end, outputs)
        self.notify.click(
            None, None, None, js="() => apprentice.runEnd.allow()", **PRIVATE
        )
        state.listen(self.resume.click, resume, outputs)
        for part in (self.status, self.learning):
            state.listen(part.click, retry, outputs)
        state.listen(self.again.click, another, outputs)
        one_by_one: dict[str, Any] = {
            "concurrency_id": "settings",
            "concurrency_limit": 1,
        }
        led_on = state.listen(self.next_version.click, follow_up, outputs, **one_by_one)
        led_on.success(
            None, None, None, js="() => apprentice.address.toTop('train')", **PRIVATE
        )
