"""The engine on llama-cpp-python: a base model with a trained adapter on one copy of the weights, or a GGUF file. It
never runs in the page's process, which the bugs of llama.cpp's file parser therefore can't reach. Base and tuned
model are two contexts on the same weights; the adapter belongs to the tuned one alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from backend.chat.engine import (
    BASE,
    PROBE,
    TUNED,
    Answered,
    Each,
    Enough,
    Prompts,
    Sampling,
    Tokenizer,
    Tokens,
    WithTokenizer,
    check_panes,
    looping,
    score_row,
)
from backend.chat.gguf_tokenizer import GgufTokenizer, LlamaVocabulary
from backend.chat.llama import Context, Sampler, Weights
from backend.chat.llama_batch import answer_all
from backend.models import model_folder
from backend.records.chat import AnswerScore, EngineReport, PaneCheck
from backend.tokens.tokenizer import ChatTokenizer

NAME = "llama.cpp"
# llama.cpp's number of a file's type (enum llama_ftype) in words.
PRECISIONS = {"0": "32-bit", "1": "16-bit", "7": "8-bit", "18": "6-bit", "17": "5-bit", "15": "4-bit", "3": "4-bit"}


def trained_tokenizer(model: Path, tuned: Path | None) -> tuple[ChatTokenizer, set[int]]:
    """The tokenizer of the training in the folder `tuned`, or else of the model in the folder `model`; and the tokens
    that end an answer."""
    tokenizer = ChatTokenizer.load(tuned if tuned and (tuned / "tokenizer.json").is_file() else model)
    return tokenizer, model_folder.end_ids(model) | set(tokenizer.stop_ids)


class LlamaEngine(WithTokenizer):
    """The model in a GGUF file, in the pane "tuned"; see `with_adapter` for two panes."""

    def __init__(self, file: Path) -> None:
        weights = Weights(file)
        self._set_up(weights, GgufTokenizer(LlamaVocabulary(weights)), weights.end_ids, (TUNED,))

    @classmethod
    def with_adapter(cls, file: Path, model: Path, tuned: Path | None = None, adapter: Path | None = None) -> Self:
        """The base model of the folder `model` as a GGUF file, with the tokenizer it was trained with; and the one
        that was trained, in the folder `tuned`, its adapter as a GGUF LoRA. Raises MissingPart, and ChatFailed if the
        check of the panes fails."""
        engine = cls.__new__(cls)
        tokenizer, ends = trained_tokenizer(model, tuned)
        engine._set_up(Weights(file), tokenizer, ends, (BASE, TUNED) if adapter else (BASE,))
        if adapter:
            engine.report = engine.report.model_copy(update={"pane_check": engine._attach(adapter)})
        return engine

    def _set_up(self, weights: Weights, tokenizer: Tokenizer, end_ids: set[int], panes: tuple[str, ...]) -> None:
        self.panes = panes
        self.context_length = weights.context_length(len(panes))
        self._weights, self._tokenizer, self._end_ids = weights, tokenizer, end_ids
        self._contexts = {pane: Context(weights, self.context_length) for pane in panes}
        self.report = EngineReport(
            engine=NAME,
            precision=PRECISIONS.get(weights.metadata("general.file_type"), ""),
            dtype="gguf",
            device="gpu" if weights.on_gpu else "cpu",
            end_ids=tuple(sorted(end_ids)),
        )

    def _attach(self, adapter: Path) -> PaneCheck:
        """The adapter goes to the tuned context. Returns the check that the base is unchanged."""
        probe = self.prompt_ids(PROBE)
        before = self._probe_logits(BASE, probe)
        tuned = self._contexts[TUNED]
        tuned.load_adapter(adapter)
        tuned.switch_adapter(True)
        with_adapter = self._probe_logits(TUNED, probe)
        tuned.switch_adapter(False)
        without = self._probe_logits(TUNED, probe)
        tuned.switch_adapter(True)
        return check_panes(before, (without, self._probe_logits(BASE, probe)), with_adapter)

    def _probe_logits(self, pane: str, probe: list[int]) -> Any:
        context = self._contexts[pane]
        context.forget()
        context.read(probe)
        logits = context.logits().copy()
        context.forget()
        return logits

    def use_threads(self, threads: int) -> None:
        for context in self._contexts.values():
            context.use_threads(threads)

    def tokens_read(self, pane: str) -> int:
        return self._contexts[pane].tokens_read

    def tokens(self, pane: str, prompt_ids: list[int], sampling: Sampling) -> Tokens:
        context = self._contexts[pane]
        sampler = Sampler(self._weights, sampling)
        context.read_prompt(prompt_ids)
        for done in range(1, sampling.max_new_tokens + 1):
            token = context.pick(sampler)
            if token in self._end_ids:
                return "end"
            yield token
            if done < sampling.max_new_tokens:
                context.read([token])
        return "length"

    def score(self, rows: list[dict[str, list[int]]]) -> list[AnswerScore]:
        return [self._score(row["input_ids"], row["labels"]) for row in rows]

    def _score(self, ids: list[int], labels: list[int]) -> AnswerScore:
        import numpy

        pieces = list(self._reading(self.panes[-1], len(ids)).logits_from(ids))
        return score_row(numpy.concatenate(pieces) if pieces else numpy.zeros((0, 1)), labels)

    def answer_all(
        self, pane: str, prompts: Prompts, limits: Sequence[int], each: Each, enough: Enough = looping
    ) -> list[Answered]:
        return answer_all(self._weights, self._contexts[pane].adapter, prompts, self._end_ids, limits, each, enough)

    def nats(self, pane: str, ids: Sequence[int], labels: Sequence[int]) -> float:
        wanted = [at for at, label in enumerate(labels) if at and label >= 0]
        if not wanted:
            return 0.0
        at, total = wanted[0] - 1, 0.0  # the logits of a position are about the next one
        for rows in self._reading(pane, len(ids)).logits_from(ids[: wanted[-1]], at):
            following = labels[at + 1 : at + 1 + len(rows)]
            total += score_row(rows, [-100, *following]).nll * sum(label >= 0 for label in following)
            at += len(rows)
        return total

    def _reading(self, pane: str, tokens: int) -> Context:
        """A context for so many tokens: the pane's own, or one that lasts as long as its text is read."""
        own = self._contexts[pane]
        if tokens <= self.context_length:
            return own
        longer = Context(self._weights, tokens)
        if own.adapter:
            longer.adapter = own.adapter
            longer.switch_adapter(True)
        return longer
