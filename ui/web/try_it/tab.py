"""Try: the trained model and its base model answer the same question side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from backend.errors import BadInput
from ui.services.app import App
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, html, primary
from ui.web.errors import handler
from ui.web.html import components
from ui.web.try_it import evaluation_card, ready_models
from ui.web.try_it.ready_models import no_model
from ui.web.try_it.views import PANES, base_check, conversation, suggestions

LONGEST_QUESTION = 20_000  # characters
SEED = "Random seed"
WHOLE = f"Enter a whole number from 0 to {2**31 - 1:,}, under “How they answer”."
TURNS_STORED = 40  # by the browser


@dataclass
class TryTab:
    app: App
    line: gr.HTML
    offered: gr.HTML
    proof: gr.HTML
    talk: gr.JSON
    shown: gr.HTML
    suggested: gr.HTML
    ask: gr.Button
    why_not: gr.HTML
    evaluation: evaluation_card.EvaluationCard
    forward: gr.Button

    @property
    def outputs(self) -> list[Any]:
        answers = [self.proof, self.shown, self.suggested]
        return [self.line, self.offered, *answers, self.ask, self.why_not, *self.evaluation.outputs, self.forward]

    def show(self, choice: Choice) -> Updates:
        why_not = no_model(self.app, choice)
        now = "There is nothing to try here yet." if why_not else "Ask both models the same question."
        then = "" if why_not else "When you like it, export it in step 5."
        return {
            self.line: components.guide(4, now, then) + ready_models.run_line(self.app, choice),
            self.offered: ready_models.offer(self.app, choice),
            self.proof: "" if why_not else base_check(self.app.results.chat_check(choice.run_id)),
            self.suggested: "" if why_not else suggestions(self.app.results.unseen_questions(choice.run_id)),
            self.ask: gr.update(interactive=not why_not and not self.app.results.is_answering()),
            self.why_not: why_not,
            **self.evaluation.show(choice),
            self.forward: gr.update(interactive=not why_not),
        }

    def restore(self, choice: Choice, inputs: Inputs) -> Updates:
        """The conversation with this model so far, unless an answer is being added to it."""
        turns = turns_with(choice.run_id, inputs[self.talk])
        return {} if turns and self.app.results.is_answering() else {self.shown: conversation(turns)}

    def signature(self, choice: Choice) -> Hashable:
        why_not = no_model(self.app, choice)
        asked = not why_not and self.app.results.was_tried(choice.run_id)
        answering, offered = self.app.results.is_answering(), repr(ready_models.offered(self.app, choice))
        return why_not, asked, answering, offered, self.evaluation.signature(choice)


def build(app: App, state: BrowserState) -> TryTab:
    """Draws the tab inside the current gr.Tab."""
    line = html(components.guide(4, "One moment.", ""), elem_classes="guide")
    offered = clickable(elem_id="ready-to-try")
    proof = html()
    shown = html(conversation([]), elem_classes="talk", elem_id="talk")
    suggested = clickable()
    with gr.Column(elem_classes="ask-box"):
        question = gr.Textbox(
            label="Your question to both",
            placeholder="Write what a customer would write; Shift and Enter asks",
            lines=2,
            max_lines=8,
            elem_id="question",
        )
        with gr.Row(elem_classes="actions"):
            ask = primary("Ask both", interactive=False, elem_id="ask")
            stop = button("Stop", visible=False, elem_id="stop-answer")
            clear = button("Start over", elem_id="clear")
            why_not = html(elem_classes="reason")
        with gr.Accordion("How they answer", open=False, elem_classes="fold-block"), gr.Row(elem_classes="settings"):
            vary = "0 gives the most likely answer every time; higher values vary more. (temperature)"
            temperature = gr.Slider(0, 1.5, 0, step=0.1, label="Variety", info=vary)
            tokens = "In tokens; one is about three quarters of a word."
            longest = gr.Slider(16, 1024, 256, step=16, label="Longest answer", info=tokens)
            same = "The same number gives the same answer again. (seed)"
            seed = gr.Number(0, label=SEED, info=same, elem_id="chat-seed")
    evaluation = evaluation_card.build(app, state)
    with gr.Row(elem_classes="actions end"):
        forward = button("Continue to sharing", interactive=False, elem_id="to-share")

    tab = TryTab(app, line, offered, proof, state.talk, shown, suggested, ask, why_not, evaluation, forward)

    @handler
    def answer(inputs: Inputs) -> Iterator[Updates]:
        choice, words = state.choice(inputs), (inputs[question] or "").strip()
        turns = turns_with(choice.run_id, inputs[state.talk])
        if why_not := no_model(app, choice):
            raise BadInput("There is no model to ask.", "", why_not)
        if not words:
            raise BadInput("There is no question.", "", "Type one into the box.")
        if len(words) > LONGEST_QUESTION:
            raise BadInput(
                "The question is too long.", f"It has more than {LONGEST_QUESTION:,} characters.", "Shorten it."
            )
        number = inputs[seed] or 0
        if not (isinstance(number, (int, float)) and number in range(2**31)):
            raise BadInput(f"{SEED} can't be {fmt.setting(number)[:40]}.", "", WHOLE)
        expected = next(
            (one.expected for one in app.results.unseen_questions(choice.run_id) if one.question == words), ""
        )
        turn: dict[str, Any] = {"question": words, "base": "", "tuned": "", "done": [], "expected": expected}
        messages = {pane: _messages(turns, pane, words) for pane in PANES}
        turns = [*turns, turn]
        busy = {ask: gr.update(interactive=False), stop: gr.update(visible=True)}
        yield {shown: conversation(turns, True), **busy}
        for pane, text, done in app.results.answers(
            choice.run_id,
            messages,
            temperature=float(inputs[temperature]),
            max_new_tokens=int(inputs[longest]),
            seed=int(number),
        ):
            turn[pane] = text
            if done:
                turn["done"].append(pane)
            yield {shown: conversation(turns, True)}
        yield {state.talk: stored_talk(choice.run_id, turns)}

    @handler
    def settle(inputs: Inputs) -> Updates:
        """The tab as it stands by now, after an answer or in place of one that failed."""
        choice = state.choice(inputs)
        turns = conversation(turns_with(choice.run_id, inputs[state.talk]))
        return {**tab.show(choice), shown: turns, stop: gr.update(visible=False)}

    @handler
    def start_over(inputs: Inputs) -> Updates:
        app.results.stop_chat()
        empty = {state.talk: stored_talk("", [])}
        return {**empty, **settle({**inputs, **empty})}

    @handler
    def suggest(event: gr.EventData, inputs: Inputs) -> Any:
        action, at = clicked(event)
        examples = app.results.unseen_questions(state.choice(inputs).run_id)
        if action == "suggest" and at.isdecimal() and int(at) < len(examples):
            return {question: examples[int(at)].question}
        return gr.skip()

    def show_opened(choice: Choice, inputs: Inputs) -> Updates:
        return {**tab.show(choice), **tab.restore(choice, inputs)}

    asking = state.listen(
        partial(gr.on, [ask.click, question.submit]),
        answer,
        [state.talk, shown, ask, stop],
        *(state.talk, question, temperature, longest, seed),
        before=f"apprentice.question.leave({LONGEST_QUESTION})",
        concurrency_limit=1,
        concurrency_id="chat",
    )
    asking.failure(None, question, question, js="apprentice.question.failed", **PRIVATE)
    asking.success(None, None, None, js="apprentice.question.answered", **PRIVATE)
    for ended in (asking.success, asking.failure):
        state.listen(ended, settle, [stop, *tab.outputs], state.talk)
    stop.click(handler(app.results.stop_chat), None, None, queue=False, **PRIVATE)
    state.listen(clear.click, start_over, [state.talk, stop, *tab.outputs], cancels=[asking])
    state.listen(suggested.click, suggest, [question])
    ready_models.listen(offered, app, state, show_opened, tab.outputs, state.talk)
    return tab


def stored_talk(run_id: str, turns: list[Any]) -> dict[str, Any]:
    """A conversation with a run's model, as the browser stores it."""
    return {"run": run_id, "turns": turns[-TURNS_STORED:]}


def turns_with(run_id: str, talk: object) -> list[Any]:
    """The turns that the browser stored, if they were with this run; malformed ones are left out."""
    turns = talk.get("turns") if isinstance(talk, dict) and run_id and talk.get("run") == run_id else None
    texts = ("question", "expected", *PANES)
    return [
        {**{name: turn[name] for name in texts}, "done": list(PANES)}
        for turn in (turns if isinstance(turns, list) else [])[-TURNS_STORED:]
        if isinstance(turn, dict) and all(isinstance(turn.get(name), str) for name in texts)
    ]


def _messages(turns: list[Any], pane: str, words: str) -> list[dict[str, str]]:
    """The conversation so far in one pane, with the new question."""
    messages = []
    for turn in turns:
        messages += [{"role": "user", "content": turn["question"]}, {"role": "assistant", "content": turn[pane]}]
    return [*messages, {"role": "user", "content": words}]
