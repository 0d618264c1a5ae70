"""The base model with its trainable weights: a LoRA adapter on it (4-bit underneath for
QLoRA), or all of it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import BadSetting, TrainingFailed
from backend.estimate.plan import EAGER_ATTENTION_LIMIT
from backend.models import causal_lm, four_bit, model_folder
from backend.records.specs import TrainSettings
from backend.training.device import Device, return_freed_memory
from backend.training.oom import require_bitsandbytes

if TYPE_CHECKING:
    import torch


def build(
    folder: Path,
    model_id: str,
    settings: TrainSettings,
    device: Device,
    longest: int = 0,
) -> Any:
    """The model in `folder`, ready for training on `device`, with its trainable weights
    in float32. The same seed gives the same initial weights. Raises MissingPart without
    the folder or bitsandbytes, BadSetting for a target it lacks.

    model_id: its name, which the adapter will state as its base
    longest: tokens of the longest row, 0 if unknown
    """
    import torch

    model_folder.check(folder)
    model = load(folder, settings, device)
    model.config.use_cache = False
    if device.precision == "fp16":
        model_folder.widen_gemma(model)
    if (
        device.kind == "cpu"
        and 0
        < (settings.max_length if settings.packing else longest)
        <= EAGER_ATTENTION_LIMIT
    ):
        model.set_attn_implementation("eager")
    if (
        device.kind == "cpu"
        and settings.gradient_checkpointing
        and _has_delta_nets(model)
    ):
        return_freed_memory()
    torch.manual_seed(settings.seed)
    if settings.method != "full":
        model = attach(model, settings)
        model.peft_config["default"].base_model_name_or_path = model_id
    return model


def _has_delta_nets(model: Any) -> bool:
    return "linear_attention" in (getattr(model.config, "layer_types", None) or ())


def missing_kernels(model: Any, device: Device) -> list[str]:
    """Packages that are not installed and would make `model` faster on this NVIDIA GPU:
    without them transformers computes gated delta nets (Qwen3.5) in plain PyTorch.
    """
    packages = {"fla": "flash-linear-attention", "causal_conv1d": "causal-conv1d"}
    if device.kind != "cuda" or not _has_delta_nets(model):
        return []
    return [
        package
        for module, package in packages.items()
        if importlib.util.find_spec(module) is None
    ]


def load(folder: Path, settings: TrainSettings, device: Device) -> Any:
    """The base model: in 4-bit for QLoRA, in float32 where all of it is trained, else
    in the device's precision.
    """
    import torch
    from transformers.utils import is_flash_attn_2_available

    chosen: dict[str, Any] = {
        "dtype": torch.float32 if settings.method == "full" else device.dtype
    }
    old = device.kind == "cuda" and torch.cuda.get_device_capability() < (8, 0)
    if old:
        from transformers.integrations import sdpa_attention

        # transformers leaves keys and values that several heads share to torch's
        # attention, whose only kernel without score matrices before Ampere refuses them
        # (a T4 with torch 2.10 and 2.14: fitcheck, scripts/measure.py), so that memory
        # would grow with the square of the length. So it repeats them before.
        sdpa_attention.use_gqa_in_sdpa = lambda *_: False
    require_bitsandbytes(settings)
    if settings.method == "qlora":
        chosen |= four_bit.options(
            device.four_bit_dtype, 0 if device.kind == "cuda" else "cpu"
        )
    model = causal_lm.load(folder, **chosen)
    flash = (
        device.kind == "cuda"
        and not old
        and device.precision != "fp32"
        and is_flash_attn_2_available()
    )
    if flash and model._supports_flash_attn:
        model.set_attn_implementation(
            "flash_attention_2"
        )  # packed rows then cost nothing extra
    return model


def attach(model: Any, settings: TrainSettings) -> Any:
    """`model` with a new LoRA adapter on the target modules. Raises BadSetting when the
    model lacks one of them.
    """
    from peft import LoraConfig, get_peft_model

    linear = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    unknown = [name for name in settings.target_modules if name not in linear]
    if unknown or not settings.target_modules:
        what = "No layers are selected for training."
        if unknown:
            what = f"This model has no layers called {', '.join(unknown)}."
        why = "target_modules must name linear layers of the model."
        raise BadSetting(what, why, "Set target_modules to all-linear or attention.")
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=list(settings.target_modules),
        fan_in_fan_out=any(
            type(module).__name__ == "Conv1D" for module in model.modules()
        ),  # GPT-2
        bias="none",
    )
    return get_peft_model(model, config)


def prepare_trainable(model: Any, device: Device) -> None:
    """Undoes three things that libraries do when the trainer is built.

    The trainer casts adapters on 4-bit models to bf16, in which small updates vanish
    (and which fp16 scaling does not support): they go back to float32. peft casts an
    adapter's inputs to float32, which autocast would cast back. bitsandbytes repacks
    4-bit weights at the first evaluation on a processor, and repacked weights give no
    gradients. Raises TrainingFailed when nothing is trainable.
    """
    import torch

    for parameter in trainable(model).values():
        parameter.data = parameter.data.to(torch.float32)
    for module in model.modules():
        if device.precision != "fp32" and hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False
    four_bit.compute_as_asked(model)
    if not trainable(model):
        way_out = "Set method to lora and target_modules to all-linear."
        raise TrainingFailed(
            "Nothing in the model can be trained.",
            "All of its weights are frozen.",
            way_out,
        )


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The trained weights, by name."""
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
