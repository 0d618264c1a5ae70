"""Training steps on a simulated card: the highest memory, and what it was for.

Two steps, because the optimizer's state is there only from the end of the first on, and where it comes to lie decides
what of the memory stays usable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend.estimate.allocator import Allocator, Heap
from backend.estimate.architecture import Architecture
from backend.estimate.decoder import Decoder
from backend.estimate.operations import FLOAT
from backend.estimate.plan import Plan
from backend.estimate.tape import Leaf, Meter, Tensor
from backend.records.units import MIB

Place = Literal["card", "hopper", "processor"]

# cuBLAS takes 8 MiB + 128 KiB for each thread that multiplies, forward and backward (ATen/cuda/CublasHandlePool.cpp:
# `:4096:2:16:8`); on Hopper and newer 32 MiB.
_WORKSPACE: dict[Place, int] = {"card": 8 * MIB + 128 * 1024, "hopper": 32 * MIB, "processor": 0}
_LOSS_VALUES: dict[Place, int] = {
    "card": 1 << 26,
    "hopper": 1 << 26,
    "processor": 1 << 20,
}  # backend/training/loss.py
_EIGHT_BIT_BLOCK = 256  # bitsandbytes keeps one fp32 scale for each 256 numbers of 8-bit state
_EIGHT_BIT_FROM = 4096  # and 32-bit state for tensors that are smaller


@dataclass(frozen=True)
class Peak:
    """Bytes at the highest moment of a step: what the tensors needed, by part, and what was reserved."""

    reserved: int
    allocated: int
    parts: dict[str, int]


def written(architecture: Architecture, plan: Plan) -> int:
    """Bytes of all tensors that one step makes: a measure of its memory traffic.

    Every layer of a kind makes the same, so it is taken from steps of two layers and of one more of each kind.
    """

    def of(attending: int, others: int) -> int:
        which = None if architecture.attention_layers is None else tuple(range(attending))
        layers = {"num_layers": attending + others, "attention_layers": which}
        return _written(architecture.model_copy(update=layers), plan)

    two, attending = of(2, 0), architecture.attending
    others = architecture.num_layers - attending
    more = (of(2, 1) - two) * others if others else 0
    return two + (of(3, 0) - two) * (attending - 2) + more


def _written(architecture: Architecture, plan: Plan) -> int:
    decoder = Decoder(architecture, plan, Meter(Heap()), _LOSS_VALUES["card"])
    before = decoder.meter.written
    workspaces = [_workspace(decoder, "card")]
    loss, kept = decoder.forward()
    workspaces += [_workspace(decoder, "card")]
    decoder.tape.backward(loss)
    del kept, workspaces
    return decoder.meter.written - before


def peak(architecture: Architecture, plan: Plan, *, place: Place = "card", quick: bool = False) -> Peak:
    """The highest memory of a training at `place`, without the CUDA context.

    quick: one step with the optimizer's state there from the start. `allocated` and `parts` are the same; `reserved`
    is mostly within 1 %.
    """
    meter = Meter(Heap() if place == "processor" else Allocator())
    decoder = Decoder(architecture, plan, meter, _LOSS_VALUES[place])
    state = _state(decoder) if quick else []
    workspaces: list[Tensor] = []
    for step in range(1 if quick else 2):
        workspaces += [_workspace(decoder, place)] if step == 0 else []
        loss, kept = decoder.forward()
        workspaces += [_workspace(decoder, place)] if step == 0 else []
        decoder.tape.backward(loss)
        state = state or _state(decoder)
        _step(decoder)
        del loss, kept
    del state, workspaces
    return Peak(meter.allocator.peak_reserved, meter.allocator.peak_allocated, meter.parts)


def _state(decoder: Decoder) -> list[Tensor]:
    return [moment for tensor in decoder.weights.learning for moment in _moments(decoder, tensor)]


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


def _workspace(decoder: Decoder, place: Place) -> Tensor:
    with decoder.meter.purpose("cuBLAS workspace"):
        return decoder.tape.new(_WORKSPACE[place], 1)
