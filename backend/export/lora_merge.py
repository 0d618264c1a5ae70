"""Merging a LoRA adapter into the weights of its base model: the same bits as peft's `merge_and_unload`.

peft's order: the product B A in float32, turned over for layers that store their weights the other way round (GPT-2's
Conv1D), times the scale, plus the weight, rounded once to the dtype of the result. DoRA multiplies that sum by
magnitude / length of each row before the rounding (peft 0.21, tuners/lora: `layer.py` and `variants.py`).

An output layer that shares its weights with the embeddings can't be merged: the embeddings would change too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import ExportFailed
from backend.files.json_file import loads
from backend.models import model_folder

if TYPE_CHECKING:
    from torch import Tensor

_PREFIX = "base_model.model."
_MORE = ("modules_to_save", "rank_pattern", "alpha_pattern", "trainable_token_indices", "lora_bias")


class Adapter:
    """The LoRA adapter in a folder, in memory. Raises MissingPart, and ExportFailed for one of another kind."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file

        model_folder.check_adapter(folder)
        config = loads((folder / "adapter_config.json").read_text("utf-8"))
        if any(config.get(name) for name in _MORE) or config.get("bias", "none") != "none":
            raise _unmergeable("It holds more than a LoRA")
        rank = int(config["r"])
        self._scale = config["lora_alpha"] / (rank**0.5 if config.get("use_rslora") else rank)
        self._turned = bool(config.get("fan_in_fan_out"))
        self._parts: dict[str, dict[str, Tensor]] = {}  # by module
        for name, tensor in load_file(folder / "adapter_model.safetensors").items():
            module, _, part = name.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".")
            self._parts.setdefault(module, {})[part] = tensor.float()

    def merged_into(self, names: Iterable[str]) -> dict[str, Callable[[Tensor, str], Tensor]]:
        """For each stored weight that changes, a function of it and a dtype such as "bfloat16": the merged weight.
        names: of the base model's stored weights. Raises ExportFailed when one that was trained is not among them."""
        stored = set(names)
        merges: dict[str, Callable[[Tensor, str], Tensor]] = {}
        for module, parts in self._parts.items():
            name = stored_name(module, stored)
            if name is None or name in merges:
                raise _unmergeable(f"{module} has no weight of its own in the base model's files")
            merges[name] = self._merge(parts)
        return merges

    def _merge(self, parts: dict[str, Tensor]) -> Callable[[Tensor, str], Tensor]:
        if parts.keys() - {"lora_magnitude_vector"} != {"lora_A", "lora_B"}:
            raise _unmergeable(f"It has the parts {', '.join(sorted(parts))}")
        import torch

        def merged(weight: Tensor, dtype: str) -> Tensor:
            product = parts["lora_B"] @ parts["lora_A"]
            whole = weight + (product.T if self._turned else product) * self._scale
            if (magnitude := parts.get("lora_magnitude_vector")) is not None:
                factor = (magnitude / torch.linalg.norm(whole.T if self._turned else whole, dim=1)).view(-1, 1)
                whole = (factor.T if self._turned else factor) * whole
            merged_weight: Tensor = whole.to(getattr(torch, dtype))
            return merged_weight

        return merged


def stored_name(module: str, names: set[str]) -> str | None:
    """The stored weight of a model's `module`, None if there is none. Files may name it without the model's own
    prefix (GPT-2), or within the language part of a larger model."""
    weight = f"{module}.weight"
    inner = weight.partition(".")[2]
    prefixes = ("language_model.model", "model.language_model", "language_model", "model.text_model", "text_model")
    inside = [f"{prefix}.{inner}" for prefix in prefixes]
    return next((name for name in (weight, inner, *inside, f"language_model.{weight}") if name in names), None)


def _unmergeable(why: str) -> ExportFailed:
    return ExportFailed("This adapter can't be merged.", f"{why}.", "Choose the adapter instead.")
