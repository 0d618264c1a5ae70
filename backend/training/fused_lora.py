"""LoRA layers with fewer passes over memory: one product with the base weight, and the adapter's added into it.

peft's own forward allocates several tensors of the layer's output size where one suffices. This computes the same
numbers: the adapter's products are in the base's precision, as under autocast, and its float32 weights get float32
gradients. Used only for plain LoRA on a plain linear layer without dropout.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def fuse(model: Any) -> int:
    """Replaces the forward of every suitable LoRA layer of `model`; returns their number."""
    layers = [module for module in model.modules() if _is_suitable(module)]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    return len(layers)


def _is_suitable(module: Any) -> bool:
    from peft.tuners.lora import Linear
    from torch import nn

    return (
        type(module) is Linear
        and type(module.base_layer) is nn.Linear
        and list(module.lora_A) == ["default"]
        and isinstance(module.lora_dropout["default"], nn.Identity)
        and not module.lora_variant
        and not module.lora_bias["default"]
        and not module.fan_in_fan_out
    )


def _forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    base = layer.base_layer
    if layer.disable_adapters or layer.merged:
        return type(layer).forward(layer, x)  # type: ignore[no-any-return]
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    output: torch.Tensor = _function().apply(x, base.weight, base.bias, down, up, layer.scaling["default"])
    return output


@lru_cache(maxsize=1)
def _function() -> Any:
    import torch

    class LoraLinear(torch.autograd.Function):
        """x W' + b + s (x A') B' for x (..., in), W (out, in), A (rank, in), B (out, rank); W and b are frozen."""

        @staticmethod
        def forward(
            ctx: Any,
            x: torch.Tensor,
            weight: torch.Tensor,
            bias: torch.Tensor | None,
            down: torch.Tensor,
            up: torch.Tensor,
            scaling: float,
        ) -> torch.Tensor:
            flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)
            down, up = down.to(weight.dtype), (up * scaling).to(weight.dtype)
            narrow = flat @ down.t()
            output = torch.nn.functional.linear(flat, weight, bias).addmm_(narrow, up.t())
            ctx.save_for_backward(flat, weight, down, up, narrow)
            ctx.scaling, ctx.shape, ctx.dtype = scaling, x.shape, x.dtype
            return output.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
            flat, weight, down, up, narrow = ctx.saved_tensors
            grad = upstream[0].reshape(-1, upstream[0].shape[-1]).to(weight.dtype)
            grad_narrow = grad @ up
            for_down = (grad_narrow.t() @ flat).float()
            for_up = (grad.t() @ narrow).float().mul_(ctx.scaling)
            for_x = None
            if ctx.needs_input_grad[0]:
                for_x = (grad @ weight).addmm_(grad_narrow, down).view(ctx.shape).to(ctx.dtype)
            return for_x, None, None, for_down, for_up, None

    return LoraLinear
