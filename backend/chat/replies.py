"""The replies of the chat process: the phases of opening a model, and pieces of answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from backend.chat.engine import Finish


class Phase(NamedTuple):
    """A step of opening a model, and how many of its parts are done."""

    name: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Chunk:
    """A piece of an answer. tokens: in the answer so far. tokens_per_second: without the time to read the prompt.

    finish: "" until the last chunk, then "end" (the model ended), "length" (cut at the limit) or "stopped".
    ids: in the last chunk, the token ids of the whole answer.
    """

    pane: str
    text: str
    tokens: int
    tokens_per_second: float
    finish: Finish | str = ""
    ids: tuple[int, ...] = ()

    @property
    def done(self) -> bool:
        return bool(self.finish)
