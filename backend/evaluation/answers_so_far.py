"""The answers of an evaluation that has not ended yet, in its run's folder: the next one asks only for the rest.

All answers are the likeliest ones, so that one holds until something changes that decides it: the prompt, the length
at which it is cut, the weights, the engine, the precision.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.evaluation.models import Answer
from backend.files.json_file import read_json, write_json

FILE = "answers_so_far.json"  # in the run's folder

log = logging.getLogger(__name__)


class AnswersSoFar:
    """settings: all that decides an answer, besides its prompt and where it is cut. file: None to save nothing."""

    def __init__(self, file: Path | None = None, **settings: object) -> None:
        self._file, self._settings = file, settings
        self._known = dict(_read(file)) if file else {}

    def get(self, pane: str, prompt: Sequence[int], limit: int) -> Answer | None:
        """The answer of the model in `pane`; None if it is not known."""
        return self._known.get(self._key(pane, prompt, limit))

    def add(self, pane: str, prompts: Sequence[Sequence[int]], limit: int, answers: Sequence[Answer]) -> None:
        """Saves answers. A full disk costs only the time to ask again."""
        for prompt, answer in zip(prompts, answers, strict=True):
            self._known[self._key(pane, prompt, limit)] = answer
        if self._file:
            try:
                write_json(self._file, {key: list(answer) for key, answer in self._known.items()})
            except OSError:
                log.warning("the answers so far could not be saved", exc_info=True)

    def _key(self, pane: str, prompt: Sequence[int], limit: int) -> str:
        asked = json.dumps([pane, list(prompt), limit, self._settings], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()


def _read(file: Path) -> Mapping[str, Answer]:
    """A damaged file has no answers."""
    try:
        return {key: Answer(str(text), bool(ended)) for key, (text, ended) in read_json(file).items()}
    except (OSError, ValueError, TypeError):
        return {}
