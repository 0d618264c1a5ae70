"""The engine for GGUF files, based on llama.cpp. It runs in the chat process only, isolated from its file parser's
bugs.

The chat template in a GGUF file is untrusted: backend.tokens.chat_template renders it in a sandbox, and control
markers inside messages are cut in two, so that no text becomes a control token.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

from backend.chat.engine import TUNED, Messages, Sampling, TextStream, Tokens, score_row
from backend.errors import BadInput, ChatFailed, MissingPart
from backend.tokens.chat_template import render

CONTEXT = 4096  # tokens at most, so that the cache of a long-context model does not fill the memory
_CUT = "\uf8f0"  # a private-use character: the text is tokenized in parts around it


def require_llama_cpp() -> None:
    """Raises MissingPart, with instructions, if llama-cpp-python is not installed."""
    if importlib.util.find_spec("llama_cpp") is None:
        raise MissingPart(
            "GGUF files can't be used here yet.",
            "The package llama-cpp-python is not installed. Its installation needs a compiler.",
            "Install a C++ compiler (Linux: build-essential; macOS: xcode-select --install; Windows: Visual Studio "
            "Build Tools), then run: pip install llama-cpp-python",
        )


class GgufEngine:
    """The model in a GGUF file; its only pane is "tuned". Raises MissingPart, ChatFailed."""

    def __init__(self, file: Path) -> None:
        require_llama_cpp()
        import llama_cpp

        self.panes: tuple[str, ...] = (TUNED,)
        self._file = file
        self._llama = _open_file(file, n_ctx=CONTEXT)
        self._api = llama_cpp
        self._vocabulary = llama_cpp.llama_model_get_vocab(self._llama.model)
        self._control = self._control_markers()
        self.context_length = min(CONTEXT, llama_cpp.llama_model_n_ctx_train(self._llama.model) or CONTEXT)
        tokens = range(llama_cpp.llama_vocab_n_tokens(self._vocabulary))
        end_ids = [token for token in tokens if llama_cpp.llama_vocab_is_eog(self._vocabulary, token)]
        self.report: dict[str, Any] = {"dtype": "gguf", "device": "cpu", "end_ids": end_ids}

    def prompt_ids(self, messages: Messages) -> list[int]:
        template = self._llama.metadata.get("tokenizer.chat_template", "")
        if not template:
            raise BadInput("This GGUF file has no chat template.", "It was not made for chat.", "Choose another.")
        ends = {"bos_token": self._llama.token_bos(), "eos_token": self._llama.token_eos()}
        specials = {name: self._text(token) for name, token in ends.items()}
        text = render(template, [self._without_markers(m) for m in messages], specials, add_generation_prompt=True)
        parts = [self._llama.tokenize(part.encode(), add_bos=False, special=True) for part in text.split(_CUT)]
        return [token for part in parts for token in part]

    def text_stream(self) -> TextStream:
        return TextStream(lambda ids: self._llama.detokenize(ids).decode("utf-8", "replace"))

    def use_threads(self, threads: int) -> None:
        self._api.llama_set_n_threads(self._llama.ctx, threads, threads)

    def tokens(self, pane: str, prompt_ids: list[int], sampling: Sampling) -> Tokens:
        self._llama.reset()  # a partly cached prompt gives slightly different numbers; the seed alone must decide
        self._llama.set_seed(sampling.seed)
        stream = self._llama.generate(
            prompt_ids, temp=sampling.temperature, top_p=sampling.top_p, top_k=0, min_p=0.0, repeat_penalty=1.0
        )
        for done, token in enumerate(stream, 1):
            if self._api.llama_vocab_is_eog(self._vocabulary, token):
                return "end"
            yield token
            if done >= sampling.max_new_tokens:
                break
        return "length"

    def score(self, rows: list[dict[str, list[int]]]) -> list[dict[str, Any]]:
        longest = max((len(row["input_ids"]) for row in rows), default=0)
        llama = _open_file(self._file, n_ctx=max(64, longest), logits_all=True)
        results = []
        for row in rows:
            llama.reset()
            llama.eval(row["input_ids"])
            results.append(score_row(llama.scores, row["labels"]))
        llama.close()
        return results

    def _without_markers(self, message: Any) -> dict[str, Any]:
        content = message.get("content")
        if not isinstance(content, str):
            return dict(message)
        clean = content.replace(_CUT, "")
        return {**message, "content": self._control.sub(lambda m: m.group()[0] + _CUT + m.group()[1:], clean)}

    def _control_markers(self) -> re.Pattern[str]:
        api, vocabulary = self._api, self._vocabulary
        special = api.LLAMA_TOKEN_ATTR_CONTROL | api.LLAMA_TOKEN_ATTR_USER_DEFINED | api.LLAMA_TOKEN_ATTR_UNKNOWN
        tokens = range(api.llama_vocab_n_tokens(vocabulary))
        texts = [self._text(t) for t in tokens if api.llama_vocab_get_attr(vocabulary, t) & special]
        longest_first = sorted((text for text in texts if text.strip()), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        return str(self._api.llama_vocab_get_text(self._vocabulary, token).decode("utf-8", "replace"))


def _open_file(file: Path, **options: Any) -> Any:
    from llama_cpp import Llama

    try:
        if file.open("rb").read(4) != b"GGUF":
            raise ValueError("no GGUF header")
        return Llama(model_path=str(file), n_batch=512, n_gpu_layers=-1, verbose=False, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise ChatFailed(
            f"{file.name} can't be opened as a model.",
            "It is not a GGUF file, it is damaged, or llama.cpp does not support the model.",
            "Export it again, or choose another file.",
        ) from error
