"""Guesses which column is the question and which is the answer when the names are unclear.

Each column scores points for a familiar name and for its content: a question is often short and ends in a question
mark, an answer is longer, and both differ from row to row. A guess is always shown, and the user can change it; where
the columns do not allow one, the user is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from backend.datasets.convert.doubts import what_it_holds
from backend.datasets.convert.shapes import NAMES, plain_name
from backend.text.excerpt import excerpt

_MARKS = ("?", "？", "؟", ";")  # the last one is the Greek question mark
_NOT_TEXT = ("id", "uuid", "index", "date", "time", "timestamp", "url", "link", "split", "lang", "language", "source")
_MARGIN = 1.5  # points by which the best pair must win where there are more columns, or the answer comes first


@dataclass(frozen=True)
class _Column:
    name: str
    filled: float  # shares of the rows, 0 to 1
    with_letters: float
    with_question_mark: float
    distinct: float
    length: float  # characters, on average

    @property
    def is_text(self) -> bool:
        plain = plain_name(self.name)
        return self.filled > 0.5 and self.with_letters > 0.5 and plain not in _NOT_TEXT and not plain.endswith("_id")


@dataclass(frozen=True)
class Guess:
    """mapping: from the fields of the shape to columns. doubt: why the user has to be asked, "" if it is clear."""

    shape: str
    mapping: dict[str, str]
    doubt: str = ""


def guess(records: Sequence[dict[str, Any]]) -> Guess | None:
    """The columns to use; None when nothing fits."""
    names = dict.fromkeys(name for record in records for name in record)
    texts = [column for column in (_measure(name, records) for name in names) if column.is_text]
    holding = {c.name: what_it_holds(c.name, [record.get(c.name) for record in records]) for c in texts}
    columns = [column for column in texts if not holding[column.name]]
    if not columns:
        return None if len(texts) < 2 else _guess_pair(texts, _held_by(holding), names)
    if len(columns) == 1 and len(texts) == 1:
        only = columns[0]
        half = _name_score(only.name, "question") or _name_score(only.name, "answer")
        return Guess("text", {"text": only.name}) if len(names) == 1 or (only.length >= 20 and not half) else None
    if len(columns) == 1:
        return _guess_pair(texts, _held_by(holding), names)
    return _guess_pair(columns, "", names)


def _guess_pair(columns: list[_Column], doubt: str, names: Iterable[str]) -> Guess:
    """names: of all columns, for the doubt."""
    pairs = [(_score(q, a, columns), q, a) for q in columns for a in columns if q is not a]
    best, question, answer = max(pairs, key=lambda pair: pair[0])
    rivals = [score for score, q, a in pairs if (q, a) != (question, answer)]
    if not doubt and best < max(rivals) + (_MARGIN if len(columns) > 2 or columns[0] is answer else 0):
        doubt = "Its columns are: " + excerpt(", ".join(names), width=300) + "."
    return Guess("question_answer", {"question": question.name, "answer": answer.name}, doubt)


def _held_by(holding: dict[str, str]) -> str:
    """A sentence on the columns that hold neither questions nor answers."""
    parts = [f"{excerpt(name, width=40)!r} holds {what}" for name, what in holding.items() if what]
    return f"The column {'; '.join(parts[:3])}."


def _measure(name: str, records: Sequence[dict[str, Any]]) -> _Column:
    values = [record.get(name) for record in records]
    texts = [value.strip() for value in values if isinstance(value, str) and value.strip()]
    if not texts:
        return _Column(name, 0, 0, 0, 0, 0)
    return _Column(
        name,
        len(texts) / len(values),
        mean(any(c.isalpha() for c in text) for text in texts),
        mean(text.endswith(_MARKS) for text in texts),
        len(set(texts)) / len(texts),
        mean(map(len, texts)),
    )


def _score(question: _Column, answer: _Column, columns: list[_Column]) -> float:
    score = 8 * _name_score(question.name, "question") + 8 * _name_score(answer.name, "answer")
    score += 4 * (question.with_question_mark - answer.with_question_mark)
    score += question.distinct + answer.distinct
    longest = max(column.length for column in columns)
    score += 2 * answer.length / longest + question.length / longest
    return score + 0.5 * (columns.index(question) < columns.index(answer))


def _name_score(column: str, field: str) -> float:
    """1 for a known name, less for a name that contains a known word."""
    name = plain_name(column)
    if name in NAMES[field]:
        return 1
    matches = [word for word in name.split("_") if word in NAMES[field] and len(word) > 1]
    return 0.6 if matches else 0
