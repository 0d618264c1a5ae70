"""Peak memory of training, by part, before anything is loaded.

On a GPU the total is what `nvidia-smi` shows for the process: the memory that PyTorch's
allocator reserves, and the CUDA context. On the processor it is the peak resident set
size of the process: tensors and programs. Evaluation is not a part of its own: its
forward pass uses batches of the same size and saves nothing for a gradient, so it needs
less than a training step.
"""

from typing import Any, Literal

from backend.estimate import step
from backend.estimate.architecture import Architecture
from backend.estimate.operations import FLOAT
from backend.estimate.plan import EAGER_ATTENTION_LIMIT, Plan
from backend.records.base import Record
from backend.records.machine import Hardware, available, cuda_context_mib, nvidia_gpu
from backend.records.units import MIB

Device = Literal["cuda", "mps", "cpu"]
Badge = Literal["yes", "tight", "no", "unknown"]

# MiB: Python with torch, transformers, peft and trl, and their own memory while they
# run (from the runs of tests/benchmarks/memory_on_processor.py).
PROGRAMS_MIB = 740.0
# The worst measured runs needed 7.4% more than predicted on a GPU and 9.1% on a
# processor (tests/benchmarks/memory_estimate.py and memory_on_processor.py).
MARGIN = 1.1
# On a processor 16-bit weights are memory-mapped from the file; weights in another
# format come on top of it.
_FILE_WIDTH = 2


class Memory(Record):
    """MiB in total and by part; `device` is where the model would be trained."""

    device: Device
    total_mib: float
    parts: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """{"device", "total_mib", "parts": {name: MiB}}, rounded to a tenth."""
        parts = {name: round(value, 1) for name, value in self.parts.items()}
        return {
            "device": self.device,
            "total_mib": round(self.total_mib, 1),
            "parts": parts,
        }


class Fit(Record):
    """Whether it fits; "tight" if only the safety margin is missing, "unknown" if the
    model is not modeled: then it needs at least `needs_mib`, and a dry run decides.
    """

    badge: Badge
    needs_mib: float
    has_mib: float

    @property
    def fits(self) -> bool:
        return self.badge != "no"


def device_for(hardware: Hardware, plan: Plan) -> Device:
    """Where `plan` would run. fp16 and FlashAttention need a GPU, so they imply one."""
    if nvidia_gpu(hardware) is not None:
        return "cuda"
    if hardware.unified_memory:
        return "mps"
    return (
        "cuda"
        if plan.precision == "fp16" or plan.attention == "flash_attention_2"
        else "cpu"
    )


def memory(
    architecture: Architecture, plan: Plan, hardware: Hardware, quick: bool = False
) -> Memory:
    """The peak memory of a training run; `quick` as in `step.peak`."""
    device = device_for(hardware, plan)
    gpu = nvidia_gpu(hardware)
    capability = gpu.compute_capability if gpu else None
    if not architecture.is_modeled:
        # A lower limit: the weights alone. Linear layers take half a byte a parameter
        # for QLoRA.
        linear = architecture.linear_params if plan.method == "qlora" else 0
        width = FLOAT if plan.method == "full" else plan.width
        weights = (linear // 2 + (architecture.params - linear) * width) / MIB
        return Memory(device=device, total_mib=weights, parts={"weights": weights})
    plan = (
        plan.model_copy(update={"attention": "eager"})
        if architecture.is_eager_only
        else on_device(plan, device)
    )
    hopper = capability is not None and capability[0] >= 9
    target: step.Target = (
        "processor" if device == "cpu" else "hopper" if hopper else "gpu"
    )
    peak = step.peak(architecture, plan, target=target, quick=quick)
    parts = {name: size / MIB for name, size in peak.parts.items() if size}
    parts["fragmentation"] = (peak.reserved - peak.allocated) / MIB
    if device == "cpu":
        parts["programs"] = PROGRAMS_MIB
        if plan.method != "lora" or plan.precision == "fp32":
            parts["model file"] = architecture.params * _FILE_WIDTH / MIB
    else:
        parts |= (
            {"programs": PROGRAMS_MIB}
            if device == "mps"
            else {"CUDA context": cuda_context_mib(capability)}
        )
    return Memory(device=device, total_mib=sum(parts.values()), parts=parts)


def on_device(plan: Plan, device: Device) -> Plan:
    """`plan` with the attention that trains on `device`: without an NVIDIA GPU eager
    for short rows, as backend/training sets it. On a Mac always, because torch's fused
    attention has no gradients there, so that the scores are stored.
    """
    if device == "cuda":
        return plan
    eager = device == "mps" or plan.max_tokens <= EAGER_ATTENTION_LIMIT
    return plan.model_copy(update={"attention": "eager" if eager else "sdpa"})


def fit(peak: Memory, hardware: Hardware, modeled: bool = True) -> Fit:
    """Whether `peak` fits on `hardware`; never if it needs a GPU and there is none.
    modeled: see `Fit`.
    """
    has = available(hardware)
    if not modeled:
        return Fit(badge="unknown", needs_mib=peak.total_mib, has_mib=has)
    if peak.device == "cuda" and nvidia_gpu(hardware) is None:
        has = 0.0
    badge: Badge = (
        "yes"
        if peak.total_mib * MARGIN <= has
        else "tight"
        if peak.total_mib <= has
        else "no"
    )
    return Fit(badge=badge, needs_mib=peak.total_mib, has_mib=has)
