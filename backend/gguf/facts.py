"""The metadata of a GGUF file, read without llama.cpp."""

from pathlib import Path
from typing import Any

from backend.models import gguf_header

# Tokenizers before which llama.cpp puts a start token unless the file says otherwise:
# `add_bos` in llama-vocab.cpp.
_BOS_MODELS, _BOS_PRE = (
    {"llama"},
    {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "tekken"},
)
_UNKNOWN, _CONTROL, _USER_DEFINED = (
    2,
    3,
    4,
)  # types of tokens: `TokenType` of the package gguf
_KEY_OR_VALUE = 2  # bytes of one number that a context remembers


class Facts:
    """The metadata of a GGUF file. Raises ValueError for a damaged file, OSError."""

    def __init__(self, file: Path) -> None:
        self._values = gguf_header.read(file)[0]

    def value(self, key: str) -> Any:
        """The value of a key, None without it."""
        return self._values.get(key)

    @property
    def trained_context(self) -> int:
        """Tokens that the model was trained to read; 0 if unknown."""
        return int(self._of_model("context_length") or 0)

    @property
    def bytes_per_token(self) -> int:
        """An upper bound for the bytes of context per token (keys and values); 0 if
        unknown.
        """
        heads = _most(self._of_model("attention.head_count"))
        usual = int(self._of_model("embedding_length") or 0) // heads if heads else 0
        lengths = (
            self._of_model(f"attention.{name}_length") or usual
            for name in ("key", "value")
        )
        layers, stated = (
            int(self._of_model("block_count") or 0),
            self._of_model("attention.head_count_kv"),
        )
        # Of the layer with the most: hybrid models have some without keys and values.
        return (
            _KEY_OR_VALUE
            * sum(map(int, lengths))
            * (heads if stated is None else _most(stated))
            * layers
        )

    @property
    def adds_bos(self) -> bool:
        """Whether llama.cpp itself puts the start token before every text."""
        stated = self.value("tokenizer.ggml.add_bos_token")
        if stated is not None:
            return bool(stated)
        return (
            self.value("tokenizer.ggml.model") in _BOS_MODELS
            or self.value("tokenizer.ggml.pre") in _BOS_PRE
        )

    @property
    def template(self) -> str:
        return str(self.value("tokenizer.chat_template") or "")

    def special_token(self, name: str) -> str:
        """The text of the token "bos", "eos" or the like, "" without one."""
        number = self.value(f"tokenizer.ggml.{name}_token_id")
        tokens = self.value("tokenizer.ggml.tokens") if number is not None else []
        return str(tokens[number]) if tokens and number < len(tokens) else ""

    @property
    def tokens(self) -> int:
        """How many tokens the vocabulary has."""
        return len(self._tokens())

    @property
    def markers(self) -> list[str]:
        """The texts that become one token wherever they stand."""
        return [
            text
            for text, kind in self._tokens()
            if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED)
        ]

    @property
    def silent_ids(self) -> set[int]:
        """The tokens that have no text in an answer."""
        return {
            number
            for number, (_, kind) in enumerate(self._tokens())
            if kind in (_UNKNOWN, _CONTROL)
        }

    def _tokens(self) -> list[tuple[str, int]]:
        names = ("tokens", "token_type")
        texts, kinds = (self.value(f"tokenizer.ggml.{name}") or [] for name in names)
        return list(zip(texts, kinds, strict=False))

    def _of_model(self, name: str) -> Any:
        return self.value(f"{self.value('general.architecture')}.{name}")


def _most(value: Any) -> int:
    """A number, or the largest of a list of one for each layer."""
    return (
        max(map(int, value), default=0) if isinstance(value, list) else int(value or 0)
    )
