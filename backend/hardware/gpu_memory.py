"""The memory of the GPU that this process computes on, as its driver counts it, and
where a GPU never runs out.

Windows' driver moves a full GPU's memory into the computer's instead of failing, also
for Linux inside it (WSL; microsoft/WSL issues 10452 and 11050): everything then works,
ten times slower. torch fails in time if it is given a limit.
"""

import logging
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

from backend.records.units import MIB

log = logging.getLogger(__name__)


def spills() -> bool:
    """Whether GPU memory that runs out is taken from the computer's instead."""
    return sys.platform == "win32" or "microsoft" in platform.release().lower()


def stay_in_memory(kind: str) -> None:
    """Makes torch run out of memory where otherwise the computer would become slow:
    where a GPU spills, and on a Mac, which would write memory to the disk. kind:
    "cuda", "mps" or "cpu", on which this process computes.
    """
    import psutil
    import torch

    if kind == "cuda" and spills():
        torch.zeros(1, device="cuda")  # the context is no longer in what is free
        release(kind)
        card = torch.cuda.get_device_properties(0)
        free = free_mib(str(card.uuid))
        free = torch.cuda.mem_get_info()[0] // MIB if free is None else free
        held = torch.cuda.memory_reserved()  # by another model in this process
        torch.cuda.set_per_process_memory_fraction(
            min(1.0, (free * MIB + held) / card.total_memory)
        )
    elif kind == "mps":
        most = torch.mps.recommended_max_memory()
        torch.mps.set_per_process_memory_fraction(
            min(1.0, psutil.virtual_memory().available / most)
        )


def release(kind: str) -> None:
    """Frees memory that is no longer used. kind: as for `stay_in_memory`."""
    import gc

    import torch

    gc.collect()
    if kind == "cuda":
        torch.cuda.empty_cache()
    elif kind == "mps":
        torch.mps.empty_cache()


def free_mib(uuid: str) -> int | None:
    """MiB free on a GPU; None if the driver does not say. uuid: as torch gives it,
    without "GPU-".
    """
    return _ask(uuid, lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).free // MIB)


def used_by_this_process_mib(uuid: str) -> int | None:
    """MiB of a GPU that this process holds, its CUDA context included; None where the
    driver does not say, as on Windows and in most containers.
    """

    def used(nvml: Any, gpu: Any) -> int | None:
        ours = (
            each
            for each in nvml.nvmlDeviceGetComputeRunningProcesses(gpu)
            if each.pid == os.getpid()
        )
        return next(
            (int(each.usedGpuMemory // MIB) for each in ours if each.usedGpuMemory),
            None,
        )

    return _ask(uuid, used)


def _ask(uuid: str, question: Callable[[Any, Any], int | None]) -> int | None:
    try:
        import pynvml

        pynvml.nvmlInit()
        try:
            return question(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"))
        finally:
            pynvml.nvmlShutdown()
    except Exception:
        log.info("the driver does not tell the memory of %s", uuid, exc_info=True)
        return None
