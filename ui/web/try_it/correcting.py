"""Correcting a wrong answer on Try: the form below it, and what is added to the
examples.
"""

from collections.abc import Sequence
from zlib import crc32

import gradio as gr
from markupsafe import Markup

from backend.errors import BadInput
from backend.records.evaluation import TUNED, EvaluationReport, ReportedAnswer
from ui.records.data import Correction
from ui.services.app import App
from ui.services.selection import Choice
from ui.web.browser_state import BrowserState, Inputs, Updates
from ui.web.components import clickable, clicked
from ui.web.html import components
from ui.web.try_it.asking import example_of
from ui.web.try_it.report_card import Below
from ui.web.try_it.talk import Turn, messages, turns_with

_TITLE = "Correct this answer"
_CORRECTED = "You corrected this answer"
GONE = "The examples of this model were deleted. Saving restores them from the model's own copy and adds your answer."


def form(
    name: str, key: str, suggested: str, corrected: str | None, gone: bool
) -> Markup:
    """A fold with the form below an answer.

    name: of the answer, which the form sends back as "correct:NAME"
    key: of the draft that the browser holds
    suggested: the text to begin with
    corrected: an earlier correction
    gone: the examples were deleted
    """
    field = components.textarea(
        "The right answer", "answer", suggested if corrected is None else corrected, key
    )
    label = "Add it to your examples" if corrected is None else "Change your correction"
    send = components.submit("Save as new examples" if gone else label)
    body = components.form(
        f"{'restore' if gone else 'correct'}:{name}", field, send, kind="write"
    )
    note = components.text(GONE, "small") if gone else components.EMPTY
    return components.fold(
        _TITLE if corrected is None else _CORRECTED, note, body, key=f"correct {name}"
    )


def below_answers(app: App, run_id: str, report: EvaluationReport) -> Below | None:
    """The form below each answer of an evaluation's report; plain texts have no answers
    to correct.
    """
    if report.main_measure == "perplexity":
        return None
    corrected, gone = (
        app.corrections.all(run_id),
        not app.corrections.has_examples(run_id),
    )

    def below(at: int, answer: ReportedAnswer) -> Markup:
        name = name_of(at, answer.question)
        return form(
            name,
            f"correct {run_id} {name}",
            answer.expected,
            corrected.get(answer.question),
            gone,
        )

    return below


def correct_reported(
    app: App, run_id: str, report: EvaluationReport, action: str, value: str
) -> Correction | None:
    """Adds a corrected answer of a report to the examples; None for another `action`,
    which comes from the browser.
    """
    kind, _, name = action.partition(":")
    if kind not in ("correct", "restore"):
        return None
    at = name.partition("-")[0]
    answers = report.answers
    if (
        not at.isdecimal()
        or int(at) >= len(answers)
        or name_of(int(at), answers[int(at)].question) != name
    ):
        raise BadInput(
            "These answers have changed.",
            "They were checked again.",
            "Reload the page.",
        )
    answer = answers[int(at)]
    asked, calls = app.corrections.held_out(run_id, answer.question, answer.expected)
    typed = components.fields(value).get("answer", "")
    return app.corrections.add(
        run_id, asked, typed, answer.texts[TUNED], kind == "restore", calls
    )


def added(correction: Correction) -> Markup:
    """The confirmation that a corrected answer was added, and where."""
    where = f"It is example {correction.row} of {correction.data_name}."
    if correction.restored:
        where += " The other examples are back as well."
    done = components.alert(
        "good", "Your answer was added", where, "Train again to teach it to your model."
    )
    again = components.button("Train again", "train-again", kind="firm")
    return done + Markup('<div class="after-alert">{}</div>').format(again)


def name_of(at: int, question: str) -> str:
    """The name of an answer: its number, and a mark by which another answer of that
    number is noticed.
    """
    return f"{at}-{crc32(question.encode('utf-8', 'surrogatepass')):x}"


class ChatCorrection:
    """The form below the conversation, for the trained model's last answer."""

    def __init__(self, app: App) -> None:
        self.app, self.card = app, clickable(elem_id="correct-last")

    def show(self, choice: Choice, turns: Sequence[Turn]) -> Updates:
        """The form for the last answer of the trained model, if there is one to a
        question without a document.
        """
        if not turns or not turns[-1].tuned.strip() or turns[-1].document:
            return {self.card: components.EMPTY}
        last, name = turns[-1], name_of(len(turns), turns[-1].question)
        corrected = self.app.corrections.all(choice.run_id).get(last.question)
        gone = not self.app.corrections.has_examples(choice.run_id)
        key = f"correct {choice.run_id} chat {name}"
        return {
            self.card: form(name, key, last.expected or last.tuned, corrected, gone)
        }

    def listen(self, state: BrowserState) -> None:
        def save(event: gr.EventData, inputs: Inputs) -> Updates:
            choice, (action, value) = state.choice(inputs), clicked(event)
            kind, _, name = action.partition(":")
            turns = turns_with(choice.run_id, inputs[state.talk])
            if kind not in ("correct", "restore") or not turns:
                return {}
            if name != name_of(len(turns), turns[-1].question):
                raise BadInput(
                    "This is no longer the last answer.",
                    "",
                    "Ask that question again, then correct it.",
                )
            *before, last = turns
            example = (
                example_of(self.app, choice, last.question) if last.alone else None
            )
            # A validation example was asked with the messages that precede it there,
            # not with those of the chat.
            asked = example.messages if example else messages("tuned", before, last, "")
            typed = components.fields(value).get("answer", "")
            correction = self.app.corrections.add(
                choice.run_id, asked, typed, last.tuned, kind == "restore"
            )
            shown: Markup = self.show(choice, turns)[self.card]
            return {self.card: added(correction) + shown}

        state.listen(self.card.click, save, [self.card], state.talk)
