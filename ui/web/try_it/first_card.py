"""The finished apprentice that a first visit begins with: a message, and what the base
model and it answer.
"""

from collections.abc import Hashable, Iterator
from typing import Any

import gradio as gr
from markupsafe import Markup

from backend.errors import ApprenticeError, BadInput
from backend.files.json_file import value_of
from backend.models.bundled import MODEL_ID
from ui.services.app import App
from ui.services.results.first import FIRST, first
from ui.text import format as fmt
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import button, clickable, clicked, html, primary
from ui.web.html import components
from ui.web.try_it.asking import PLACEHOLDER, growing
from ui.web.try_it.talk import LONGEST_QUESTION, PANES, Turn, messages

RECORDED = "These two answers were recorded on another computer."
_SHOWN = (
    300  # characters of an answer; the box for the next message stays in view below
)
LIVE = "Answered just now, on this computer."


class FirstCard:
    """begin: the button for the bar of its step that leads to the person's own
    examples.
    """

    def __init__(self, app: App, state: BrowserState, visible: bool = False) -> None:
        self.app = app
        with gr.Column(visible=visible, elem_classes="first") as self.column:
            self.shown = html(recorded(0))
            with gr.Row(elem_classes="actions"):
                words: dict[str, Any] = {
                    "label": "A message of your own",
                    "placeholder": PLACEHOLDER,
                }
                self.question = gr.Textbox(
                    max_lines=4, elem_classes="first-question keeps", **words
                )
                self.send = button("Ask both", interactive=False)
                self.why_not = html(elem_classes="reason")
            chips = (
                components.button(
                    fmt.shorten(answers.question, 26), "recorded", number, "chip"
                )
                for number, answers in enumerate(first().answers)
            )
            self.others = clickable(
                Markup('<div class="chips">{}</div>').format(components.join(chips))
            )
        self.outputs: list[Any] = [self.column, self.send, self.why_not]
        written = [self.shown, self.send]
        one_by_one: dict[str, Any] = {
            "concurrency_limit": app.policy.limits.chats,
            "concurrency_id": "chat",
        }

        def show_recorded(event: gr.EventData, _: Inputs) -> Any:
            number = clicked(event)[1]
            exists = number.isdecimal() and int(number) < len(first().answers)
            return {self.shown: recorded(int(number))} if exists else gr.skip()

        for trigger in (self.send.click, self.question.submit):
            asking = state.listen(
                trigger, self._ask, written, self.question, **one_by_one
            )
            for ended in (asking.success, asking.failure):
                state.listen(ended, lambda _: self.show(True), self.outputs)
        state.listen(self.others.click, show_recorded, [self.shown])

    def show(self, visible: bool) -> Updates:
        """The card as it stands; the answers stay as they are."""
        if not visible:
            return {self.column: gr.update(visible=False)}
        waiting = self.app.models.unpacking()
        why_not = (
            ""
            if self.app.models.is_ready(MODEL_ID)
            else self.app.models.why_not_ready(MODEL_ID)
        )
        if why_not and waiting and waiting.progress:
            done = fmt.percent(waiting.progress.done, waiting.progress.total)
            why_not = f"The model is being set up: {done}%. This happens only once."
        return {
            self.column: gr.update(visible=True),
            self.send: gr.update(
                interactive=not why_not and not self.app.chat.answering
            ),
            self.why_not: why_not,
        }

    def signature(self, visible: bool) -> Hashable:
        job = self.app.models.unpacking() if visible else None
        return (
            visible,
            visible and self.app.chat.answering,
            job and repr((job.state, job.progress)),
        )

    def _ask(self, inputs: Inputs) -> Iterator[Updates]:
        question = str(inputs[self.question] or "").strip()
        if not question or len(question) > LONGEST_QUESTION:
            raise BadInput(
                "There is no message." if not question else "The message is too long.",
                "",
                "Write one.",
            )
        turn = Turn(question)
        yield {
            self.shown: drawn(turn, "", True),
            self.send: gr.update(interactive=False),
        }
        try:
            asked = {pane: messages(pane, (), turn, "") for pane in PANES}
            for _ in growing(turn, self.app.results.answers(FIRST, asked)):
                yield {self.shown: drawn(turn, "", True)}
        except ApprenticeError:
            yield {self.shown: recorded(0)}
            raise
        yield {self.shown: drawn(turn, "" if self.app.policy.demo else LIVE)}


def begin_button(visible: bool) -> gr.Button:
    return primary(
        "Make one with your own examples", visible=visible, elem_classes="begin"
    )


def recorded(number: int) -> Markup:
    """The recorded answers to one message."""
    answers = first().answers[number]
    return drawn(
        Turn(answers.question, base=answers.base, tuned=answers.tuned), RECORDED
    )


def drawn(turn: Turn, source: str, answering: bool = False) -> Markup:
    """The message with both answers. source: where they are from."""
    made = first()
    score = f"our sample got {made.right} right, the base model {made.base_right}."
    score = f"Of {made.asked} messages that it had not seen, {score}"
    return Markup(
        '<div role="log" aria-label="A message and both answers" aria-busy="{}"><div class="turn">'
        '<div class="asked"><span class="unseen">Message: </span>{}</div><div class="versus">{}{}</div></div>{}</div>'
    ).format(
        str(answering).lower(),
        turn.question,
        _answer("base", "Before", "the base model", turn, answering),
        _answer("tuned", "After", f"{made.examples} examples later", turn, answering),
        components.text(f"{source} {score}".strip(), "small"),
    )


def _answer(pane: str, name: str, what: str, turn: Turn, answering: bool) -> Markup:
    shown = turn.text(pane)
    if answering and turn.loading:
        shown = components.text(f"{turn.loading}…", "small")
    elif isinstance(fields := value_of(shown), dict):
        lines = (
            (name.replace("_", " "), "none" if v is None else str(v), "")
            for name, v in fields.items()
        )
        shown = components.rows(lines)
    elif len(shown) > _SHOWN:
        shown = fmt.shorten(shown, _SHOWN)
    return Markup(
        '<section><div class="pane-head {0}"><strong>{1}</strong><span>{2}</span></div>'
        '<div class="answer {0}">{3}</div></section>'
    ).format(pane, name, what, shown)
