"""What a GGUF file says about itself, read without llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Tokenizers before which llama.cpp puts a start token unless the file says otherwise: `add_bos` in llama-vocab.cpp.
_BOS_MODELS, _BOS_PRE = {"llama"}, {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "tekken"}


def adds_bos(file: Path) -> bool:
    """Whether llama.cpp itself puts the start token before every text."""
    import gguf

    fields = gguf.GGUFReader(file).fields

    def value(name: str) -> Any:
        field = fields.get(f"tokenizer.ggml.{name}")
        return field.contents() if field else None

    stated = value("add_bos_token")
    if stated is not None:
        return bool(stated)
    return value("model") in _BOS_MODELS or value("pre") in _BOS_PRE
