"""A conversation with two models, and what Try says about them, into HTML. Pure."""

from __future__ import annotations

from html import escape
from typing import Any

from ui.text import format as fmt
from ui.web import errors as web_errors
from ui.web.html import components

PANES = {"base": "Before", "tuned": "Yours"}


def conversation(turns: list[Any], answering: bool = False) -> str:
    """Each question with both answers beside each other."""
    heads = "".join(
        f'<div class="pane-head {pane}"><strong>{name}</strong><span>{said}</span></div>'
        for pane, name, said in (
            ("base", "Before", "the model it came from (base)"),
            ("tuned", "Yours", "what it became (tuned)"),
        )
    )
    if not turns:
        body = '<p class="nothing">Both will answer here, at the same time.</p>'
    else:
        body = "".join(_turn(turn, answering and turn is turns[-1]) for turn in turns)
    busy = str(answering).lower()
    log = f'<div role="log" aria-label="Questions and answers" aria-busy="{busy}">{body}</div>'
    return f'<div class="panes">{heads}</div>{log}'


def _turn(turn: Any, answering: bool) -> str:
    answers = []
    for pane, name in PANES.items():
        waiting = answering and pane not in turn["done"]
        words = escape(turn[pane]) + ('<i class="caret" aria-hidden="true"></i>' if waiting else "")
        if not turn[pane] and not waiting:
            words = '<span class="small">No words came back.</span>'
        answers.append(f'<div class="answer {pane}"><span class="pane-name">{name}</span><div>{words}</div></div>')
    asked = f'<div class="asked"><span class="unseen">You asked: </span>{escape(turn["question"])}</div>'
    both = f'<div class="versus">{"".join(answers)}</div>'
    return f'<article class="turn">{asked}{both}{_expected(turn)}</article>'


def _expected(turn: Any) -> str:
    """The answer that your examples give to a question of theirs."""
    words = turn.get("expected")
    return f'<p class="expected small">Your examples say: {escape(words)}</p>' if words else ""


def suggestions(known: list[Any]) -> str:
    """Held-out questions to press."""
    if not known:
        return ""
    buttons = "".join(
        components.button(fmt.shorten(one.question, 70), "suggest", index, "chip")
        for index, one in enumerate(known[:4])
    )
    return f'<div class="chips"><span class="small">Questions it never practised on:</span>{buttons}</div>'


def proved(proof: Any) -> str:
    """That the left one really is the base."""
    if proof is None:
        return ""
    return (
        components.steps_done([(proof.ok, proof.sentence)]) if proof.ok else web_errors.alert("bad", proof.sentence)
    )
