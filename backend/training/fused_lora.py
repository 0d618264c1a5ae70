"""LoRA layers with fewer passes over memory: one product with the base weight, and the
adapter's added into it.

peft's own forward allocates several tensors of the layer's output size where one
suffices. This computes the same numbers: the adapter's products are in the base's
precision, as under autocast, and its float32 weights get float32 gradients. Used only
for plain LoRA without dropout, on a plain linear layer or on one with 4-bit weights
(QLoRA), whose products are in its own precision and whose weights backward unpacks
again.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from backend.models import four_bit

if TYPE_CHECKING:
    import torch


def fuse(model: Any) -> int:
    """Replaces the forward of every suitable LoRA layer of `model`; returns their
    number.
    """
    layers = [module for module in model.modules() if _is_suitable(module)]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    return len(layers)


def _is_suitable(module: Any) -> bool:
    from torch import nn

    return (
        (type(module), type(getattr(module, "base_layer", None))) in _layers()
        and list(module.lora_A) == ["default"]
        and isinstance(module.lora_dropout["default"], nn.Identity)
        and not module.lora_variant
        and not module.lora_bias["default"]
        and not module.fan_in_fan_out
    )


@lru_cache(maxsize=1)
def _layers() -> set[tuple[type, type]]:
    """The types of an adapter and of the layer below it, of those that can be fused."""
    from peft.tuners import lora
    from torch import nn

    layers: set[tuple[type, type]] = {(lora.Linear, nn.Linear)}
    if four_bit.is_possible():
        from bitsandbytes.nn import Linear4bit

        layers.add((lora.Linear4bit, Linear4bit))
    return layers


def _forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    base = layer.base_layer
    if layer.disable_adapters or layer.merged:
        return type(layer).forward(layer, x)  # type: ignore[no-any-return]
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    state = getattr(base.weight, "quant_state", None)  # of 4-bit weights
    dtype = base.compute_dtype if state else base.weight.dtype
    out: torch.Tensor = _function().apply(
        x, base.weight, base.bias, down, up, layer.scaling["default"], dtype, state
    )
    return out.to(x.dtype) if state else out


@lru_cache(maxsize=1)
def _function() -> Any:
    import torch

    class LoraLinear(torch.autograd.Function):
        """x W' + b + s (x A') B' for x (..., in), W (out, in), A (rank, in), B (out,
        rank); W and b are frozen. dtype: of the products. state: what W is unpacked
        with if it is in 4-bit, else None.
        """

        @staticmethod
        def forward(
            ctx: Any,
            x: torch.Tensor,
            weight: torch.Tensor,
            bias: torch.Tensor | None,
            down: torch.Tensor,
            up: torch.Tensor,
            scaling: float,
            dtype: torch.dtype,
            state: Any,
        ) -> torch.Tensor:
            flat = x.reshape(-1, x.shape[-1]).to(dtype)
            down, up = down.to(dtype), (up * scaling).to(dtype)
            with torch.autocast(
                x.device.type, enabled=False
            ):  # whose precision need not be that of 4-bit products
                narrow = flat @ down.t()
                output = _product(flat, weight, bias, state).addmm_(narrow, up.t())
            ctx.save_for_backward(flat, weight, down, up, narrow)
            ctx.scaling, ctx.shape, ctx.dtype, ctx.state = (
                scaling,
                x.shape,
                x.dtype,
                state,
            )
            return output.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(
            ctx: Any, *upstream: torch.Tensor
        ) -> tuple[torch.Tensor | None, ...]:
            flat, weight, down, up, narrow = ctx.saved_tensors
            grad = upstream[0].reshape(-1, upstream[0].shape[-1]).to(flat.dtype)
            grad_narrow = grad @ up
            for_down = (grad_narrow.t() @ flat).float()
            for_up = (grad.t() @ narrow).float().mul_(ctx.scaling)
            for_x = None
            if ctx.needs_input_grad[0]:
                for_x = (grad @ _unpacked(weight, ctx.state, grad.dtype)).addmm_(
                    grad_narrow, down
                )
                for_x = for_x.view(ctx.shape).to(ctx.dtype)
            return for_x, None, None, for_down, for_up, None, None, None

    return LoraLinear


def _product(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, state: Any
) -> torch.Tensor:
    """x W' + b. state: see `LoraLinear`."""
    import torch

    if state is None:
        return torch.nn.functional.linear(x, weight, bias)
    import bitsandbytes

    bias = None if bias is None else bias.to(x.dtype)
    output: torch.Tensor = bitsandbytes.matmul_4bit(
        x, weight, bias=bias, quant_state=state
    )
    return output


def _unpacked(weight: torch.Tensor, state: Any, dtype: torch.dtype) -> torch.Tensor:
    """W in `dtype`. state: see `LoraLinear`."""
    if state is None:
        return weight
    from bitsandbytes.functional import dequantize_4bit

    unpacked: torch.Tensor = dequantize_4bit(weight, state)
    return unpacked.to(dtype)
