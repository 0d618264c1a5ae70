"""llama.cpp's own server, as the package xllamacpp brings it for every system: in this
process, on loopback, with a key that nobody else has. The page never imports xllamacpp:
only the processes of a chat, an evaluation or an export check do.

It has no call for one step of a model. So it is asked for the next tokens after those
so far, which it has in memory; that costs milliseconds, so an answer comes in pieces of
several. Its own stream would leave out the ids of tokens that are parts of a character.
"""

import secrets
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from backend.chat.engine import Messages, Sampling, require_number
from backend.errors import BadInput, ChatFailed, MissingPart
from backend.files.json_file import loads, value_of
from backend.gguf.requirement import has_llama_cpp
from backend.hardware import container
from backend.settings import PROGRAM
from backend.text.schemas import in_order

_PATIENCE = 600.0  # seconds for an answer
_GREEDY = Sampling()
_SIMILAR = 0.1  # share of a prompt that a slot must remember to be chosen for it
_NO_JSON = object()
_FORCED = 1000.0  # added to a token's logit, after which it is chosen; its probability is the one before


class Front(NamedTuple):
    """How a server answers programs directly: the model's name, the key, and the
    trained chat template.
    """

    name: str
    key: str
    template: str


class Next(NamedTuple):
    """token: the one that was chosen. log_p: its log-probability, None where the server
    gives none: for tokens that begin a character and don't end it. likeliest: the ids
    of the likeliest tokens with their log-probabilities. read: tokens of the prompt
    that were not in memory.
    """

    token: int
    log_p: float | None
    likeliest: list[tuple[int, float]]
    read: int


def on_gpu() -> bool:
    """Whether the build uses a GPU of this computer."""
    import xllamacpp

    processor = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    return any(device["type"] != processor for device in xllamacpp.get_device_info())


def require_numbers(tokens: Iterable[Mapping[str, Any]]) -> None:
    """Raises ChatFailed if a token in an answer of the server came of invalid numbers,
    which JSON does not have.
    """
    for token in tokens:
        require_number(token.get("prob", token.get("logprob")))


def cannot_open(file: Path) -> ChatFailed:
    return ChatFailed(
        f"{file.name} can't be opened as a model.",
        "It is not a GGUF file, it is damaged, llama.cpp does not support the model, or memory is short.",
        "Export it again, choose another file, or close other programs.",
    )


