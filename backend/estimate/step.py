"""Two optimizer steps on a simulated card: the highest memory, and what it was for.

Two, because the optimizer's state is there only from the end of the first on, and the highest moment comes after.
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


class _Adam:
    """AdamW: two moments a parameter, as wide as it, or in 8 bits (bitsandbytes)."""

    def __init__(self, decoder: Decoder, fused: bool) -> None:
        self.decoder, self.fused = decoder, fused
        self.state: list[Tensor] = []

    def step(self) -> None:
        tape, learning = self.decoder.tape, self.decoder.weights.learning
        with tape.meter.purpose("optimizer"):
            if not self.state:
                for tensor in learning:
                    self._add_state(tensor)
            if not self.fused and self.decoder.plan.optimizer == "adamw":
                roots = [tape.new(tensor.count, tensor.width) for tensor in learning]  # torch._foreach_sqrt
                del roots
        for tensor in learning:
            assert isinstance(tensor.node, Leaf)
            tensor.node.gradient = None

    def _add_state(self, tensor: Tensor) -> None:
        tape, count = self.decoder.tape, tensor.count
        for _ in range(2):
            if self.decoder.plan.optimizer == "adamw":
                self.state.append(tape.new(count, tensor.width))
            elif count < _EIGHT_BIT_FROM:
                self.state.append(tape.new(count, FLOAT))
            else:
                self.state.append(tape.new(count, 1))
                self.state.append(tape.new(-(-count // _EIGHT_BIT_BLOCK), FLOAT))


def peak(architecture: Architecture, plan: Plan, *, hopper: bool = False, steps: int = 2) -> Peak:
    """The highest memory of a training step, without the CUDA context."""
    meter = Meter()
    decoder = Decoder(architecture, plan, meter)
    adam = _Adam(decoder, fused=not plan.full_logits)
    workspaces: list[Tensor] = []
    before = 0
    for _ in range(steps):
        before = meter.written
        _workspace(decoder, workspaces, 1, hopper)
        loss, kept = decoder.forward()
        _workspace(decoder, workspaces, 2, hopper)
        decoder.tape.backward(loss)
        adam.step()
        del loss, kept
    allocator = meter.allocator
    return Peak(allocator.peak_reserved, allocator.peak_allocated, meter.parts, meter.written - before)


def _workspace(decoder: Decoder, workspaces: list[Tensor], needed: int, hopper: bool) -> None:
    if len(workspaces) < needed:
        with decoder.meter.purpose("cuBLAS workspace"):
            workspaces.append(decoder.tape.new(_WORKSPACE_HOPPER if hopper else _WORKSPACE, 1))
