"""What the two engines (chat_torch, chat_gguf) share: how an answer is sampled, and streaming its text."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from backend.errors import BadInput

BASE, TUNED = "base", "tuned"  # the two panes
Finish = Literal["end", "length", "stopped"]  # the model ended its answer; cut at the limit; a person said stop
Tokens = Generator[int, None, Finish]
Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn. temperature 0 is greedy: always the likeliest token, the same answer each time."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0

    def within(self, prompt_tokens: int, context_length: int) -> Sampling:
        """The same, no longer than the context leaves room for. Raises BadInput when it leaves none."""
        room = context_length - prompt_tokens
        if room < 1:
            raise BadInput(
                "The conversation has become too long for this model.",
                f"It is {prompt_tokens} tokens and the model can read {context_length}.",
                "Start a new conversation, or shorten the text.",
            )
        return Sampling(**{**asdict(self), "max_new_tokens": min(self.max_new_tokens, room)})


class Engine(Protocol):
    """A loaded model that answers in one or two panes."""

    panes: tuple[str, ...]
    context_length: int
    report: dict[str, Any]  # how it was loaded: "dtype", "device", "end_ids" (where answers end), "proof"

    def prompt_ids(self, messages: Messages) -> list[int]:
        """What the model reads. Raises BadInput when the chat template does not accept the conversation."""
        ...

    def tokens(self, pane: str, prompt_ids: list[int], sampling: Sampling) -> Tokens:
        """The answer, token by token, without its end token; the generator's value says how it ended."""
        ...

    def text_stream(self) -> TextStream: ...

    def score(self, rows: list[dict[str, list[int]]]) -> list[dict[str, Any]]:
        """How the model rates answers that it is shown: for each row (input_ids, labels with -100 where only read)
        {"nll": mean nats a learned token, "top": the likeliest token in place of each learned token}."""
        ...

    def use_threads(self, threads: int) -> None: ...


class TextStream:
    """Tokens to text as they come: gives only whole characters, also where one takes several tokens.

    decode: from token ids to text, with U+FFFD where bytes of a character are still missing.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._begin = 0  # decoding starts here: early enough that the text before `_shown` is known
        self._shown = 0  # tokens whose text has been given out

    def add(self, token: int) -> str:
        """The text that `token` completes, "" while a character is unfinished."""
        self._ids.append(token)
        new = self._new_text()
        if not new or new.endswith("\ufffd"):
            return ""
        self._begin, self._shown = self._shown, len(self._ids)
        return new

    def end(self) -> str:
        """What is left when no more tokens come: an unfinished character shows as U+FFFD."""
        new = self._new_text()
        self._begin = self._shown = len(self._ids)
        return new

    def _new_text(self) -> str:
        known = self._decode(self._ids[self._begin : self._shown])
        return self._decode(self._ids[self._begin :])[len(known) :]


def scored(logits: Any, labels: Sequence[int]) -> dict[str, Any]:
    """One row's part of `Engine.score`. logits: a numpy array (at least as many tokens as labels, vocabulary)."""
    import numpy

    learned = [i for i, label in enumerate(labels) if i > 0 and label >= 0]
    rows = logits[[i - 1 for i in learned]].astype(numpy.float64)
    peak = rows.max(axis=-1, keepdims=True, initial=-numpy.inf)
    log_sum = peak[:, 0] + numpy.log(numpy.exp(rows - peak).sum(axis=-1))
    nll = log_sum - rows[numpy.arange(len(learned)), [labels[i] for i in learned]]
    return {"nll": float(nll.mean()) if learned else 0.0, "top": rows.argmax(axis=-1).tolist()}
