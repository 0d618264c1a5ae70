"""The device that trains, its precision, and its memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from backend.errors import BadSetting, UnusableGpu
from backend.hardware import benchmark, gpu_memory
from backend.hardware.gpu_choice import HIDDEN, VARIABLE, read_choice
from backend.hardware.process import set_malloc
from backend.records.machine import cuda_context_mib
from backend.records.specs import Precision, TrainSettings
from backend.records.units import MIB
from backend.settings import PROGRAM

if TYPE_CHECKING:
    import torch

_MIN_SPEEDUP = (
    1.2  # how much faster bf16 must be on a processor to be worth its rounding
)
_RETURNED_FROM = 8 * MIB  # bytes
_M_MMAP_THRESHOLD = -3  # in malloc.h


def return_freed_memory() -> None:
    """Makes glibc return freed blocks of 8 MiB and more to the system at once.

    glibc starts with a threshold of 128 KiB but raises it to 32 MiB as large tensors
    come and go (mallopt(3)), and then keeps blocks into which other tensors do not fit.
    Measured with gradient checkpointing of gated delta nets (python -m
    tests.benchmarks.memory_on_processor qwen3_5_text, 8 rows of 768 tokens): without
    this 3,072 to 3,252 MiB at the peak and 390 tokens/s; with it 1,919 MiB and 225
    tokens/s; with a fixed 128 KiB 1,878 and 207. Other models gain too little.
    """
    set_malloc(_M_MMAP_THRESHOLD, _RETURNED_FROM)


@dataclass(frozen=True)
class Device:
    """kind: "cuda", "mps" or "cpu". precision: of the arithmetic; the trainable weights
    are always float32. four_bit: precision of products with 4-bit weights, "" for the
    same.
    """

    kind: str
    precision: Precision
    four_bit: Precision | Literal[""] = ""

    @property
    def dtype(self) -> torch.dtype:
        return _dtype(self.precision)

    @property
    def four_bit_dtype(self) -> torch.dtype:
        return _dtype(self.four_bit or self.precision)

    def autocast(self) -> AbstractContextManager[object]:
        """A context with matrix products in `dtype`; the float32 trainable weights are
        cast once per forward pass.
        """
        import torch

        return (
            nullcontext()
            if self.precision == "fp32"
            else torch.autocast(self.kind, dtype=self.dtype)
        )

    def wait(self) -> None:
        """Returns when everything that was given to the GPU is done, so that a clock
        can be read.
        """
        import torch

        if self.kind == "cuda":
            torch.cuda.synchronize()
        elif self.kind == "mps":
            torch.mps.synchronize()

    def memory_mib(self) -> int:
        """Memory in use now: on a GPU what torch reserved and the CUDA context, else
        this process's resident memory. On a Mac also Metal's buffers, which are not in
        it.
        """
        import psutil
        import torch

        if self.kind == "cuda":
            return int(torch.cuda.memory_reserved()) // MIB + _context_mib()
        return int(psutil.Process().memory_info().rss) // MIB + self._metal_mib()

    def peak_memory_mib(self) -> int:
        """The peak of `memory_mib` so far. Metal records none, but keeps what was freed
        until memory is short.
        """
        import torch

        if self.kind == "cuda":
            return int(torch.cuda.max_memory_reserved()) // MIB + _context_mib()
        return _peak_resident() // MIB + self._metal_mib()

    def _metal_mib(self) -> int:
        import torch

        return (
            int(torch.mps.driver_allocated_memory()) // MIB if self.kind == "mps" else 0
        )


def choose(settings: TrainSettings) -> Device:
    """The device to train on, with a precision that is fast and safe on it. bf16 on
    GPUs of compute capability 8 and newer (older ones only emulate it), else fp16; on a
    processor bf16 if a measurement of under a second shows that it is faster, else
    fp32. Raises BadSetting when the settings ask for a precision that the device lacks,
    UnusableGpu when there is a GPU that torch can't use.
    """
    import torch

    asked = None if settings.precision == "auto" else settings.precision
    if torch.cuda.is_available():
        _require_code(torch.cuda.get_device_capability(), torch.cuda.get_arch_list())
        return Device(
            "cuda",
            asked or ("bf16" if torch.cuda.get_device_capability()[0] >= 8 else "fp16"),
        )
    if torch.backends.mps.is_available():
        return Device(
            "mps",
            asked
            or ("bf16" if torch.backends.mps.is_macos_or_newer(14, 0) else "fp32"),
        )
    if gpus := read_choice()[1].devices:
        raise UnusableGpu(
            f"PyTorch can't use {gpus[0].gpu.name}.",
            "It finds no GPU, although the driver and this PyTorch should fit.",
            f"Restart the computer. If that does not help, set the environment variable {VARIABLE} to {HIDDEN} to "
            "train on the processor.",
        )
    if asked == "fp16":
        why = "It has no GPU, and processors do not compute in fp16."
        raise BadSetting(
            "This computer can't train in fp16.", why, "Set precision to auto."
        )
    precision: Precision = asked or (
        "bf16" if bf16_speedup() > _MIN_SPEEDUP else "fp32"
    )
    return Device(
        "cpu", precision, _four_bit(precision) if settings.method == "qlora" else ""
    )


def _require_code(capability: tuple[int, int], built_for: Sequence[str]) -> None:
    """Raises UnusableGpu unless torch has code for the GPU. built_for: as torch names
    it, "sm_86" or "compute_90". Code for one capability runs on newer ones of the same
    generation; "compute" is compiled for any newer one
    (https://docs.nvidia.com/cuda/cuda-c-programming-guide, binary and PTX
    compatibility).
    """
    for name in built_for:
        kind, _, digits = name.partition("_")
        least = divmod(int(re.sub(r"\D", "", digits)), 10)
        if least <= capability and (kind == "compute" or least[0] == capability[0]):
            return
    raise UnusableGpu(
        "The installed PyTorch has no code for this GPU.",
        f"The GPU has capability {capability[0]}.{capability[1]}; this PyTorch has code for {', '.join(built_for)}.",
        f"Start Apprentice again with {PROGRAM}: it installs the PyTorch that fits.",
    )


def _four_bit(precision: Precision) -> Precision:
    """fp32 if products with 4-bit weights are faster in it, else `precision`."""
    import importlib.util

    import torch

    if importlib.util.find_spec("bitsandbytes") is None:
        return precision
    faster = _seconds_of_four_bit(torch.float32) < _seconds_of_four_bit(
        _dtype(precision)
    )
    return "fp32" if faster else precision


def bf16_speedup() -> float:
    """How many times faster this processor multiplies bf16 than float32 matrices,
    measured in under a second.
    """
    import torch

    return benchmark.product_rate("cpu", torch.bfloat16) / benchmark.product_rate(
        "cpu", torch.float32
    )


def _seconds_of_four_bit(compute: torch.dtype) -> float:
    """Seconds of one product with a 4-bit matrix and its gradient, computed in
    `compute`. Measured because some builds of bitsandbytes are ten times slower in bf16
    on a processor.
    """
    import torch
    from bitsandbytes.nn import Linear4bit

    layer = Linear4bit(
        576, 1536, bias=False, compute_dtype=compute, quant_type="nf4"
    ).to("cpu")
    inputs = torch.ones(256, 576, dtype=compute, requires_grad=True)
    return benchmark.seconds("cpu", lambda: layer(inputs).sum().backward())


def _dtype(precision: Precision) -> torch.dtype:
    import torch

    return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[
        precision
    ]


@cache
def _context_mib() -> int:
    """MiB of this process on the GPU besides what torch reserved: from the driver, else
    the estimate's figure.
    """
    import torch

    card = torch.cuda.get_device_properties(0)
    used = gpu_memory.used_by_this_process_mib(str(card.uuid))
    if used is None:
        return round(cuda_context_mib((card.major, card.minor)))
    return max(0, used - int(torch.cuda.memory_reserved()) // MIB)


def _peak_resident() -> int:
    """Bytes. On Linux getrusage also counts what the process was forked from, up to its
    start: VmHWM does not.
    """
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return (
            int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
            * 1024
        )
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        peak if sys.platform == "darwin" else peak * 1024
    )  # macOS reports bytes, others kibibytes
