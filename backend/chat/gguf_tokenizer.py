"""The tokenizer and chat template inside a GGUF file. The template is untrusted: backend.tokens renders it in a box.
Control markers inside messages are cut in two, so that no text becomes a control token."""

import ctypes
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from backend.chat.engine import Messages, Tools
from backend.chat.llama import Weights
from backend.chat.xllama import LlamaServer
from backend.errors import BadInput
from backend.gguf.facts import Facts
from backend.tokens.tokenizer import ChatTokenizer

_CUT = "\uf8f0"  # a private-use character: the text is tokenized in parts around it
_PIECE = 64  # bytes of a token's text; longer ones get a larger buffer


class Vocabulary(Protocol):
    """The tokens of a file, as llama.cpp knows them. template: "" without one. bos, eos: the texts of these tokens.
    markers: the texts that become one token wherever they stand."""

    template: str
    bos: str
    eos: str
    markers: list[str]

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text without control tokens, with U+FFFD for an incomplete character."""
        ...


class GgufTokenizer:
    """Does for a GGUF file what `ChatTokenizer` does for a model folder."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        longest_first = sorted(filter(str.strip, vocabulary.markers), key=len, reverse=True)
        self._markers = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def prompt_ids(self, messages: Messages, tools: Tools | None = None) -> list[int]:
        """The token ids of the conversation. Raises BadInput if there is no template, or if it rejects it."""
        template = self._vocabulary.template
        if not template:
            raise BadInput("This GGUF file has no chat template.", "It was not made for chat.", "Choose another.")
        specials = {"bos_token": self._vocabulary.bos, "eos_token": self._vocabulary.eos}
        clean = [self._without_markers(message) for message in messages]
        text = ChatTokenizer.of_template(template, specials).render(clean, tools, add_generation_prompt=True)
        return [token for part in text.split(_CUT) for token in self._vocabulary.encode(part)]

    def decode(self, ids: Sequence[int]) -> str:
        return self._vocabulary.decode(ids)

    def _without_markers(self, message: Any) -> dict[str, Any]:
        content = message.get("content")
        if not isinstance(content, str):
            return dict(message)
        clean = content.replace(_CUT, "")
        return {**message, "content": self._markers.sub(lambda m: m.group()[0] + _CUT + m.group()[1:], clean)}


class LlamaVocabulary:
    """The `Vocabulary` of a file that llama-cpp-python has open."""

    def __init__(self, weights: Weights) -> None:
        self._api, self._vocabulary = weights.api, weights.vocabulary
        api, vocabulary = self._api, self._vocabulary
        self.template = weights.metadata("tokenizer.chat_template")
        self.bos, self.eos = self._text(api.llama_vocab_bos(vocabulary)), self._text(api.llama_vocab_eos(vocabulary))
        special = api.LLAMA_TOKEN_ATTR_CONTROL | api.LLAMA_TOKEN_ATTR_USER_DEFINED | api.LLAMA_TOKEN_ATTR_UNKNOWN
        tokens = range(weights.tokens)
        self.markers = [self._text(t) for t in tokens if api.llama_vocab_get_attr(vocabulary, t) & special]

    def encode(self, text: str) -> list[int]:
        content = text.encode()
        most = len(content) + 2
        ids = (self._api.llama_token * most)()
        count = self._api.llama_tokenize(self._vocabulary, content, len(content), ids, most, False, True)
        return list(ids[:count])

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(map(self._piece, ids)).decode("utf-8", "replace")

    def _piece(self, token: int) -> bytes:
        size = _PIECE
        while True:
            buffer = ctypes.create_string_buffer(size)
            length: int = self._api.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, False)
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        return str(self._api.llama_vocab_get_text(self._vocabulary, token).decode("utf-8", "replace"))


class ServerVocabulary:
    """The `Vocabulary` of a file that llama.cpp's server has open."""

    def __init__(self, server: Callable[[], LlamaServer], facts: Facts) -> None:
        self._server = server
        self.template, self.markers, self._silent = facts.template, facts.markers, facts.silent_ids
        self.bos, self.eos = facts.special_token("bos"), facts.special_token("eos")

    def encode(self, text: str) -> list[int]:
        return self._server().encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self._server().decode([token for token in ids if token not in self._silent])
