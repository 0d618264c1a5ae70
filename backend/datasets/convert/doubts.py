"""Doubts whether a column holds questions or answers, from its name and its values.

A wrong guess that trains is the worst outcome: columns in doubt are asked about, never trained on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.datasets.convert.shapes import plain_name
from backend.text.excerpt import excerpt

_MOST = 0.8  # of the filled cells
_LONG = 80  # characters; a longer text is none of these
_FEWEST = 2  # filled cells to judge by; for names, one more
_CONSTANT = 5  # rows; a value that all of so many share is not an answer
_DIFFERENT = 0.5  # of the names differ; fewer are categories

# Names of a question or an answer that are also the names of something else, such as who wrote it.
_UNSURE = frozenset(
    (
        *("user", "human", "customer", "kunde", "assistant", "agent", "gpt", "bot", "model"),
        *("source", "message", "customer_message", "email", "request", "input"),
    )
)
_PEOPLE = frozenset(("user", "customer", "kunde", "agent", "name", "author", "person", "sender", "from", "to"))

_DATE = r"(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}\.? \w{3,9}\.?,? \d{2,4}|\w{3,9}\.? \d{1,2},? \d{4})"
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)? ?(?:[ap]\.?m\.?|Z|[+-]\d\d:?\d\d)?"
_KINDS = (
    ("an email address", re.compile(r"[^\s@]+@[^\s@]+\.\w+|[\w .,'-]*<[^\s@]+@[^\s@]+>")),
    ("a web address", re.compile(r"(?:https?://|www\.)\S+")),
    ("a date or a time", re.compile(rf"{_DATE}(?:,?[T ]\s*{_TIME})?|{_TIME}", re.IGNORECASE)),
    ("a number or an id", re.compile(r"[#$€£]?(?=\S*\d)[\w#.,:/+%€-]+")),
)


@dataclass(frozen=True)
class Doubt:
    """why: a sentence."""

    column: str
    why: str


def in_doubt(records: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]) -> Doubt | None:
    """The first column whose name may mean several things and that is not what `mapping` says."""
    for field, column in mapping.items():
        if plain_name(column) in _UNSURE:
            what = what_it_holds(column, [record.get(column) for record in records])
            if what:
                shown = excerpt(column, width=40)
                return Doubt(column, f"The column {shown!r} would be the {field}, but it holds {what}.")
    return None


def what_it_holds(column: str, values: Sequence[Any]) -> str:
    """The content of a column that can't be questions or answers, such as "a name in most rows"; "" if it can be."""
    texts = [text for value in values if value is not None and (text := str(value).strip())]
    if len(texts) < _FEWEST:
        return ""
    different = len(set(texts))
    if len(texts) >= _CONSTANT and different == 1:
        return f"the same in every row: {excerpt(texts[0], width=40)!r}"
    for what, pattern in _KINDS:
        if _mostly(texts, pattern.fullmatch):
            return f"{what} in most rows"
    of_people = not _PEOPLE.isdisjoint(plain_name(column).split("_"))
    if len(texts) > _FEWEST and (of_people or different > _DIFFERENT * len(texts)) and _mostly(texts, _is_name):
        return "a name in most rows"
    return ""


def _mostly(texts: Sequence[str], fits: Callable[[str], object]) -> bool:
    return sum(len(text) <= _LONG and bool(fits(text)) for text in texts) >= _MOST * len(texts)


def _is_name(text: str) -> bool:
    """One to four capitalized words."""
    parts = text.split()
    return (
        len(parts) <= 4
        and text[-1] not in "!?:"
        and all(w[0].isupper() and w.strip(".,'’-").isalpha() for w in parts)
    )
