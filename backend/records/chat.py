"""What the chat process reports about an open model, and answers."""

from dataclasses import dataclass
from typing import NamedTuple

from backend.records.base import Record


class Phase(NamedTuple):
    """A step of opening a model, and how many of its parts are done."""

    name: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Chunk:
    """A piece of an answer."""

    pane: str
    text: str
    tokens: int  # in the answer so far
    tokens_per_second: float  # without the time to read the prompt
    finish: str = (
        ""  # "" until the last chunk, then "end" (the model ended), "length" (cut at the limit) or "stopped"
    )
    ids: tuple[int, ...] = ()  # in the last chunk, the token ids of the whole answer

    @property
    def done(self) -> bool:
        return bool(self.finish)


class PaneCheck(Record):
    """Whether the base pane is the base model and the tuned one differs from it, checked when both are opened."""

    base_is_base: bool
    tuned_differs: bool
    sentence: str

    @property
    def ok(self) -> bool:
        return self.base_is_base and self.tuned_differs


class EngineReport(Record):
    """How an engine loaded a model; empty before it has."""

    engine: str = ""  # "transformers" or "llama.cpp"
    precision: str = ""  # in words, such as "8-bit"
    dtype: str = ""  # such as "bfloat16", or "gguf"
    device: str = ""
    end_ids: tuple[int, ...] = ()  # the tokens that end an answer
    pane_check: PaneCheck | None = None  # None with one pane

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.engine, self.precision)))


class AnswerScore(Record):
    """A model's probabilities of a known answer."""

    nll: float  # mean nats per token of the answer
    top: tuple[int, ...]  # the likeliest token at the position of each


class ChatAnswer(Record):
    """A complete answer, as `chat --json` prints it."""

    text: str
    tokens: int
    tokens_per_second: float
    engine: str  # and its precision: "llama.cpp, 8-bit"
    finish: str  # "end", "length" or "stopped"
