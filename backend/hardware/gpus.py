"""NVIDIA GPUs, read through NVML, the driver's library. A broken driver is reported, never raised."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backend.records.specs import Gpu, MachineProblem
from backend.records.units import MIB
from backend.settings import on_zero_gpu

log = logging.getLogger(__name__)

_NO_DRIVER = ("LibraryNotFound", "DriverNotLoaded")


class MemoryUser(NamedTuple):
    """Another program and the GPU memory (MiB) that it uses."""

    gpu: str
    program: str
    mib: int


@dataclass
class NvidiaGpus:
    """The GPUs, the other programs that use their memory, and problems with the driver."""

    gpus: tuple[Gpu, ...] = ()
    users: list[MemoryUser] = field(default_factory=list)
    problems: list[MachineProblem] = field(default_factory=list)
    driver: str = ""


def read_nvidia() -> NvidiaGpus:
    """The NVIDIA GPUs of this machine. A missing driver is not a problem: then there is no GPU."""
    if on_zero_gpu():
        return NvidiaGpus()
    try:
        import pynvml
    except Exception:
        log.info("pynvml is not installed", exc_info=True)
        return NvidiaGpus()
    try:
        pynvml.nvmlInit()
    except Exception as error:
        return _no_gpus(error)
    try:
        return _read(pynvml)
    except Exception as error:
        log.warning("NVML failed", exc_info=True)
        return NvidiaGpus(problems=[_driver_problem(error)])
    finally:
        try:
            pynvml.nvmlShutdown()
        except Exception:
            log.warning("nvmlShutdown failed", exc_info=True)


def most_free_first() -> list[str]:
    """The indices of the NVIDIA GPUs, the one with the most free memory (which estimates are for) first.

    In CUDA_VISIBLE_DEVICES they are valid with CUDA_DEVICE_ORDER=PCI_BUS_ID, which is NVML's order.
    """
    gpus = read_nvidia().gpus
    return [str(index) for index in sorted(range(len(gpus)), key=lambda index: -gpus[index].memory_free_mib)]


def _no_gpus(error: Exception) -> NvidiaGpus:
    if any(kind in type(error).__name__ for kind in _NO_DRIVER):
        log.info("no NVIDIA driver: %s", error)
        return NvidiaGpus()
    log.warning("nvmlInit failed", exc_info=True)
    return NvidiaGpus(problems=[_driver_problem(error)])


def _driver_problem(error: Exception) -> MachineProblem:
    return MachineProblem(
        what="The driver of the graphics card does not work properly.",
        why=f"It reports: {str(error)[:200] or type(error).__name__}.",
        next="Restart the computer. If that does not help, reinstall the NVIDIA driver.",
    )


def _read(pynvml: Any) -> NvidiaGpus:
    found = NvidiaGpus(driver=_text(_try(pynvml.nvmlSystemGetDriverVersion, default="")))
    gpus = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            gpu, used_by = _gpu(pynvml, handle), _used_by(pynvml, handle)
        except Exception as error:
            log.warning("GPU %d can't be read", index, exc_info=True)
            found.problems.append(_driver_problem(error))
            continue
        gpus.append(gpu)
        found.users += [MemoryUser(gpu.name, _program(pid), mib) for pid, mib in used_by.items()]
    found.gpus = tuple(gpus)
    return found


def _gpu(pynvml: Any, handle: Any) -> Gpu:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    capability = _try(pynvml.nvmlDeviceGetCudaComputeCapability, handle, default=None)
    return Gpu(
        name=_text(_try(pynvml.nvmlDeviceGetName, handle, default="NVIDIA graphics card")),
        vendor="nvidia",
        memory_total_mib=memory.total // MIB,
        memory_free_mib=memory.free // MIB,
        compute_capability=(int(capability[0]), int(capability[1])) if capability else None,
    )


def _used_by(pynvml: Any, handle: Any) -> dict[int, int]:
    """MiB by the id of each other process; 0 if the driver does not know."""
    processes = [
        *_try(pynvml.nvmlDeviceGetComputeRunningProcesses, handle, default=[]),
        *_try(pynvml.nvmlDeviceGetGraphicsRunningProcesses, handle, default=[]),
    ]
    return {one.pid: (one.usedGpuMemory or 0) // MIB for one in processes if one.pid != os.getpid()}


def _program(pid: int) -> str:
    """The program's name as the system's tools show it; unknown if it runs outside of this container."""
    import psutil

    try:
        process = psutil.Process(pid)
        return "a training run of this app" if "jobs.worker" in process.cmdline() else process.name()
    except psutil.Error:
        return f"a program (process {pid})"


def _try(function: Any, *arguments: Any, default: Any) -> Any:
    try:
        return function(*arguments)
    except Exception:
        log.warning("%s failed", getattr(function, "__name__", function), exc_info=True)
        return default


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
