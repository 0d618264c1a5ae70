"""The activations that a forward pass saves for the backward pass: in torch, and by the estimate."""

import json
from typing import Any

from backend.estimate import Architecture, Plan, reading
from backend.estimate.allocator import Heap
from backend.estimate.decoder import Decoder
from backend.estimate.tape import Meter
from backend.records.specs import TrainSettings
from backend.training import fused_lora
from backend.training.model import attach


def shape_of(model: Any) -> Architecture:
    """The architecture, read from the model's config."""
    return reading.from_values(json.loads(model.config.to_json_string(use_diff=False)), "config.json")


def in_torch(model: Any, targets: tuple[str, ...], tokens: int) -> int:
    """Bytes of the saved activations up to the last hidden state, in float32, with adapters on `targets`."""
    import torch

    adapted = attach(model, TrainSettings(target_modules=targets, lora_rank=4, lora_dropout=0))
    fused_lora.fuse(adapted)
    base = adapted.get_base_model()
    base.enable_input_require_grads()
    parameters = {part.untyped_storage().data_ptr() for part in base.parameters()}
    saved: dict[int, torch.Tensor] = {}

    def save(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        base.model(input_ids=torch.ones((1, tokens), dtype=torch.long), use_cache=False)
    return sum(one.untyped_storage().nbytes() for pointer, one in saved.items() if pointer not in parameters)


def in_estimate(model: Any, targets: tuple[str, ...], tokens: int) -> int:
    """The same, by the estimate."""
    plan = Plan(method="lora", rank=4, targets=targets, max_tokens=tokens, precision="fp32", checkpointing=False)
    decoder = Decoder(shape_of(model), plan, Meter(Heap()), 1 << 20)
    loss, logits = decoder.forward()
    live = decoder.meter.live["activations"]
    del loss, logits
    return live
