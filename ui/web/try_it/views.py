"""A conversation with two models, and the check of the base model, as HTML."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from ui.text import format as fmt
from ui.web.html import components

PANES = {"base": "Before", "tuned": "Yours"}
_CARET = Markup('<i class="caret" aria-hidden="true"></i>')


def conversation(turns: list[Any], answering: bool = False) -> Markup:
    """Each question with both answers side by side."""
    if turns:
        body = components.join(_turn(turn, answering and turn is turns[-1]) for turn in turns)
    else:
        body = Markup('<p class="nothing">Both answers will appear here, side by side.</p>')
    return Markup(
        '<div class="panes">'
        '<div class="pane-head base"><strong>{}</strong><span>the base model</span></div>'
        '<div class="pane-head tuned"><strong>{}</strong><span>your trained model</span></div></div>'
        '<div role="log" aria-label="Questions and answers" aria-busy="{}">{}</div>'
    ).format(*PANES.values(), str(answering).lower(), body)


def _turn(turn: Any, answering: bool) -> Markup:
    expected = turn.get("expected")
    return Markup(
        '<article class="turn"><div class="asked"><span class="unseen">You asked: </span>{}</div>'
        '<div class="versus">{}</div>{}</article>'
    ).format(
        turn["question"],
        components.join(_answer(turn, pane, answering) for pane in PANES),
        components.text(f"Your examples say: {expected}", "expected small") if expected else "",
    )


def _answer(turn: Any, pane: str, answering: bool) -> Markup:
    answer = turn[pane]
    if answering and pane not in turn["done"]:
        answer = Markup("{}{}").format(answer, _CARET)
    elif not answer:
        answer = Markup('<span class="small">No answer came back.</span>')
    return Markup('<div class="answer {}"><span class="pane-name">{}</span><div>{}</div></div>').format(
        pane, PANES[pane], answer
    )


def suggestions(examples: list[Any]) -> Markup:
    """Buttons that ask a question from the validation examples."""
    if not examples:
        return components.EMPTY
    buttons = (
        components.button(fmt.shorten(one.question, 70), "suggest", index, "chip")
        for index, one in enumerate(examples[:4])
    )
    return Markup('<div class="chips"><span class="small">Questions it has not seen:</span>{}</div>').format(
        components.join(buttons)
    )


def base_check(proof: Any) -> Markup:
    """Whether the left model really is the base model."""
    if proof is None:
        return components.EMPTY
    if not proof.ok:
        return components.alert("bad", proof.sentence)
    return components.checklist([(True, proof.sentence)])
