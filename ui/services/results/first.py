"""The finished apprentice that comes with the app (static/first), for whoever has no
model of their own yet.
"""

from functools import cache

from backend.files.json_file import read_json
from backend.records.base import StoredRecord
from backend.settings import PROJECT_ROOT

FIRST = "first"  # in place of a run's id
FOLDER = (
    PROJECT_ROOT / "static" / "first"
)  # of its adapter; made by tests/static/make_first.py


class RecordedAnswers(StoredRecord):
    """A message that it never saw in training, and what the base model and it answered."""

    question: str
    base: str
    tuned: str


class FirstApprentice(StoredRecord):
    """examples: that it was trained on. asked: messages of its evaluation. right,
    base_right: how many of them it and the base model answered right.
    """

    examples: int
    asked: int
    right: int
    base_right: int
    answers: tuple[RecordedAnswers, ...]


@cache
def first() -> FirstApprentice:
    """What was recorded when it was made."""
    return FirstApprentice.model_validate(read_json(FOLDER / "recorded.json"))
