"""The models that an evaluation asks, many questions at a time. Runs in the
evaluation's own process.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backend.chat import engines, llama_probe
from backend.chat.engine import Each, Engine, Enough, Prompts, looping, without_opening
from backend.chat.llama_engine import NAME as LLAMA
from backend.chat.torch_engine import NAME as TORCH
from backend.errors import ApprenticeError
from backend.evaluation.items import Item
from backend.models import bundled, model_folder
from backend.records.rows import Row
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer

Progress = Callable[
    [str, int, int], None
]  # phase, done, total; what it raises ends the evaluation


class Answer(NamedTuple):
    """ended: whether the model ended it by itself, and was not cut at the limit."""

    text: str
    ended: bool


class Models:
    """Base and tuned in an engine of the chat, as panes "base" and "tuned". precision:
    such as "bfloat16", or "gguf" in llama.cpp. loaded: how and where its weights are,
    in words: a 4-bit base computes in the same precision as one in 16 bits.
    all_at_once: whether the probabilities of a text are computed in one pass, instead
    of a step for each. decides: what else than the weights and the prompt decides an
    answer. folder: of the base model. tuned: the folder of what was trained, None for
    the base alone.
    """

    def __init__(self, engine: Engine, folder: Path, tuned: Path | None) -> None:
        self._engine = engine
        self._tokenizer = ChatTokenizer.of_training(folder, tuned)
        self.context_length = model_folder.context_length(
            folder
        )  # not the engine's, which depends on free memory
        self.name, self.precision = engine.report.engine, engine.report.dtype
        self.loaded = f"{engine.report.precision} on {engine.report.device}"
        self.on_processor = engine.report.device == "cpu"
        self.all_at_once = self.name == TORCH
        self.decides = {
            "engine": self.name,
            "precision": self.precision,
            "loaded": self.loaded,
        }

    def prompt_ids(
        self,
        conversation: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
    ) -> list[int]:
        """The token ids the model reads. Raises BadInput when its chat template does
        not accept the conversation.
        """
        return self._tokenizer.prompt_ids(
            [dict(m) for m in conversation], list(tools) or None
        )

    def opening(self) -> list[int]:
        """See `ChatTokenizer.opening`."""
        return self._tokenizer.opening()

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(
            self._tokenizer.encode([{"role": "user", "content": text}]).input_ids
        )

    def answer(
        self,
        pane: str,
        prompts: Prompts,
        limit: int,
        each: Each,
        enough: Enough = looping,
        form: str = "",
    ) -> list[Answer]:
        """See `Engine.answer_all`, with answers of at most `limit` tokens."""
        room = [min(limit, self.context_length - len(prompt)) for prompt in prompts]
        answers = self._engine.answer_all(pane, prompts, room, each, enough, form)
        return [Answer(self.decode(answer.ids), answer.ended) for answer in answers]

    def written(self, item: Item) -> str:
        """The expected answer as the model's chat template writes it."""
        return self.decode([label for label in self._encoded(item)[1] if label >= 0])

    def loss(self, pane: str, item: Item) -> float:
        """Mean nats a token of the expected answer, after the item's true history."""
        ids, labels = self._encoded(item)
        learned = sum(label >= 0 for label in labels)
        return self._engine.nats(pane, ids, labels) / learned if learned else 0.0

    def _encoded(self, item: Item) -> tuple[list[int], list[int]]:
        """The token ids of the item with its expected answer, and their labels: -100
        for all but the answer.
        """
        encoded = self._tokenizer.encode(
            [*map(dict, item.messages), item.expected], list(item.tools) or None
        )
        first = (
            max(
                1,
                min(
                    len(self.prompt_ids(item.messages, item.tools)), encoded.tokens - 1
                ),
            )
            - 1
        )
        return list(encoded.input_ids), [-100] * (first + 1) + list(
            encoded.labels[first + 1 :]
        )

    def text_ids(self, text: str) -> list[int]:
        """A plain text as the model is trained on it: no template, the end-of-text
        token last.
        """
        (encoded,) = self._tokenizer.encode_rows([Row(1, 1, text=text)])
        if isinstance(encoded, ApprenticeError):
            raise encoded
        return list(encoded.input_ids)

    def decode(self, ids: Sequence[int]) -> str:
        return without_opening(
            self._tokenizer.decode(ids), self._tokenizer.opening_text
        )

    def nats(self, pane: str, ids: Sequence[int], first: int) -> float:
        """The sum of the nats of ids[first:], each token after those before it."""
        return self._engine.nats(
            pane, ids, [*[-100] * max(first, 1), *ids[max(first, 1) :]]
        )


def choose_engine(
    workspace: Workspace,
    model: Path,
    tuned: Sequence[Path],
    progress: Progress,
    *,
    texts: bool = False,
) -> str:
    """The engine that the chat would use for a model and for all that was trained on
    it, so that those that are compared answer in the same one. Unpacks the bundled
    model if it is that one and missing or damaged.

    model: the model's folder
    tuned: the folders of what was trained on it
    texts: the probability of every word is wanted, for which llama.cpp takes a step
        each
    """
    engine = (
        LLAMA
        if not texts and llama_probe.holds(workspace, model, tuned, progress)
        else TORCH
    )
    if model == bundled.folder(workspace):
        bundled.ensure(workspace, progress)
    return engine


def load(
    workspace: Workspace,
    engine: str,
    model: Path,
    tuned: Path | None = None,
    precision: str = "",
) -> Models:
    """A model and what was trained on it. Raises MissingPart, NotEnough, ChatFailed.

    engine: the name of the engine that answers
    model: the model's folder
    tuned: the folder of what was trained, None for the base alone
    precision: in which transformers computes on the processor; "": the fastest, on the
        fastest device
    """
    if engine == LLAMA:
        return Models(
            engines.on_llama_cpp(workspace, model, tuned, bundled.silent), model, tuned
        )
    import torch

    from backend.chat.torch_engine import TorchEngine

    return Models(
        TorchEngine(model, tuned, getattr(torch, precision) if precision else None),
        model,
        tuned,
    )
