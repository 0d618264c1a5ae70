"""A conversation with two models, and the check of the base model, as HTML."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from backend.evaluation.general import QUESTIONS
from backend.text.signs import repeats
from ui.text import format as fmt
from ui.web.html import components
from ui.web.try_it.talk import PANES, Turn

NAMES = {"base": "Before", "tuned": "Yours"}
GENERAL = next(iter(QUESTIONS))  # shows whether the rest still works
LOOP = "It repeats itself."
NOTES = {
    "length": "Cut off at the limit set in “Answer settings”.",
    "stopped": "Stopped.",
}
KEYS = "Enter asks, Shift+Enter starts a new line."
_CARET = Markup('<i class="caret" aria-hidden="true"></i>')


def conversation(turns: Sequence[Turn], asking: bool = False) -> Markup:
    """Each question with both answers. The last one can be edited or asked again."""
    if turns:
        body = components.join(
            _turn(turns, at, asking and turn is turns[-1])
            for at, turn in enumerate(turns)
        )
    else:
        body = Markup('<p class="nothing">Both answers will appear here.</p>')
    acts = components.acts(
        components.button("Edit the question", "edit"),
        components.button("Ask it again", "again"),
    )
    return Markup(
        '<div class="panes">'
        '<div class="pane-head base"><strong>{}</strong><span>the base model</span></div>'
        '<div class="pane-head tuned"><strong>{}</strong><span>your trained model</span></div></div>'
        '<div role="log" aria-label="Questions and answers" aria-busy="{}">{}</div>{}'
    ).format(
        *NAMES.values(),
        str(asking).lower(),
        body,
        acts if turns and not asking else components.EMPTY,
    )


def _turn(turns: Sequence[Turn], at: int, answering: bool) -> Markup:
    turn = turns[at]
    follows = not turn.alone and any(not earlier.alone for earlier in turns[:at])
    question = escape(turn.question)
    if turn.document:
        about = f"{turn.document}. {turn.piece}" if turn.piece else turn.document
        question += components.text(f"About the file {about}", "small")
    return Markup(
        '<article class="turn"><div class="asked"><span class="unseen">You asked: </span>{}</div>{}'
        '<div class="versus">{}</div>{}</article>'
    ).format(
        question,
        components.text("Continues the conversation above.", "follows small")
        if follows
        else "",
        components.join(_answer(turn, pane, NAMES[pane], answering) for pane in PANES),
        components.text(f"Your examples say: {turn.expected}", "expected small")
        if turn.expected
        else "",
    )


def _answer(turn: Turn, pane: str, name: str, answering: bool) -> Markup:
    answer: str = turn.text(pane)
    notes = components.EMPTY
    if answering and turn.loading:
        answer = Markup('<span class="small">{}…</span>{}').format(turn.loading, _CARET)
    elif answering and pane not in turn.finish:
        answer = Markup("{}{}").format(answer, _CARET)
    else:
        remarks = [
            LOOP if not turn.document and repeats(answer) else "",
            NOTES.get(turn.finish.get(pane, ""), ""),
            turn.how.get(pane, ""),
        ]
        notes = components.text(" ".join(filter(None, remarks)), "note small")
        answer = answer or Markup('<span class="small">No answer came back.</span>')
    return Markup(
        '<div class="answer {}"><span class="pane-name">{}</span><div>{}</div>{}</div>'
    ).format(pane, name, answer, notes)


def suggestions(examples: list[Any]) -> Markup:
    """Buttons that write a question into the box: some from the validation examples,
    and one about something else.
    """
    buttons = [
        components.button(fmt.shorten(example.question, 70), "suggest", index, "chip")
        for index, example in enumerate(examples[:3])
    ]
    head = (
        "Questions it has not seen, the last about something else:"
        if examples
        else "About something else:"
    )
    buttons.append(components.button(GENERAL, "suggest", "general", "chip"))
    return Markup('<div class="chips"><span class="small">{}</span>{}</div>').format(
        head, components.join(buttons)
    )


def base_check(check: str, engine: str) -> Markup:
    """That the base model really is the base model, and which engine answers."""
    sentences = [check, f"Answered by {engine}." if engine else ""]
    lines = [(True, sentence) for sentence in sentences if sentence]
    title = (
        "Verified: each side is answered by its own model. What they say is not checked"
    )
    return (
        components.verified(title, components.checklist(lines), key="base")
        if lines
        else components.EMPTY
    )
