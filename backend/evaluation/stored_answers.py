"""A model's answers of its latest evaluation, in its run's folder, so that its next version need not ask it again.

They hold for the same questions only if nothing that decides an answer has changed: the weights, the precision, and
the length at which answers are cut. All answers are the likeliest ones, so that chance plays no part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.evaluation.items import Item
from backend.evaluation.models import Answer
from backend.files.json_file import read_json, write_json

_FILE = "answers.json"


def store(run_folder: Path, items: Sequence[Item], answers: Sequence[Answer], **settings: object) -> None:
    """settings: all that decides an answer, besides its question. Raises OSError."""
    known = {_key(item): list(answer) for item, answer in zip(items, answers, strict=True)}
    write_json(run_folder / _FILE, {"settings": settings, "answers": known})


def stored(run_folder: Path, items: Sequence[Item], **settings: object) -> list[Answer | None]:
    """The answer to each of `items`, None where it is not known for these settings."""
    try:
        values = read_json(run_folder / _FILE)
        known: Mapping[str, Sequence[object]] = values["answers"] if values["settings"] == settings else {}
        found = [known.get(_key(item)) for item in items]
        return [Answer(str(one[0]), bool(one[1])) if one else None for one in found]
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return [None] * len(items)


def _key(item: Item) -> str:
    asked = json.dumps([item.messages, item.tools], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()
