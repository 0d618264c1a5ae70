"""Try: the trained model and its base model answer the same question."""

from collections.abc import Hashable
from typing import Any

import gradio as gr

from backend.datasets.checks.issues import ISSUE_TYPES
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import action_bar, clickable, details, html, primary
from ui.web.html import components
from ui.web.try_it import evaluation_card, ready_models
from ui.web.try_it.asking import Asking
from ui.web.try_it.blind_card import BlindCard
from ui.web.try_it.correcting import ChatCorrection
from ui.web.try_it.first_card import FirstCard, begin_button
from ui.web.try_it.ready_models import no_model
from ui.web.try_it.talk import turns_with
from ui.web.try_it.views import base_check, conversation, suggestions

HEALTH = ISSUE_TYPES["health_claims"]
NOT_READY = "Your model is not ready yet."
NONE_YET = "You have no model of your own open."
MEANWHILE = "Until then, ask this finished one."
SLOWER = "A training run or a check is in progress, so answers are slower."
RELEASED = "The chat was closed to free memory for other work. Your next question loads the model again."


class TryTab:
    """proof: whether the base model is the base model. shown: the conversation."""

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._talk = app, state.talk
        self.line = html(components.guide(4, "One moment.", ""), elem_classes="guide")
        self.offered = clickable(elem_id="ready-to-try")
        self.first = FirstCard(app, state)
        with gr.Column(visible=False) as self.own:
            self.proof = html()
            self.shown = clickable(
                conversation([]), elem_classes="talk", elem_id="talk"
            )
            self.correction = ChatCorrection(app)
            self.asking = Asking(app, state, self.shown)
            self.suggested = self.asking.suggested
            self.ask, self.settings = self.asking.send, self.asking.settings
            self.evaluation = evaluation_card.EvaluationCard(app, state)
            with details(
                "blind", "Choose between answers without knowing whose they are"
            ):
                self.blind = BlindCard(app, state, self.evaluation)
        with action_bar():
            self.begin = begin_button(False)
            self.forward = primary(
                "Continue to sharing", interactive=False, elem_id="to-share"
            )
            self.why_not = html(elem_classes="reason")
        answers = [
            self.proof,
            self.shown,
            self.suggested,
            self.settings.carried,
            self.settings.in_form,
        ]
        self.outputs: list[Any] = [
            self.line,
            self.offered,
            self.own,
            *self.first.outputs,
            *answers,
        ]
        self.outputs += [
            self.correction.card,
            self.ask,
            *self.evaluation.outputs,
            *self.blind.outputs,
        ]
        self.outputs += [self.begin, self.forward, self.why_not]

        def show(choice: Choice, inputs: Inputs) -> Updates:
            return {**self.show(choice), **self.restore(choice, inputs, opened=False)}

        self.asking.listen(show, self.outputs)
        self.correction.listen(state)
        ready_models.listen(self.offered, app, state, show, self.outputs, state.talk)
        self.begun = state.listen(
            self.begin.click,
            state.acting(lambda choice: choice.replace(begun=True)),
            [],
        )

    def show(self, choice: Choice) -> Updates:
        why_not = no_model(self.app, choice)
        now, then = (
            "Ask both models the same question.",
            "When you like it, export it in step 5.",
        )
        if why_not:
            now, then = NOT_READY if choice.run_id else NONE_YET, MEANWHILE
        return {
            self.line: components.guide(4, now, then)
            + ready_models.run_line(self.app, choice),
            self.offered: ready_models.offer(self.app, choice),
            self.own: gr.update(visible=not why_not),
            **self.first.show(bool(why_not)),
            self.proof: "" if why_not else self._proof(choice),
            self.suggested: ""
            if why_not
            else suggestions(self.app.results.unseen_questions(choice.run_id)),
            self.settings.in_form: gr.update(
                visible=not why_not
                and bool(self.app.endpoints.form_text(choice.run_id))
            ),
            self.settings.carried: ""
            if why_not
            else self.app.results.instruction(choice.run_id),
            self.ask: gr.update(
                interactive=not why_not and not self.app.chat.answering
            ),
            **self.evaluation.show(choice),
            **self.blind.show(choice),
            self.begin: gr.update(visible=not choice.run_id),
            self.forward: gr.update(
                interactive=not why_not, visible=bool(choice.run_id)
            ),
            self.why_not: why_not if choice.run_id else "",
        }

    def _proof(self, choice: Choice) -> str:
        spoken = self.app.results.speaks_of_health(choice.run_id)
        notes = [
            components.text(RELEASED, "small")
            if self.app.chat.released
            else components.EMPTY,
            components.text(SLOWER, "small")
            if self.app.runs.is_training()
            else components.EMPTY,
            components.alert("warn", HEALTH.title, HEALTH.message)
            if spoken
            else components.EMPTY,
        ]
        chat = self.app.chat
        return components.join(
            [*notes, base_check(chat.check(choice.run_id), chat.engine(choice.run_id))]
        )

    def restore(
        self, choice: Choice, inputs: Inputs, *, opened: bool = True
    ) -> Updates:
        """The conversation with this model so far, unless an answer is being added to
        it. opened: the tab was, where the first question may still wait for the model.
        """
        turns = turns_with(choice.run_id, inputs[self._talk])
        if (turns or opened) and self.app.chat.answering:
            return {}
        return {self.shown: conversation(turns), **self.correction.show(choice, turns)}

    def signature(self, choice: Choice) -> Hashable:
        why_not = no_model(self.app, choice)
        asked = not why_not and self.app.chat.check(choice.run_id) != ""
        answering, offered = (
            self.app.chat.answering,
            repr(ready_models.offered(self.app, choice)),
        )
        training = self.app.runs.is_training()
        cards = (
            self.evaluation.signature(choice),
            self.blind.signature(choice),
            self.first.signature(bool(why_not)),
        )
        return (
            why_not,
            asked,
            answering,
            self.app.chat.released,
            offered,
            training,
            cards,
        )
