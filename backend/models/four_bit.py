"""Models whose linear weights are in 4-bit, as QLoRA trains them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.files.json_file import read_if_json

if TYPE_CHECKING:
    import torch

SHARE = 0.4  # of the 16-bit weights: a quarter for the linear ones, the embeddings in 16 bits, and their scales


def is_possible() -> bool:
    """Whether this computer can load models in 4-bit."""
    return (
        sys.platform != "darwin"
        and importlib.util.find_spec("bitsandbytes") is not None
    )


def options(compute: torch.dtype, device: str | int) -> dict[str, Any]:
    """With which transformers loads a model on a device in NF4 with double quantization
    (QLoRA, Dettmers et al. 2023, arXiv:2305.14314); products in `compute`.
    """
    import torch
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute,
        bnb_4bit_quant_storage=torch.uint8,
    )
    return {"quantization_config": config, "device_map": {"": device}}


def compute_as_asked(model: Any) -> None:
    """Keep bitsandbytes on a processor from repacking the weights of `model` for
    products in bf16: repacked ones give no gradients, and other results than those of
    the training.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def trained_in_4_bit(learned: Path) -> bool:
    """Whether the run that saved the folder `learned` trained on 4-bit weights; False
    for any other folder.
    """
    used, planned = (
        read_if_json(learned.parent.parent / name)
        for name in ("used.json", "spec.json")
    )
    settings = (
        part for part in (used, planned.get("settings")) if isinstance(part, dict)
    )
    return next(
        (bool(part["method"] == "qlora") for part in settings if "method" in part),
        False,
    )
