"""A question that was drafted for a person to keep, change or drop, and where its
answer comes from.
"""

import re
from dataclasses import dataclass

from backend.datasets.documents.passages import Passage
from backend.records.rows import Row

YOURS, STARTER, MODEL = (
    "yours",
    "starter",
    "model",
)  # kinds, beside those of templates.json
_PRICE = re.compile(
    r"[€$£¥₹]|\b(euros?|eur|dollars?|usd|pounds?|gbp|chf|francs?)\b", re.IGNORECASE
)
_DATE = re.compile(r"\b(\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d\d-\d\d|(19|20)\d\d)\b")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Draft:
    """id: the same whenever the drafts are computed. kind: the way of asking, such as
    "heading 1", by which the next drafts are chosen. passage: its number, 0 for none.
    answer: "" where the person writes it. by: the model that wrote it, "" for none.
    """

    id: str
    kind: str
    passage: int
    question: str = ""
    answer: str = ""
    by: str = ""


def changes(text: str) -> bool:
    """Whether an answer states a price or a date, which will be another one some day."""
    return bool((_PRICE.search(text) and _DIGIT.search(text)) or _DATE.search(text))


def as_row(draft: Draft, passage: Passage | None, question: str, answer: str) -> Row:
    """The example that a person made of a draft.

    passage: what the draft is about, None for one without
    question, answer: as they are kept"""
    question, answer = question.strip(), answer.strip()
    asked = (
        f"Drafted by {draft.by}, kept by you"
        if draft.by
        else "Asked from a ready wording"
    )
    if question != draft.question:
        asked = f"{asked}, in your words" if draft.question else "Asked by you"
    exact = "word for word from" if passage and answer in passage.text else "from"
    made = f"{asked}; answered {f'{exact} {passage.place}' if passage else 'by you'}."
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return Row(0, 0, messages, passage=draft.passage, made=made)
