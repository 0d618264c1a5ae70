"""The models that an evaluation asks, many questions at a time. Runs in the evaluation's own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from backend.errors import ApprenticeError
from backend.evaluation.items import Item
from backend.records.rows import Row


class Answer(NamedTuple):
    """ended: whether the model ended it by itself, and was not cut at the limit."""

    text: str
    ended: bool


class Models(Protocol):
    """What an evaluation needs of an engine. Panes are "base" and "tuned"."""

    name: str
    panes: tuple[str, ...]
    context_length: int

    def prompt_ids(self, conversation: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        """What the model reads. Raises BadInput when its chat template does not accept the conversation."""
        ...

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""
        ...

    def answer(
        self, pane: str, prompts: Sequence[list[int]], limit: int, each: Callable[[int], None]
    ) -> list[Answer]: ...

    def loss(self, pane: str, item: Item) -> float:
        """Mean nats a token of the expected answer, after the item's true history."""
        ...

    def text_ids(self, text: str) -> list[int]:
        """A plain text as the model is trained on it: no template, the end-of-text token last."""
        ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def nats(self, pane: str, ids: Sequence[int], first: int) -> float:
        """The sum of the nats of ids[first:], each token after those before it."""
        ...


class TorchModels:
    """Base and tuned in transformers, from one copy of the weights (backend/chat/torch_engine.py).

    tuned: None for the base alone. on_processor: the precision to compute in on the processor, "" for the fastest on
    the fastest device. precision: such as "bfloat16".
    """

    name = "transformers"

    def __init__(self, model: Path, tuned: Path | None = None, on_processor: str = "") -> None:
        import torch

        from backend.chat.torch_engine import TorchEngine
        from backend.tokens.tokenizer import ChatTokenizer

        self._engine = TorchEngine(model, tuned, getattr(torch, on_processor) if on_processor else None)
        self._tokenizer = ChatTokenizer.load(tuned if tuned and (tuned / "tokenizer.json").is_file() else model)
        self.panes = self._engine.panes
        self.context_length = self._engine.context_length
        self.report = self._engine.report
        self.precision: str = self.report["dtype"]

    def prompt_ids(self, conversation: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        return self._tokenizer.prompt_ids([dict(m) for m in conversation], list(tools) or None)

    def tokens(self, text: str) -> int:
        return len(self._tokenizer.encode([{"role": "user", "content": text}]).input_ids)

    def answer(
        self, pane: str, prompts: Sequence[list[int]], limit: int, each: Callable[[int], None]
    ) -> list[Answer]:
        from backend.chat.batch import answer_all

        room = [min(limit, self.context_length - len(prompt)) for prompt in prompts]
        found = answer_all(self._engine.model(pane), prompts, self._engine.report["end_ids"], room, each)
        return [Answer(self._tokenizer.decode(list(one.ids)), one.ended) for one in found]

    def loss(self, pane: str, item: Item) -> float:
        from backend.chat.engine import score_row
        from backend.chat.torch_engine import logits

        encoded = self._tokenizer.encode([*map(dict, item.messages), item.expected], list(item.tools) or None)
        first = max(1, min(len(self.prompt_ids(item.messages, item.tools)), encoded.tokens - 1)) - 1
        labels = list(encoded.labels[first:])  # from the last token before the answer on
        labels[0] = -100
        computed = logits(self._engine.model(pane), list(encoded.input_ids), len(labels)).float().cpu().numpy()
        return float(score_row(computed, labels)["nll"])

    def text_ids(self, text: str) -> list[int]:
        (encoded,) = self._tokenizer.encode_rows([Row(1, 1, text=text)])
        if isinstance(encoded, ApprenticeError):
            raise encoded
        return list(encoded.input_ids)

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids)

    def nats(self, pane: str, ids: Sequence[int], first: int) -> float:
        from backend.chat.torch_engine import nats

        return nats(self._engine.model(pane), ids, first)
