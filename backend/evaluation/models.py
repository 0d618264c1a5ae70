"""The models that an evaluation asks, many questions at a time. Runs in the evaluation's own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from backend.chat import engines
from backend.chat.engine import Engine, score_row
from backend.chat.torch_engine import NAME as TORCH
from backend.errors import ApprenticeError
from backend.evaluation.items import Item
from backend.models.bundled import ReportProgress, silent
from backend.records.rows import Row
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer


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


class LoadedAs(NamedTuple):
    """The engine's name, the precision ("bfloat16", or "gguf" for the eight bits of llama.cpp), and the device."""

    engine: str
    precision: str
    device: str


class EngineModels:
    """Base and tuned as the chat answers from them: see backend/chat/engines.py."""

    def __init__(self, engine: Engine, tokenizer: ChatTokenizer) -> None:
        self._engine, self._tokenizer = engine, tokenizer
        self.panes = engine.panes
        self.context_length = engine.context_length
        self.loaded_as = LoadedAs(*(engine.report[name] for name in ("engine", "dtype", "device")))
        self.name, self.precision = self.loaded_as.engine, self.loaded_as.precision

    def prompt_ids(self, conversation: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[int]:
        return self._tokenizer.prompt_ids([dict(m) for m in conversation], list(tools) or None)

    def tokens(self, text: str) -> int:
        return len(self._tokenizer.encode([{"role": "user", "content": text}]).input_ids)

    def answer(
        self, pane: str, prompts: Sequence[list[int]], limit: int, each: Callable[[int], None]
    ) -> list[Answer]:
        room = [min(limit, self.context_length - len(prompt)) for prompt in prompts]
        found = self._engine.answer_all(pane, prompts, room, each)
        return [Answer(self._tokenizer.decode(list(one.ids)), one.ended) for one in found]

    def loss(self, pane: str, item: Item) -> float:
        encoded = self._tokenizer.encode([*map(dict, item.messages), item.expected], list(item.tools) or None)
        first = max(1, min(len(self.prompt_ids(item.messages, item.tools)), encoded.tokens - 1)) - 1
        labels = list(encoded.labels[first:])  # from the last token before the answer on
        labels[0] = -100
        return float(score_row(self._engine.logits(pane, list(encoded.input_ids), len(labels)), labels)["nll"])

    def text_ids(self, text: str) -> list[int]:
        (encoded,) = self._tokenizer.encode_rows([Row(1, 1, text=text)])
        if isinstance(encoded, ApprenticeError):
            raise encoded
        return list(encoded.input_ids)

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids)

    def nats(self, pane: str, ids: Sequence[int], first: int) -> float:
        return self._engine.nats(pane, ids, first)


def load(
    workspace: Workspace,
    model: Path,
    tuned: Path | None = None,
    progress: ReportProgress = silent,
    *,
    like: LoadedAs | None = None,
) -> EngineModels:
    """The model in the folder `model`, and the trained one in `tuned`, in the engine that the chat would use.

    like: of models that these are compared with; transformers then answers in the same precision. Raises
    MissingPart, NotEnough, ChatFailed.
    """
    tokenizer = ChatTokenizer.load(tuned if tuned and (tuned / "tokenizer.json").is_file() else model)
    on_torch = like is not None and like.engine == TORCH
    if like and on_torch and like.device == "cpu":
        import torch

        from backend.chat.torch_engine import TorchEngine

        return EngineModels(TorchEngine(model, tuned, getattr(torch, like.precision)), tokenizer)
    return EngineModels(engines.open_model(workspace, model, tuned, progress, only_transformers=on_torch), tokenizer)
