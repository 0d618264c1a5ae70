"""llama.cpp through its C interface: one copy of a model's weights, and any number of contexts on it. A context has a
memory of the tokens it has read, and adapters of its own. Only the chat process imports this."""

from __future__ import annotations

import ctypes
import logging
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from backend.chat.engine import Sampling, common_prefix, context_length, require_number, tokens_that_fit
from backend.errors import ChatFailed
from backend.gguf.facts import Facts
from backend.gguf.requirement import require_llama_cpp_python
from backend.hardware import container

BATCH = 512  # tokens that are read at once
_ALL_LAYERS = 999


class Weights:
    """The model in a GGUF file. Raises MissingPart without llama-cpp-python, ChatFailed for a file it can't open."""

    def __init__(self, file: Path) -> None:
        require_llama_cpp_python()
        import llama_cpp

        self.api: Any = llama_cpp
        self._file = file
        logging.getLogger("llama-cpp-python").setLevel(logging.ERROR)  # it reports every tensor
        llama_cpp.llama_backend_init()
        options = llama_cpp.llama_model_default_params()
        options.n_gpu_layers = _ALL_LAYERS
        self.pointer = llama_cpp.llama_model_load_from_file(str(file).encode(), options) if _is_gguf(file) else None
        if not self.pointer:
            raise ChatFailed(
                f"{file.name} can't be opened as a model.",
                "It is not a GGUF file, it is damaged, or llama.cpp does not support the model.",
                "Export it again, or choose another file.",
            )
        weakref.finalize(self, llama_cpp.llama_model_free, self.pointer)
        self.vocabulary = llama_cpp.llama_model_get_vocab(self.pointer)
        self.tokens: int = llama_cpp.llama_vocab_n_tokens(self.vocabulary)

    @property
    def on_gpu(self) -> bool:
        """Whether llama.cpp has a GPU, which then computes all layers."""
        return bool(self.api.llama_supports_gpu_offload())

    @cached_property
    def end_ids(self) -> set[int]:
        """The token ids that end an answer according to the file."""
        return {token for token in range(self.tokens) if self.api.llama_vocab_is_eog(self.vocabulary, token)}

    def metadata(self, key: str) -> str:
        """A value of the file, "" if it has none."""
        size: int = self.api.llama_model_meta_val_str(self.pointer, key.encode(), None, 0)
        if size < 0:
            return ""
        buffer = ctypes.create_string_buffer(size + 1)
        self.api.llama_model_meta_val_str(self.pointer, key.encode(), buffer, size + 1)
        return buffer.value.decode("utf-8", "replace")

    def context_length(self, contexts: int) -> int:
        """Tokens for each of `contexts`."""
        trained: int = self.api.llama_model_n_ctx_train(self.pointer)
        return context_length(trained, self.bytes_per_token(), contexts)

    def tokens_that_fit(self) -> int:
        """How many tokens contexts can remember in the memory that they may take; 0 if unknown."""
        return tokens_that_fit(self.bytes_per_token())

    def bytes_per_token(self) -> int:
        """An upper bound for the bytes of context per token (keys and values, two bytes each); 0 if unknown."""
        api, model = self.api, self.pointer
        heads = api.llama_model_n_head(model)
        usual = api.llama_model_n_embd(model) // heads if heads else 0
        keys, values = (int(self._attention(name) or usual) for name in ("key_length", "value_length"))
        return 2 * (keys + values) * self._key_heads() * int(api.llama_model_n_layer(model))

    def _key_heads(self) -> int:
        """The heads with keys and values, in the layer with the most: some layers of a hybrid model have none."""
        if one := self._attention("head_count_kv"):
            return int(one)
        # llama.cpp gives no list of a file as text.
        stated = Facts(self._file).key_heads_stated
        return int(self.api.llama_model_n_head_kv(self.pointer)) if stated is None else stated

    def _attention(self, name: str) -> str:
        return self.metadata(f"{self.metadata('general.architecture')}.attention.{name}")


class Token(NamedTuple):
    """One token to read. wanted: whether its logits are."""

    id: int
    position: int
    wanted: bool
    sequence: int = 0


