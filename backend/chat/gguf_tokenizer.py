"""The tokenizer and chat template inside a GGUF file. The template is untrusted: backend.tokens renders it in a box.
Control markers inside messages are cut in two, so that no text becomes a control token."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from backend.chat.engine import Messages, Tools
from backend.chat.llama_server import LlamaServer
from backend.errors import BadInput
from backend.gguf.facts import Facts
from backend.tokens.tokenizer import ChatTokenizer

_CUT = "\uf8f0"  # a private-use character: the text is tokenized in parts around it


class GgufTokenizer:
    """Does for a GGUF file, which a server has open, what `ChatTokenizer` does for a model folder."""

    def __init__(self, server: Callable[[], LlamaServer], facts: Facts) -> None:
        self._server, self._template, self._silent = server, facts.template, facts.silent_ids
        self._specials = {f"{name}_token": facts.special_token(name) for name in ("bos", "eos")}
        longest_first = sorted(filter(str.strip, facts.markers), key=len, reverse=True)
        self._markers = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def prompt_ids(self, messages: Messages, tools: Tools | None = None) -> list[int]:
        """The token ids of the conversation. Raises BadInput if there is no template, or if it rejects it."""
        if not self._template:
            raise BadInput("This GGUF file has no chat template.", "It was not made for chat.", "Choose another.")
        clean = [self._without_markers(message) for message in messages]
        tokenizer = ChatTokenizer.of_template(self._template, self._specials)
        text = tokenizer.render(clean, tools, add_generation_prompt=True)
        return [token for part in text.split(_CUT) for token in self._server().encode(part)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text without control tokens, with U+FFFD for an incomplete character."""
        return self._server().decode([token for token in ids if token not in self._silent])

    def _without_markers(self, message: Any) -> dict[str, Any]:
        content = message.get("content")
        if not isinstance(content, str):
            return dict(message)
        clean = content.replace(_CUT, "")
        return {**message, "content": self._markers.sub(lambda m: m.group()[0] + _CUT + m.group()[1:], clean)}
