"""Asking on Try: a new question, the last one again or edited, stopping, starting over,
and how answers are made.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import gradio as gr

from backend.datasets.read.as_text import SUFFIXES
from backend.errors import BadInput
from ui.records.runs import UnseenQuestion
from ui.services.app import App
from ui.services.results.chat import Answer
from ui.services.results.documents import Part
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.browser_state import PRIVATE, BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, details, html
from ui.web.errors import handler
from ui.web.html import components
from ui.web.try_it.ready_models import no_model
from ui.web.try_it.talk import (
    LONGEST_QUESTION,
    PANES,
    Turn,
    messages,
    stored_talk,
    turns_with,
)
from ui.web.try_it.views import GENERAL, KEYS, conversation

ALONE, CONVERSATION = "alone", "conversation"
LONG_TEXT = "Ask about a long text"
IN_PIECES = (
    "It is split into pieces as long as your longest examples; your question is asked "
    "about each piece. A model that learned to answer one message at a time gives one "
    "answer to a piece that holds several. Answers in JSON become one list, others "
    "follow each other."
)
PLACEHOLDER = "Write what a customer would write"
_REDRAW = 0.2  # seconds: at least so long between two drawings of the growing answers


def growing(turn: Turn, parts: Iterable[Part]) -> Iterator[None]:
    """Adds the parts of both answers to `turn`; yields whenever it should be drawn
    again: a few times a second while they grow, else at once. Each drawing costs the
    page about as much as a click, and a model writes up to a hundred words a second.
    """
    due = 0.0
    for part in parts:
        turn.add_part(part)
        now, grows = monotonic(), isinstance(part, Answer) and not part.finish
        if now >= due or not grows:
            due = now + _REDRAW if isinstance(part, Answer) else 0.0
            yield
    turn.piece = ""


class Asking:
    """The box for a question, and how both models answer. shown: the conversation.
    suggested: questions to ask.
    """

    def __init__(self, app: App, state: BrowserState, shown: gr.HTML) -> None:
        self.app, self.state, self.shown = app, state, shown
        with gr.Column(elem_classes="ask-box"):
            words: dict[str, Any] = {
                "label": "Your question to both",
                "placeholder": PLACEHOLDER,
            }
            self.question = gr.Textbox(
                lines=1, max_lines=8, elem_id="question", elem_classes="keeps", **words
            )
            with gr.Row(elem_classes="actions"):
                self.send = button("Ask both", interactive=False, elem_id="ask")
                self.stop = button("Stop", visible=False, elem_id="stop-answer")
                self.clear = button("Start over", elem_id="clear")
                html(components.text(KEYS, "small"), elem_classes="keys")
            self.suggested = clickable()
            with details("ask-details", "More ways to ask"):
                self.mode = gr.Radio(
                    [
                        ("Each question by itself", ALONE),
                        ("As a conversation", CONVERSATION),
                    ],
                    value=ALONE,
                    label="How the models read your questions",
                    elem_classes="choices inline",
                    elem_id="mode",
                )
                with gr.Accordion(
                    LONG_TEXT, open=False, elem_classes="fold-block", elem_id="document"
                ):
                    html(components.text(IN_PIECES, "small"))
                    takes: dict[str, Any] = {
                        "label": "A text file (.txt or .md)",
                        "file_types": list(SUFFIXES),
                    }
                    self.document = gr.File(
                        height=120, elem_id="document-file", **takes
                    )
                self.settings = AnswerSettings()

    def listen(
        self, show: Callable[[Choice, Inputs], Updates], outputs: list[Any]
    ) -> None:
        """show: the whole tab, whose components are `outputs`."""
        self.show, state, settings = show, self.state, self.settings
        written = [state.talk, self.shown, self.send, self.stop]
        chats = self.app.policy.limits.chats
        one_by_one: dict[str, Any] = {
            "concurrency_limit": chats,
            "concurrency_id": "chat",
        }
        new = [state.talk, self.question, self.mode, *settings.inputs, self.document]
        sent = partial(gr.on, [self.send.click, self.question.submit])
        leave = f"apprentice.question.leave({LONGEST_QUESTION})"
        asking = state.listen(sent, self.ask, written, *new, before=leave, **one_by_one)
        asking.failure(
            None,
            self.question,
            self.question,
            js="apprentice.question.failed",
            **PRIVATE,
        )
        asking.success(None, None, None, js="apprentice.question.answered", **PRIVATE)
        changed = [*written, self.question, settings.seed]
        again = state.listen(
            self.shown.click, self.change_last, changed, *new, **one_by_one
        )
        for event in (asking, again):
            for ended in (event.success, event.failure):
                state.listen(ended, self.settle, [self.stop, *outputs], state.talk)
        self.stop.click(
            handler(lambda: self.app.chat.stop()), None, None, queue=False, **PRIVATE
        )
        everything = [state.talk, self.stop, *outputs]
        state.listen(
            self.clear.click,
            self.start_over,
            everything,
            state.talk,
            cancels=[asking, again],
        )
        state.listen(self.suggested.click, self.suggest, [self.question])

    def ask(self, inputs: Inputs) -> Iterator[Updates]:
        """Asks both models what is in the box."""
        choice, question = (
            self.state.choice(inputs),
            (inputs[self.question] or "").strip(),
        )
        if why_not := no_model(self.app, choice):
            raise BadInput("There is no model to ask.", "", why_not)
        document = Path(str(inputs[self.document])) if inputs[self.document] else None
        if not question and not document:
            raise BadInput("There is no question.", "", "Type one into the box.")
        if len(question) > LONGEST_QUESTION:
            most = f"It has more than {LONGEST_QUESTION:,} characters."
            raise BadInput(
                "The question is too long.",
                most,
                f"Shorten it, or load a file under “{LONG_TEXT}”.",
            )
        before = turns_with(choice.run_id, inputs[self.state.talk])
        if document:
            yield from self._answer(
                inputs,
                before,
                Turn(question, document=document.name),
                document=document,
            )
            return
        example = example_of(self.app, choice, question)
        alone = example is not None or inputs[self.mode] != CONVERSATION
        turn = Turn(question, expected=example.expected if example else "", alone=alone)
        yield from self._answer(inputs, before, turn, example)

    def change_last(self, event: gr.EventData, inputs: Inputs) -> Iterator[Updates]:
        """Takes the last question back into the box, or asks it again: with the next
        seed where answers are sampled, since the same one would repeat the answer.
        """
        choice, action = self.state.choice(inputs), clicked(event)[0]
        turns = turns_with(choice.run_id, inputs[self.state.talk])
        if not turns or no_model(self.app, choice):
            return
        *before, last = turns
        if action == "edit":
            yield {
                self.state.talk: stored_talk(choice.run_id, before),
                self.question: last.question,
            }
        elif action == "again":
            sampling, seed = self.settings.sampling(inputs), self.settings.seed
            if sampling["temperature"]:
                inputs = {**inputs, seed: (sampling["seed"] + 1) % 2**31}
                yield {seed: inputs[seed]}
            turn = Turn(
                last.question,
                expected=last.expected,
                alone=last.alone,
                document=last.document,
            )
            document = (
                Path(str(inputs[self.document]))
                if last.document and inputs[self.document]
                else None
            )
            if last.document and (document is None or document.name != last.document):
                raise BadInput(
                    f"{last.document} is not loaded any more.",
                    "",
                    f"Load it under “{LONG_TEXT}”.",
                )
            example = None if document else example_of(self.app, choice, last.question)
            yield from self._answer(inputs, before, turn, example, document)

    def _answer(
        self,
        inputs: Inputs,
        before: Sequence[Turn],
        turn: Turn,
        example: UnseenQuestion | None = None,
        document: Path | None = None,
    ) -> Iterator[Updates]:
        """Both models answer a question, which may be one of the examples, or about
        each piece of a document.
        """
        app, choice = self.app, self.state.choice(inputs)
        instruction, sampling = (
            self.settings.instruction(inputs),
            self.settings.sampling(inputs),
        )
        run_id, turns = choice.run_id, [*before, turn]
        if inputs[self.settings.in_form] and (form := app.endpoints.form(run_id)):
            sampling["grammar"] = json.dumps(form)
        parts: Iterable[Part]
        if document:
            parts = app.documents.answers(
                run_id, document, turn.question, instruction, **sampling
            )
        else:
            history = example.messages[:-1] if example else []
            if example and instruction == app.results.instruction(
                run_id
            ):  # not edited: it has its own
                instruction = next(
                    (str(m["content"]) for m in history if m["role"] == "system"), ""
                )
            asked = {
                pane: messages(pane, before, turn, instruction, history)
                for pane in PANES
            }
            parts = app.results.answers(run_id, asked, **sampling)
        busy = {
            self.send: gr.update(interactive=False),
            self.stop: gr.update(visible=True),
        }
        yield {self.shown: conversation(turns, True), **busy}
        for _ in growing(turn, parts):
            yield {self.shown: conversation(turns, True)}
        yield {self.state.talk: stored_talk(choice.run_id, turns)}

    def settle(self, inputs: Inputs) -> Updates:
        """The tab as it stands by now, after an answer or in place of one that failed."""
        return {
            **self.show(self.state.choice(inputs), inputs),
            self.stop: gr.update(visible=False),
        }

    def start_over(self, inputs: Inputs) -> Updates:
        self.app.chat.stop()
        empty = {self.state.talk: stored_talk("", [])}
        return {**empty, **self.settle({**inputs, **empty})}

    def suggest(self, event: gr.EventData, inputs: Inputs) -> Any:
        action, at = clicked(event)
        if (action, at) == ("suggest", "general"):
            return {self.question: GENERAL}
        examples = self.app.results.unseen_questions(self.state.choice(inputs).run_id)
        if action == "suggest" and at.isdecimal() and int(at) < len(examples):
            return {self.question: examples[int(at)].question}
        return gr.skip()


def example_of(app: App, choice: Choice, question: str) -> UnseenQuestion | None:
    """The validation example that asks exactly this. Its question is never asked inside
    a conversation.
    """
    examples = app.results.unseen_questions(choice.run_id)
    return next(
        (example for example in examples if example.question.strip() == question), None
    )


TITLE = "Answer settings"
SEED = "Random seed"
IN_FORM = "Keep answers to the form of your examples' answers (JSON schema)"
LONGEST_PROMPT = 20_000  # characters
_SEEDS = range(2**31)


class AnswerSettings:
    """carried: the instruction in the run's examples, which fills `system` when it
    changes.
    """

    def __init__(self) -> None:
        self.carried = gr.Textbox(
            "", label="Instruction in the examples", visible=False
        )
        with gr.Accordion(TITLE, open=False, elem_classes="fold-block"):
            self.system = gr.Textbox(
                label="System prompt",
                info="Both models read this before the question. It starts as the instruction in your examples.",
                placeholder="None: the model's own default",
                lines=2,
                max_lines=8,
                elem_id="system-prompt",
            )
            with gr.Row(elem_classes="settings"):
                vary = "0 gives the most likely answer every time; higher values vary more."
                self.temperature = gr.Slider(
                    0, 1.5, 0, step=0.1, label="Temperature", info=vary
                )
                likely = "Lower values exclude unlikely words. Has no effect at temperature 0."
                self.top_p = gr.Slider(
                    0.05, 1, 0.95, step=0.05, label="Top-p", info=likely
                )
                same = "The same number gives the same answer again."
                self.seed = gr.Number(0, label=SEED, info=same, elem_id="chat-seed")
                tokens = "In tokens; one is about three quarters of a word."
                self.longest = gr.Slider(
                    16, 1024, 256, step=16, label="Longest answer", info=tokens
                )
            self.in_form = gr.Checkbox(
                False, label=IN_FORM, visible=False, elem_id="chat-form"
            )
        self.carried.change(
            None, self.carried, self.system, js="(words) => words", **PRIVATE
        )
        self.inputs: list[Any] = [
            self.system,
            self.temperature,
            self.top_p,
            self.longest,
            self.seed,
            self.in_form,
        ]

    def instruction(self, inputs: Inputs) -> str:
        """The system prompt. Raises BadInput for one that is too long."""
        text = str(inputs[self.system] or "").strip()
        if len(text) > LONGEST_PROMPT:
            raise BadInput(
                "The system prompt is too long.",
                f"It has over {LONGEST_PROMPT:,} characters.",
                "Cut it.",
            )
        return text

    def sampling(self, inputs: Inputs) -> dict[str, Any]:
        """The sampling settings. Raises BadInput for an invalid seed."""
        number = inputs[self.seed] or 0
        if not (isinstance(number, (int, float)) and number in _SEEDS):
            whole = f"Enter a whole number from 0 to {_SEEDS[-1]:,}, under “{TITLE}”."
            raise BadInput(f"{SEED} can't be {fmt.setting(number)[:40]}.", "", whole)
        vary, longest = float(inputs[self.temperature]), int(inputs[self.longest])
        likely = float(inputs[self.top_p])
        return {
            "temperature": vary,
            "top_p": likely,
            "max_new_tokens": longest,
            "seed": int(number),
        }
