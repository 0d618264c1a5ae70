"""Peak memory of a training, by parts, before anything is loaded.

On a graphics card the total is what `nvidia-smi` shows for the process: what PyTorch's allocator reserves and the
CUDA context. On the processor it is the most that the process holds (resident set size): tensors and programs.
Evaluation is no part of its own: it runs the forward pass on batches of the same size and keeps nothing for a
gradient, so that it stays below the training step.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

from backend.estimate import step
from backend.estimate.architecture import Architecture
from backend.estimate.plan import EAGER_ATTENTION_LIMIT, Plan
from backend.records.specs import Gpu, Hardware, Record
from backend.records.units import MIB

Device = Literal["cuda", "mps", "cpu"]
Badge = Literal["yes", "tight", "no"]

# Measured: 140.9 MiB on every one of the 49 runs on a Tesla T4 (tests/data/measured_vram_t4.json). Newer cards have
# more multiprocessors and larger contexts; theirs is an allowance, not a measurement.
CONTEXT_T4 = 140.9
_CONTEXT_OTHER = 450.0
# MiB: Python with torch, transformers, peft and trl imported, and what they take as they run
# (from the runs of tests/benchmarks/memory_on_processor.py).
PROGRAMS_MIB = 740.0
# The worst measured runs needed 5.4 % more than predicted on a card and 9.1 % on a processor
# (tests/benchmarks/memory_estimate.py and memory_on_processor.py).
MARGIN = 1.1
# On a processor 16-bit weights are the file itself, seen as memory; weights of another kind lie beside it.
_FILE_WIDTH = 2
_UNIFIED_SHARE = 0.75  # of an Apple machine's memory, for its GPU (Metal's recommendedMaxWorkingSetSize)
_SYSTEM_RESERVE_MIB = 500  # left to the system and the page on a computer without a card


class Memory(Record):
    """MiB in all and by part; `device` is where the model would be trained."""

    device: Device
    total_mib: float
    parts: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """{"device", "total_mib", "parts": {name: MiB}}, rounded to a tenth."""
        parts = {name: round(value, 1) for name, value in self.parts.items()}
        return {"device": self.device, "total_mib": round(self.total_mib, 1), "parts": parts}


class Fit(Record):
    """Whether it fits: `tight` when only the margin of the estimate is missing."""

    badge: Badge
    needs_mib: float
    has_mib: float

    @property
    def fits(self) -> bool:
        return self.badge != "no"


def nvidia_gpu(hardware: Hardware) -> Gpu | None:
    """The NVIDIA card with the most free memory, which is the one to train on; None when there is none."""
    cards = [gpu for gpu in hardware.gpus if gpu.vendor == "nvidia"]
    return max(cards, key=lambda gpu: gpu.memory_free_mib, default=None)


def device_for(hardware: Hardware, plan: Plan) -> Device:
    """Where `plan` would run. fp16, 8-bit AdamW and FlashAttention exist on cards only, so they mean one."""
    if nvidia_gpu(hardware) is not None:
        return "cuda"
    if hardware.unified_memory:
        return "mps"
    for_cards = plan.precision == "fp16" or plan.optimizer == "adamw_8bit" or plan.attention == "flash_attention_2"
    return "cuda" if for_cards else "cpu"


@lru_cache(maxsize=2048)
def measure(architecture: Architecture, plan: Plan, place: step.Place, quick: bool) -> step.Peak:
    """The simulated step (see `step.peak`), remembered."""
    return step.peak(architecture, plan, place=place, quick=quick)


def memory(architecture: Architecture, plan: Plan, hardware: Hardware, quick: bool = False) -> Memory:
    """The peak memory of training `architecture` by `plan` on `hardware`. quick: see `step.peak`."""
    device = device_for(hardware, plan)
    gpu = nvidia_gpu(hardware)
    capability = gpu.compute_capability if gpu else None
    if device == "cpu":
        peak = measure(architecture, on_processor(plan), "processor", quick)
    else:
        hopper = capability is not None and capability[0] >= 9
        peak = measure(architecture, plan, "hopper" if hopper else "card", quick)
    parts = {name: size / MIB for name, size in peak.parts.items() if size}
    parts["fragmentation"] = (peak.reserved - peak.allocated) / MIB
    if device == "cpu":
        parts["programs"] = PROGRAMS_MIB
        if plan.method != "lora" or plan.precision == "fp32":
            parts["model file"] = architecture.params * _FILE_WIDTH / MIB
    else:
        other = capability is not None and capability[0] >= 8
        parts["CUDA context" if device == "cuda" else "programs"] = (
            PROGRAMS_MIB if device == "mps" else _CONTEXT_OTHER if other else CONTEXT_T4
        )
    return Memory(device=device, total_mib=sum(parts.values()), parts=parts)


def on_processor(plan: Plan) -> Plan:
    """`plan` as backend/training does it on a processor: plain attention for short rows."""
    return plan.model_copy(update={"attention": "eager" if plan.max_tokens <= EAGER_ATTENTION_LIMIT else "sdpa"})


def available(hardware: Hardware) -> float:
    """MiB that a training may use on `hardware`."""
    gpu = nvidia_gpu(hardware)
    if gpu is not None:
        return float(gpu.memory_free_mib)
    if hardware.unified_memory:
        return min(hardware.memory_available_mib, hardware.memory_total_mib * _UNIFIED_SHARE)
    return max(0.0, hardware.memory_available_mib - _SYSTEM_RESERVE_MIB)


def fit(needed: Memory, hardware: Hardware) -> Fit:
    """Whether `needed` fits on `hardware`; on a computer without the card that it is for, it does not."""
    has = available(hardware)
    if needed.device == "cuda" and nvidia_gpu(hardware) is None:
        has = 0.0
    badge: Badge = "yes" if needed.total_mib * MARGIN <= has else "tight" if needed.total_mib <= has else "no"
    return Fit(badge=badge, needs_mib=needed.total_mib, has_mib=has)
