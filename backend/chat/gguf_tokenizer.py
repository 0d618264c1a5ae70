"""The tokenizer and chat template inside a GGUF file.

The template is untrusted: backend.tokens.chat_template renders it in a sandbox, and control markers inside messages
are cut in two, so that no text becomes a control token.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import Any

from backend.chat.engine import Messages, Tools
from backend.chat.llama import Weights
from backend.errors import BadInput
from backend.tokens.chat_template import render

_CUT = "\uf8f0"  # a private-use character: the text is tokenized in parts around it
_PIECE = 64  # bytes of a token's text; longer ones get a larger buffer


class GgufTokenizer:
    """What `ChatTokenizer` does for a model folder, for the GGUF file behind `weights`."""

    def __init__(self, weights: Weights) -> None:
        self._api, self._vocabulary, self._tokens = weights.api, weights.vocabulary, weights.tokens
        self._template = weights.metadata("tokenizer.chat_template")
        self._control = self._control_markers()

    def prompt_ids(self, messages: Messages, tools: Tools | None = None) -> list[int]:
        """The token ids of the conversation. Raises BadInput if there is no template, or if it rejects it."""
        if not self._template:
            raise BadInput("This GGUF file has no chat template.", "It was not made for chat.", "Choose another.")
        bos, eos = self._api.llama_vocab_bos(self._vocabulary), self._api.llama_vocab_eos(self._vocabulary)
        specials = {"bos_token": self._text(bos), "eos_token": self._text(eos)}
        clean = [self._without_markers(message) for message in messages]
        text = render(self._template, clean, specials, tools, add_generation_prompt=True)
        return [token for part in text.split(_CUT) for token in self._encode(part.encode())]

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(map(self._piece, ids)).decode("utf-8", "replace")

    def _encode(self, text: bytes) -> list[int]:
        most = len(text) + 2
        ids = (self._api.llama_token * most)()
        count = self._api.llama_tokenize(self._vocabulary, text, len(text), ids, most, False, True)
        return list(ids[:count])

    def _piece(self, token: int) -> bytes:
        size = _PIECE
        while True:
            buffer = ctypes.create_string_buffer(size)
            length: int = self._api.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, False)
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    def _without_markers(self, message: Any) -> dict[str, Any]:
        content = message.get("content")
        if not isinstance(content, str):
            return dict(message)
        clean = content.replace(_CUT, "")
        return {**message, "content": self._control.sub(lambda m: m.group()[0] + _CUT + m.group()[1:], clean)}

    def _control_markers(self) -> re.Pattern[str]:
        api, vocabulary = self._api, self._vocabulary
        special = api.LLAMA_TOKEN_ATTR_CONTROL | api.LLAMA_TOKEN_ATTR_USER_DEFINED | api.LLAMA_TOKEN_ATTR_UNKNOWN
        texts = [self._text(t) for t in range(self._tokens) if api.llama_vocab_get_attr(vocabulary, t) & special]
        longest_first = sorted((text for text in texts if text.strip()), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        return str(self._api.llama_vocab_get_text(self._vocabulary, token).decode("utf-8", "replace"))
