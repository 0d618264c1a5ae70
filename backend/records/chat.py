"""What the chat process reports about an open model, and answers."""

from dataclasses import dataclass
from typing import NamedTuple

from backend.records.base import Record


class Phase(NamedTuple):
    """A step of opening a model, and how many of its parts are done."""

    name: str
    """In words."""
    done: int = 0
    """Parts done."""
    total: int = 0
    """All parts; 0: not counted."""


@dataclass(frozen=True)
class Chunk:
    """A piece of an answer."""

    pane: str
    """The model that answers."""
    text: str
    """The piece."""
    tokens: int
    """In the answer so far."""
    tokens_per_second: float
    """Without the time to read the prompt."""
    finish: str = ""
    """ "" until the last one, then "end" (by the model), "length" (cut at the limit) or "stopped"."""
    ids: tuple[int, ...] = ()
    """In the last chunk, the token ids of the whole answer."""


class EngineReport(Record):
    """How an engine loaded a model; empty before it has."""

    engine: str = ""
    """One of "transformers" or "llama.cpp"."""
    precision: str = ""
    """In words, such as "8-bit"."""
    dtype: str = ""
    """Such as "bfloat16", or "gguf"."""
    device: str = ""
    """Such as "cpu"."""
    end_ids: tuple[int, ...] = ()
    """The tokens that end an answer."""
    pane_check: str = ""
    """That the base pane is the base model and the tuned one differs from it, in words; "" with one pane."""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.engine, self.precision)))


class AnswerScore(Record):
    """A model's probabilities of a known answer."""

    nll: float
    """Mean nats per token of the answer."""
    top: tuple[int, ...]
    """The likeliest token at the position of each."""
    near: tuple[tuple[int, ...], ...] = ()
    """All tokens there that are at most `NEAR_TIE` nats less likely; only from transformers."""


class ChatAnswer(Record):
    """A complete answer, as `chat --json` prints it."""

    text: str
    """The whole answer."""
    tokens: int
    """How many it has."""
    tokens_per_second: float
    """Without the time to read the prompt."""
    engine: str
    """And its precision: "llama.cpp, 8-bit"."""
    finish: str
    """One of "end", "length" or "stopped"."""


class Served(Record):
    """llama.cpp's own server in the chat process."""

    address: str
    """On loopback: http://127.0.0.1:PORT."""
    slots: int
    """How many answers it gives at a time."""
    tools: bool
    """Whether the model's template has tools."""
    skips_thought: bool = False
    """Whether a request can turn off the thought before an answer."""
    marks: tuple[str, ...] = ()
    """Texts that it reads as control tokens, also in messages."""
