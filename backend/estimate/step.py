"""A training step on a simulated card: the highest memory, and what it was for.

The optimizer's state is there from the start, as in every step but the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.estimate.allocator import MIB
from backend.estimate.architecture import Architecture
from backend.estimate.decoder import Decoder
from backend.estimate.operations import FLOAT
from backend.estimate.plan import Plan
from backend.estimate.tape import Leaf, Meter, Tensor

# cuBLAS takes 8 MiB + 128 KiB for each thread that multiplies, forward and backward (ATen/cuda/CublasHandlePool.cpp:
# `:4096:2:16:8`); on Hopper and newer 32 MiB.
_WORKSPACE = 4096 * 2 * 1024 + 16 * 8 * 1024
_WORKSPACE_HOPPER = 32 * MIB
_EIGHT_BIT_BLOCK = 256  # bitsandbytes keeps one fp32 scale for each 256 numbers of 8-bit state
_EIGHT_BIT_FROM = 4096  # and 32-bit state for tensors that are smaller


@dataclass(frozen=True)
class Peak:
    """Bytes at the highest moment of a step: what the tensors needed, by part, and what was reserved."""

    reserved: int
    allocated: int
    parts: dict[str, int]
    written: int  # bytes of all tensors that one step makes


def peak(architecture: Architecture, plan: Plan, *, hopper: bool = False) -> Peak:
    """The highest memory of a training step, without the CUDA context."""
    meter = Meter()
    decoder = Decoder(architecture, plan, meter)
    state = [moment for tensor in decoder.weights.learning for moment in _moments(decoder, tensor)]
    before = meter.written
    workspaces = [_workspace(decoder, hopper)]
    loss, kept = decoder.forward()
    workspaces.append(_workspace(decoder, hopper))
    decoder.tape.backward(loss)
    _step(decoder)
    allocator, written = meter.allocator, meter.written - before
    del loss, kept, state, workspaces
    return Peak(allocator.peak_reserved, allocator.peak_allocated, meter.parts, written)


def _moments(decoder: Decoder, tensor: Tensor) -> list[Tensor]:
    """AdamW's two moments of a parameter: as wide as it, or in 8 bits with a scale for each block (bitsandbytes)."""
    tape, count = decoder.tape, tensor.count
    with tape.meter.purpose("optimizer"):
        if decoder.plan.optimizer == "adamw":
            return [tape.new(count, tensor.width) for _ in range(2)]
        if count < _EIGHT_BIT_FROM:
            return [tape.new(count, FLOAT) for _ in range(2)]
        scales = -(-count // _EIGHT_BIT_BLOCK)
        return [tape.new(*size) for _ in range(2) for size in ((count, 1), (scales, FLOAT))]


def _step(decoder: Decoder) -> None:
    """The optimizer's step. Tensor by tensor it takes a square root of each moment (torch._foreach_sqrt)."""
    tape, plan = decoder.tape, decoder.plan
    if plan.full_logits and plan.optimizer == "adamw":
        with tape.meter.purpose("optimizer"):
            roots = [tape.new(tensor.count, tensor.width) for tensor in decoder.weights.learning]
            del roots
    for tensor in decoder.weights.learning:
        assert isinstance(tensor.node, Leaf)
        tensor.node.gradient = None


def _workspace(decoder: Decoder, hopper: bool) -> Tensor:
    with decoder.meter.purpose("cuBLAS workspace"):
        return decoder.tape.new(_WORKSPACE_HOPPER if hopper else _WORKSPACE, 1)
