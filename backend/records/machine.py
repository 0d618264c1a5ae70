"""What a machine has, and how much of it training can use. Memory and disk in MiB."""

from collections.abc import Iterable
from typing import Literal

from backend.records.base import Record

# Measured: 140.9 MiB in every one of the 49 runs on a Tesla T4
# (tests/data/measured_vram_t4.json). Newer GPUs have more multiprocessors and larger
# contexts; their value is an allowance, not a measurement.
CONTEXT_T4 = 140.9
_CONTEXT_OTHER = 450.0
_UNIFIED_SHARE = 0.75  # of an Apple machine's memory, for its GPU (Metal's recommendedMaxWorkingSetSize)
_SYSTEM_RESERVE_MIB = 500  # for the system and the page on a computer without a GPU


class Gpu(Record):
    """A GPU that training can use. Memory in MiB; compute_capability as defined by
    NVIDIA, None for other vendors. index: its number in `nvidia-smi`. shares_memory:
    its memory is the computer's (DGX Spark, Jetson).
    """

    name: str
    vendor: Literal["nvidia", "apple", "amd", "other"] = "nvidia"
    memory_total_mib: int
    memory_free_mib: int
    compute_capability: tuple[int, int] | None = None
    index: int | None = None
    shares_memory: bool = False


class Cpu(Record):
    """The processor: cores that this process may use; whether its bf16 arithmetic is
    native (not emulated).
    """

    cores: int = 1
    bf16: bool = False


class Hardware(Record):
    """A machine as `doctor --json` prints it and `--hardware FILE` reads it. Memory and
    disk in MiB.
    """

    platform: str = "linux"
    gpus: tuple[Gpu, ...] = ()
    cpu: Cpu = Cpu()
    memory_total_mib: int = 8192
    memory_available_mib: int = 6144
    unified_memory: bool = False
    disk_free_mib: int = 50_000
    hosted: Literal["space", "zero_gpu", "colab"] | None = None


class MachineProblem(Record):
    """A problem with a machine, its cause, and what to do, in plain words.
    blocks_training: training would not use what the person expects, so it is refused
    until the problem is solved. missing_part: something is not installed.
    """

    what: str
    why: str = ""
    next: str = ""
    blocks_training: bool = False
    missing_part: bool = False


def best_first(gpus: Iterable[Gpu]) -> list[Gpu]:
    """The NVIDIA GPUs, the one that training uses first: those with tensor cores
    (capability 7.0), then the one with the most free memory, in GiB so that equal cards
    keep their order.
    """
    return sorted(
        (gpu for gpu in gpus if gpu.vendor == "nvidia"),
        key=lambda gpu: (
            (gpu.compute_capability or (7, 0)) < (7, 0),
            -(gpu.memory_free_mib // 1024),
        ),
    )


def nvidia_gpu(hardware: Hardware) -> Gpu | None:
    """The NVIDIA GPU that training uses; None if there is none."""
    return next(iter(best_first(hardware.gpus)), None)


def cuda_context_mib(capability: tuple[int, int] | None) -> float:
    """MiB that CUDA itself takes of a GPU of this compute capability."""
    return (
        _CONTEXT_OTHER if capability is not None and capability[0] >= 8 else CONTEXT_T4
    )


def available(hardware: Hardware) -> float:
    """MiB that training can use on `hardware`."""
    gpu = nvidia_gpu(hardware)
    if gpu is not None:
        return float(gpu.memory_free_mib)
    if hardware.unified_memory:
        return min(
            hardware.memory_available_mib, hardware.memory_total_mib * _UNIFIED_SHARE
        )
    return max(0.0, hardware.memory_available_mib - _SYSTEM_RESERVE_MIB)