class LlamaServer:
    """A running server that remembers `slots` conversations of `tokens` each. adapter:
    a GGUF LoRA, which a request switches on or off; read into memory. front: for
    programs that ask it directly, to whom the adapter is always on. Raises MissingPart
    without xllamacpp, ChatFailed for a file that can't be opened.
    """

    def __init__(
        self,
        file: Path,
        slots: int,
        tokens: int,
        adapter: Path | None = None,
        threads: int | None = None,
        front: Front | None = None,
    ) -> None:
        if not has_llama_cpp():
            why = "The package xllamacpp, with llama.cpp in it, is not installed."
            raise MissingPart(
                "GGUF files can't be used here.",
                why,
                f"Start with {PROGRAM}, which installs it.",
            )
        import xllamacpp

        self.slots, self.tokens, self.adapter = slots, tokens, adapter
        self.threads = threads or container.cores()
        key = front.key if front else secrets.token_urlsafe()
        options = xllamacpp.CommonParams()
        options.model.path, options.api_keys = str(file), [key]
        options.n_parallel, options.n_ctx, options.kv_unified = (
            slots,
            slots * tokens,
            False,
        )
        options.cpuparams.n_threads = options.cpuparams_batch.n_threads = self.threads
        options.warmup = options.ui = options.ctx_shift = options.cache_idle_slots = (
            False
        )
        options.cache_ram_mib, options.slot_prompt_similarity = (
            0,
            0.0,
        )  # a slot holds what it was asked, nothing else
        options.verbosity = options.cpuparams.poll = options.cpuparams_batch.poll = (
            0  # no thread spins
        )
        if front:
            options.model_alias, options.chat_template = {front.name}, front.template
            options.slot_prompt_similarity, options.prefill_assistant = _SIMILAR, False
            options.sampling.temp, options.sampling.top_k, options.sampling.min_p = (
                0.0,
                0,
                0.0,
            )  # as Try asks
        if adapter:
            lora = xllamacpp.CommonAdapterLoraInfo()
            lora.path, lora.scale = str(adapter), float(front is not None)
            options.lora_adapters = [lora]
        try:
            self._server: Any = xllamacpp.Server(options)
        except (RuntimeError, ValueError) as error:
            raise cannot_open(file) from error
        headers = {"Authorization": f"Bearer {key}"}
        self.address = str(self._server.listening_address)
        self._client = httpx.Client(
            base_url=self.address, headers=headers, trust_env=False, timeout=_PATIENCE
        )
        weakref.finalize(self, self._client.close)

    def close(self) -> None:
        """Frees the model."""
        self._client.close()
        self._server = None

    def end_ids(self) -> set[int]:
        """The tokens that end an answer according to the file: those that it avoids
        when asked to go on.
        """
        reply = self._complete([0], n_predict=1, ignore_eos=True)
        return {bias["token"] for bias in reply["generation_settings"]["logit_bias"]}

    def encode(self, text: str) -> list[int]:
        """The token ids of a text in which markers are control tokens."""
        return list(
            self.call(
                "/tokenize",
                {"content": text, "add_special": False, "parse_special": True},
            )["tokens"]
        )

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens, with U+FFFD for an incomplete character."""
        return str(self.call("/detokenize", {"tokens": list(ids)})["content"])

    def render(self, messages: Messages) -> str:
        """The text after which the model answers, by llama.cpp's own template engine.
        Raises BadInput if that rejects the conversation.
        """
        reply = self._client.post(
            "/apply-template",
            json={"messages": [dict(message) for message in messages]},
        )
        if not reply.is_success:
            raise BadInput(
                "llama.cpp does not accept this conversation.", reply.text[:300]
            )
        return str(reply.json()["prompt"])

    def next(
        self,
        ids: Sequence[int],
        slot: int,
        *,
        tuned: bool = False,
        sampling: Sampling = _GREEDY,
        remembered: bool = False,
        likeliest: int = 1,
        forced: int | None = None,
    ) -> Next:
        """One token after `ids`.

        remembered: only what the slot does not hold yet is read
        likeliest: how many tokens to return with their probabilities
        forced: the token to choose, whatever its probability"""
        reply = self._complete(
            ids,
            slot,
            tuned,
            sampling,
            n_predict=1,
            n_probs=likeliest,
            cache_prompt=remembered,
            logit_bias=[] if forced is None else [[forced, _FORCED]],
        )
        (token,) = reply["tokens"]
        probabilities = reply.get("completion_probabilities", ())
        read = int(reply["timings"]["prompt_n"])
        if not probabilities:
            return Next(token, None, [], read)
        require_numbers([*probabilities, *probabilities[0]["top_logprobs"]])
        top = [
            (int(likely["id"]), float(likely["logprob"]))
            for likely in probabilities[0]["top_logprobs"]
        ]
        return Next(token, float(probabilities[0]["logprob"]), top, read)

    def answer(
        self,
        ids: Sequence[int],
        slot: int,
        limit: int,
        tuned: bool,
        sampling: Sampling = _GREEDY,
    ) -> list[int]:
        """The answer's tokens, up to `limit` or with the token that ended it; what the
        slot remembers is not read again. Threads may call this, each with a slot of its
        own. Raises ChatFailed for invalid numbers and
        for a form that can't be kept.
        """
        form = sampling.grammar
        more: dict[str, Any] = (
            {"json_schema": in_order(loads(form))}
            if form.startswith("{")
            else {"grammar": form}
        )
        # Each token's probability shows whether the numbers are valid; after top_p it
        # is there already.
        more |= {
            "n_probs": 1,
            "post_sampling_probs": sampling.temperature > 0 and sampling.top_p < 1,
        }
        reply = self._complete(
            ids, slot, tuned, sampling, n_predict=limit, cache_prompt=True, **more
        )
        require_numbers(
            reply.get("completion_probabilities", ())
        )  # none for a part of a character
        if "json_schema" in more:
            if (
                reply["stop_type"] == "limit"
            ):  # only the beginning of the answer is here
                kept = reply["content"].lstrip()[:1] in '{["-0123456789tfn'
            else:
                kept = value_of(reply["content"], _NO_JSON) is not _NO_JSON
            if not kept:
                why = "llama.cpp can't read it, or no answer fits it."  # which the server passes over in silence
                raise ChatFailed(
                    "Answers can't be kept to this form.",
                    why,
                    "Correct it on Share, or ask without it.",
                )
        return list(reply["tokens"])

    def _complete(
        self,
        ids: Sequence[int],
        slot: int = -1,
        tuned: bool = False,
        sampling: Sampling = _GREEDY,
        **more: Any,
    ) -> dict[str, Any]:
        asked = {
            "prompt": list(ids),
            "return_tokens": True,
            "cache_prompt": False,
            "temperature": max(0.0, sampling.temperature),
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "top_k": 1,
            "samplers": ["temperature", "top_p"]
            if sampling.temperature > 0
            else ["top_k"],
            "id_slot": slot,
            **({"lora": [{"id": 0, "scale": float(tuned)}]} if self.adapter else {}),
            **more,
        }
        return self.call("/completion", asked)

    def call(self, path: str, asked: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the server answers to a question, or without one. Raises ChatFailed."""
        try:
            reply = self._client.request(
                "GET" if asked is None else "POST", path, json=asked
            )
            reply.raise_for_status()
            values: dict[str, Any] = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ChatFailed(
                "The model failed.", "llama.cpp could not read the text.", "Ask again."
            ) from error
        return values
