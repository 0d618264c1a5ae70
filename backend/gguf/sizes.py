"""How large a model's GGUF files will be, and which of its weights a type can't hold,
from the shapes alone.

The rules are those of llama.cpp, `llama_tensor_get_type` in src/llama-quant.cpp (August
2026): which weights the K_M mixtures store in a larger type, and what replaces a type
whose blocks don't fit the width of a weight.
"""

import re
from functools import lru_cache
from pathlib import Path

from backend.models.safetensors_files import read_all

_BITS = {  # per weight, scales included: the block sizes in ggml-common.h
    "F32": 32,
    "F16": 16,
    "Q8_0": 34 * 8 / 32,
    "Q6_K": 210 * 8 / 256,
    "Q5_K": 176 * 8 / 256,
    "Q4_K": 144 * 8 / 256,
    "Q5_1": 24 * 8 / 32,
    "Q5_0": 22 * 8 / 32,
}
_INSTEAD = {
    "Q6_K": "Q8_0",
    "Q5_K": "Q5_1",
    "Q4_K": "Q5_0",
}  # where a width is no multiple of 256
_LAYER = re.compile(r"\.layers\.(\d+)\.")


def size(model: Path, kind: str) -> int:
    """Bytes of the weights in the GGUF file of `kind` (one of `convert.TYPES`), for the
    model in a folder.
    """
    return int(
        sum(count * _BITS[stored] / 8 for count, _, stored in _weights(model, kind))
    )


def too_narrow(model: Path, kind: str) -> float:
    """The share of the weights that take a larger type than `kind` names, because their
    width does not fit it.
    """
    weights = [
        (count, wanted != stored)
        for count, wanted, stored in _weights(model, kind)
        if wanted != "F32"
    ]
    return sum(count for count, replaced in weights if replaced) / max(
        1, sum(count for count, _ in weights)
    )


def _weights(model: Path, kind: str) -> tuple[tuple[int, str, str], ...]:
    """For each weight: the number of values, the type that `kind` asks for, and the
    stored type.
    """
    files = ((file, file.stat()) for file in sorted(model.glob("*.safetensors")))
    return _read_weights(
        model,
        kind,
        tuple((file.name, facts.st_size, facts.st_mtime_ns) for file, facts in files),
    )


@lru_cache(maxsize=128)
def _read_weights(
    model: Path, kind: str, files: object
) -> tuple[tuple[int, str, str], ...]:
    """files: makes a changed file be read again."""
    tensors, weights = read_all(sorted(model.glob("*.safetensors"))), []
    layers = 1 + max(
        (int(match[1]) for name in tensors if (match := _LAYER.search(name))), default=0
    )
    tied = not any(name.endswith("lm_head.weight") for name in tensors)
    for name, tensor in tensors.items():
        shape = tensor.shape
        wanted = "F32" if len(shape) < 2 else _wanted(name, kind, layers, tied)
        stored = wanted
        if wanted in _INSTEAD and shape[-1] % 256:
            stored = (
                "Q8_0"
                if "embed_tokens" in name or "lm_head" in name
                else _INSTEAD[wanted]
            )
        if stored in ("Q8_0", "Q5_0", "Q5_1") and shape[-1] % 32:
            stored = "F16"
        weights.append((tensor.numbers, wanted, stored))
    return tuple(weights)


def _wanted(name: str, kind: str, layers: int, tied: bool) -> str:
    if not kind.endswith("_M"):
        return kind
    larger = "lm_head" in name or (tied and "embed_tokens" in name)
    if ("v_proj" in name or "down_proj" in name) and (match := _LAYER.search(name)):
        # `use_more_bits` in llama.cpp: the first and last eighth, and every third
        # between
        layer, eighth = int(match[1]), layers // 8
        larger = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
    return "Q6_K" if larger else kind.removesuffix("_M")
