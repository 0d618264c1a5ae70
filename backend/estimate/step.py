"""Simulates training steps and finds the peak memory, by part.

Two steps are needed: the optimizer's state exists only from the end of the first step,
and its position in memory decides how much of the rest stays usable.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from backend.estimate.allocator import Allocator, Heap
from backend.estimate.architecture import Architecture
from backend.estimate.decoder import Decoder
from backend.estimate.operations import FLOAT
from backend.estimate.plan import Plan
from backend.estimate.tape import Leaf, Meter, Tensor
from backend.records.units import MIB

Target = Literal["gpu", "hopper", "processor"]

# cuBLAS allocates 8 MiB + 128 KiB for each thread that multiplies, forward and backward
# (ATen/cuda/CublasHandlePool.cpp: `:4096:2:16:8`); on Hopper and newer 32 MiB.
_WORKSPACE: dict[Target, int] = {
    "gpu": 8 * MIB + 128 * 1024,
    "hopper": 32 * MIB,
    "processor": 0,
}
_LOSS_VALUES: dict[Target, int] = {
    "gpu": 1 << 26,
    "hopper": 1 << 26,
    "processor": 1 << 20,
}  # backend/training/loss.py
_EIGHT_BIT_BLOCK = (
    256  # bitsandbytes has one fp32 scale per 256 numbers of 8-bit state,
)
_EIGHT_BIT_FROM = 4096  # and 32-bit state for smaller tensors


@dataclass(frozen=True)
class Peak:
    """Bytes at the peak of a step: allocated to tensors (also by part), and reserved."""

    reserved: int
    allocated: int
    parts: dict[str, int]


@lru_cache(maxsize=2048)
def written(architecture: Architecture, plan: Plan) -> int:
    """Bytes of all tensors that one step creates: a measure of its memory traffic. All
    layers of a type create the same, so it is computed from steps with two layers and
    one more of each type.
    """

    def with_layers(attention: int, other: int) -> int:
        indices = (
            None if architecture.attention_layers is None else tuple(range(attention))
        )
        layers = {"num_layers": attention + other, "attention_layers": indices}
        decoder = Decoder(
            architecture.model_copy(update=layers),
            plan,
            Meter(Heap()),
            _LOSS_VALUES["gpu"],
        )
        before = decoder.meter.written
        workspaces = [_workspace(decoder, "gpu")]
        loss, kept = decoder.forward()
        workspaces += [_workspace(decoder, "gpu")]
        decoder.tape.backward(loss)
        del kept, workspaces
        return decoder.meter.written - before

    two, attention = with_layers(2, 0), architecture.attending
    other = architecture.num_layers - attention
    more = (with_layers(2, 1) - two) * other if other else 0
    return two + (with_layers(3, 0) - two) * (attention - 2) + more


@lru_cache(maxsize=2048)
def peak(
    architecture: Architecture,
    plan: Plan,
    *,
    target: Target = "gpu",
    quick: bool = False,
) -> Peak:
    """The peak memory of training, without the CUDA context.

    quick: simulate one step, with the optimizer's state from the start; only `reserved`
        differs, mostly within 1%
    """
    meter = Meter(Heap() if target == "processor" else Allocator())
    decoder = Decoder(architecture, plan, meter, _LOSS_VALUES[target])
    state = _state(decoder) if quick else []
    workspaces: list[Tensor] = []
    for step in range(1 if quick else 2):
        workspaces += [_workspace(decoder, target)] if step == 0 else []
        loss, kept = decoder.forward()
        workspaces += [_workspace(decoder, target)] if step == 0 else []
        decoder.tape.backward(loss)
        state = state or _state(decoder)
        _step(decoder)
        del loss, kept
    del state, workspaces
    return Peak(
        meter.allocator.peak_reserved, meter.allocator.peak_allocated, meter.parts
    )


def _state(decoder: Decoder) -> list[Tensor]:
    full = decoder.plan.method == "full"  # then the embeddings come first
    learning = enumerate(decoder.weights.learning)
    return [
        moment
        for at, tensor in learning
        for moment in _moments(decoder, tensor, full and at == 0)
    ]


def _moments(decoder: Decoder, tensor: Tensor, embeddings: bool) -> list[Tensor]:
    """AdamW's two moments of a parameter: of the same width, or in 8 bits with a scale
    per block (bitsandbytes), but for embeddings, of which transformers keeps them in 32
    bits.
    """
    tape, count = decoder.tape, tensor.count
    with tape.meter.purpose("optimizer"):
        if decoder.plan.optimizer == "adamw":
            return [tape.new(count, tensor.width) for _ in range(2)]
        if count < _EIGHT_BIT_FROM or embeddings:
            return [tape.new(count, FLOAT) for _ in range(2)]
        scales = -(-count // _EIGHT_BIT_BLOCK)
        return [
            tape.new(*size) for _ in range(2) for size in ((count, 1), (scales, FLOAT))
        ]


def _step(decoder: Decoder) -> None:
    """The optimizer's step, which without fusion takes the root of every second moment
    (torch._foreach_sqrt).
    """
    tape, plan = decoder.tape, decoder.plan
    if plan.full_logits and plan.optimizer == "adamw":
        with tape.meter.purpose("optimizer"):
            roots = [
                tape.new(tensor.count, tensor.width)
                for tensor in decoder.weights.learning
            ]
            del roots
    for tensor in decoder.weights.learning:
        assert isinstance(tensor.node, Leaf)
        tensor.node.gradient = None


def _workspace(decoder: Decoder, target: Target) -> Tensor:
    with decoder.meter.purpose("cuBLAS workspace"):
        return decoder.tape.new(_WORKSPACE[target], 1)
