"""Try: the trained model and its base model answer the same question."""

from collections.abc import Hashable
from typing import Any

import gradio as gr

from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import action_bar, clickable, html, primary
from ui.web.html import components
from ui.web.try_it import evaluation_card, ready_models
from ui.web.try_it.asking import Asking
from ui.web.try_it.blind_card import BlindCard
from ui.web.try_it.correcting import ChatCorrection
from ui.web.try_it.opponent_card import NOT_YOURS, OpponentCard
from ui.web.try_it.ready_models import no_model
from ui.web.try_it.talk import talk_with, turns_with
from ui.web.try_it.views import base_check, conversation, suggestions

SLOWER = "A training run or a check is in progress, so answers are slower."
RELEASED = "The chat was closed to free memory for other work. Your next question loads the model again."


class TryTab:
    """proof: whether the base model is the base model. shown: the conversation."""

    def __init__(self, app: App, state: BrowserState) -> None:
        self.app, self._talk = app, state.talk
        self.line = html(components.guide(4, "One moment.", ""), elem_classes="guide")
        self.offered = clickable(elem_id="ready-to-try")
        self.proof = html()
        self.opponent = OpponentCard(app)
        self.shown = clickable(conversation([]), elem_classes="talk", elem_id="talk")
        self.correction = ChatCorrection(app)
        self.suggested = clickable()
        asking = Asking(app, state, self.shown, self.suggested)
        self.ask, self.why_not, self.settings = asking.send, asking.why_not, asking.settings
        self.evaluation = evaluation_card.build(app, state)
        self.blind = BlindCard(app, state, self.evaluation)
        with action_bar():
            self.forward = primary("Continue to sharing", interactive=False, elem_id="to-share")
        answers = [self.proof, self.opponent.fold, self.shown, self.suggested, self.settings.carried]
        self.outputs: list[Any] = [self.line, self.offered, *answers, self.correction.card, self.ask, self.why_not]
        self.outputs += [*self.evaluation.outputs, *self.blind.outputs, self.forward]

        def show(choice: Choice, inputs: Inputs) -> Updates:
            return {**self.show(choice), **self.restore(choice, inputs)}

        asking.listen(show, self.outputs)
        self.correction.listen(state)
        self.opponent.listen(state, show, self.outputs, state.talk)
        ready_models.listen(self.offered, app, state, show, self.outputs, state.talk)

    def show(self, choice: Choice) -> Updates:
        why_not = no_model(self.app, choice)
        now = "There is nothing to try here yet." if why_not else "Ask both models the same question."
        then = "" if why_not else "When you like it, export it in step 5."
        return {
            self.line: components.guide(4, now, then) + ready_models.run_line(self.app, choice),
            self.offered: ready_models.offer(self.app, choice),
            self.proof: "" if why_not else self._proof(choice),
            **self.opponent.show(choice),
            self.suggested: "" if why_not else suggestions(self.app.results.unseen_questions(choice.run_id)),
            self.settings.carried: "" if why_not else self.app.results.instruction(choice.run_id),
            self.ask: gr.update(interactive=not why_not and not self.app.chat.answering),
            self.why_not: why_not,
            **self.evaluation.show(choice),
            **self.blind.show(choice),
            self.forward: gr.update(interactive=not why_not),
        }

    def _proof(self, choice: Choice) -> str:
        pair = self.app.results.pair(choice)
        notes = [
            components.text(NOT_YOURS, "small") if pair.tuned.id else components.EMPTY,
            components.text(RELEASED, "small") if self.app.chat.released else components.EMPTY,
            components.text(SLOWER, "small") if self.app.runs.is_training() else components.EMPTY,
        ]
        chat = self.app.chat
        return components.join([*notes, base_check(chat.check(choice.run_id), chat.engine(choice.run_id))])

    def restore(self, choice: Choice, inputs: Inputs) -> Updates:
        """The conversation with this model so far, unless an answer is being added to it."""
        turns = turns_with(talk_with(choice), inputs[self._talk])
        if turns and self.app.chat.answering:
            return {}
        pair = self.app.results.pair(choice)
        return {self.shown: conversation(turns, pair), **self.correction.show(choice, turns)}

    def signature(self, choice: Choice) -> Hashable:
        why_not = no_model(self.app, choice)
        asked = not why_not and self.app.chat.check(choice.run_id) is not None
        answering, offered = self.app.chat.answering, repr(ready_models.offered(self.app, choice))
        training = self.app.runs.is_training()
        cards = self.evaluation.signature(choice), self.blind.signature(choice)
        return why_not, asked, answering, self.app.chat.released, offered, training, cards
