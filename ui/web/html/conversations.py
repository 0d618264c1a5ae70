"""Conversations, and the tokens of an example, as HTML."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from backend.records.rows import is_learned
from backend.text.conversation import said
from ui.web.html.components import join

SPEAKERS = {
    "system": "Instructions",
    "user": "Customer",
    "assistant": "Answer",
    "rejected": "Worse answer",
    "tool": "Tool",
}


def bubbles(messages: Sequence[Mapping[str, Any]]) -> Markup:
    """A conversation as speech bubbles. Role "rejected": the worse answer of a pair;
    one only read looks the same.
    """
    bubble, items = (
        Markup('<li class="bubble {}"><span class="who">{}</span><div>{}</div></li>'),
        [],
    )
    for message in messages:
        role = str(message.get("role", ""))
        speaker = SPEAKERS.get(role, role)
        kind = role if role in SPEAKERS else "tool"
        if role == "assistant" and not is_learned(message):
            kind, speaker = "rejected", f"{speaker}, only read"
        items.append(bubble.format(kind, speaker, said(dict(message)).strip()))
    return Markup('<ol class="bubbles">{}</ol>').format(join(items))


def tokens(pieces: Iterable[Any]) -> Markup:
    """An example as the model's tokens. pieces: with .text and .kind ("learned", "read"
    or "template").
    """
    marks = {"learned": "l", "read": "r", "template": "t"}
    line_end = Markup('<b aria-hidden="true">↵</b>\n')
    spans = (
        Markup('<span class="{}">{}</span>').format(
            marks.get(piece.kind, "r"), line_end.join(piece.text.split("\n"))
        )
        for piece in pieces
    )
    return Markup('<div class="tokens">{}</div>').format(join(spans))