class Context:
    """One reader of the weights. tokens: that it remembers, in all of its sequences together."""

    def __init__(self, weights: Weights, tokens: int, sequences: int = 1) -> None:
        self._api, self._weights = weights.api, weights
        self.adapter: Any = None
        options = self._api.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_seq_max = tokens, BATCH, sequences
        options.n_threads = options.n_threads_batch = container.cores()
        self._pointer = self._api.llama_init_from_model(weights.pointer, options)
        if not self._pointer:
            raise ChatFailed("The model could not be opened.", "llama.cpp reported no reason.", "Close other programs.")
        weakref.finalize(self, _free_context, weights, self._pointer, self._api.llama_free)
        self._memory = self._api.llama_get_memory(self._pointer)
        self._ids: list[int] = []
        self._prompt = 0  # tokens of the latest prompt, at the start of `_ids`
        self.tokens_read = 0  # of the latest prompt; the rest was in memory

    def use_threads(self, threads: int) -> None:
        self._api.llama_set_n_threads(self._pointer, threads, threads)

    def load_adapter(self, file: Path) -> None:
        """Reads a GGUF LoRA; `switch_adapter` puts it to use. Raises ChatFailed."""
        self.adapter = self._api.llama_adapter_lora_init(self._weights.pointer, str(file).encode())
        if not self.adapter:
            raise ChatFailed("The result of this run could not be opened.", "llama.cpp rejected it.", "Train again.")

    def switch_adapter(self, on: bool) -> None:
        """Turns the adapter on or off, and forgets what was read before."""
        adapters = (self._api.llama_adapter_lora_p_ctypes * 1)(self.adapter) if on else None
        scales = (ctypes.c_float * 1)(1.0) if on else None
        if self._api.llama_set_adapters_lora(self._pointer, adapters, int(on), scales):
            raise ChatFailed("The result of this run could not be used.", "llama.cpp rejected it.", "Train again.")
        self.forget()

    def forget(self) -> None:
        self._api.llama_memory_clear(self._memory, True)
        self._ids, self._prompt = [], 0

    def forget_sequence(self, sequence: int) -> None:
        self._api.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def read_prompt(self, ids: Sequence[int]) -> None:
        """Reads a prompt. One that continues the conversation is read from where it differs; any other one from its
        start, since a prompt read in other pieces gives slightly other numbers, and the seed alone must decide."""
        same = common_prefix(self._ids, ids)
        continues = 0 < self._prompt <= same < len(ids)
        if continues and self._api.llama_memory_seq_rm(self._memory, 0, same, -1):
            del self._ids[same:]
        else:
            self.forget()
        self.tokens_read, self._prompt = len(ids) - len(self._ids), len(ids)
        self.read(ids[len(self._ids) :])

    def read(self, ids: Sequence[int]) -> None:
        """Reads more tokens. Raises ChatFailed."""
        for begin in range(0, len(ids), BATCH):
            part = ids[begin : begin + BATCH]
            self.decode([Token(token, len(self._ids) + at, at == len(part) - 1) for at, token in enumerate(part)])
            self._ids += part

    def decode(self, tokens: Sequence[Token]) -> None:
        """Reads at most BATCH tokens. Raises ChatFailed."""
        batch = self._api.llama_batch_init(len(tokens), 0, 1)
        try:
            batch.n_tokens = len(tokens)
            for at, token in enumerate(tokens):
                batch.token[at], batch.pos[at], batch.logits[at] = token.id, token.position, token.wanted
                batch.n_seq_id[at], batch.seq_id[at][0] = 1, token.sequence
            if self._api.llama_decode(self._pointer, batch):
                raise ChatFailed("The model failed.", "llama.cpp could not read the text.", "Start a new conversation.")
        finally:
            self._api.llama_batch_free(batch)

    def logits(self, at: int = -1) -> Any:
        """The logits after the last token, or the one at the place `at` among those just decoded: a numpy view of
        float32, valid until the next `decode`."""
        import numpy

        return numpy.ctypeslib.as_array(self._api.llama_get_logits_ith(self._pointer, at), (self._weights.tokens,))

    def logits_from(self, ids: Sequence[int], first: int = 0) -> Iterator[Any]:
        """Reads `ids` alone; the logits for its positions from `first` on: numpy arrays (positions, vocabulary)."""
        import numpy

        self.forget()
        for begin in range(0, len(ids), BATCH):
            part = ids[begin : begin + BATCH]
            self.decode([Token(token, begin + at, begin + at >= first) for at, token in enumerate(part)])
            count = len(part) - max(0, first - begin)
            if count > 0:
                logits = self._api.llama_get_logits(self._pointer)
                yield numpy.ctypeslib.as_array(logits, (count, self._weights.tokens)).copy()

    def pick(self, sampler: Sampler) -> int:
        """The next token. Raises ChatFailed for an invalid number."""
        require_number(self.logits().max())
        return int(self._api.llama_sampler_sample(sampler.pointer, self._pointer, -1))


class Sampler:
    """Chooses tokens as `Sampling` says; its random numbers begin anew with each."""

    def __init__(self, weights: Weights, sampling: Sampling) -> None:
        api = weights.api
        self.pointer = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        weakref.finalize(self, api.llama_sampler_free, self.pointer)
        if sampling.temperature <= 0:
            steps = [api.llama_sampler_init_greedy()]
        else:
            steps = [
                api.llama_sampler_init_temp(sampling.temperature),
                api.llama_sampler_init_top_p(sampling.top_p, 1),
                api.llama_sampler_init_dist(sampling.seed),
            ]
        if sampling.grammar:
            grammar = sampling.grammar.encode()
            steps.insert(0, api.llama_sampler_init_grammar(weights.vocabulary, grammar, b"root"))
        if not all(steps):
            raise ChatFailed("The form of the answer is not understood.", "llama.cpp rejected its grammar.", "")
        for step in steps:
            api.llama_sampler_chain_add(self.pointer, step)


def _free_context(weights: Weights, pointer: Any, free: Callable[[Any], None]) -> None:
    """Holds the weights, which must be freed later, whatever order the garbage collector chooses."""
    free(pointer)


def _is_gguf(file: Path) -> bool:
    try:
        with file.open("rb") as content:
            return content.read(4) == b"GGUF"
    except OSError:
        return False
