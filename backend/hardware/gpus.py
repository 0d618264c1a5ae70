"""NVIDIA cards through NVML, the driver's own library. A broken driver is a sentence, never a crash."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backend.records.specs import Gpu, MachineProblem

log = logging.getLogger(__name__)

MIB = 1 << 20
_NO_DRIVER = ("LibraryNotFound", "DriverNotLoaded")


class MemoryUser(NamedTuple):
    """A program that holds memory (MiB) of a card."""

    card: str
    program: str
    mib: int


@dataclass
class NvidiaGpus:
    """The cards; who else holds their memory; and what went wrong."""

    gpus: tuple[Gpu, ...] = ()
    held: list[MemoryUser] = field(default_factory=list)
    problems: list[MachineProblem] = field(default_factory=list)
    driver: str = ""


def read_nvidia() -> NvidiaGpus:
    """The NVIDIA cards of this machine. No driver at all is no problem: then there is no card."""
    try:
        import pynvml
    except Exception:
        log.info("pynvml is not installed", exc_info=True)
        return NvidiaGpus()
    try:
        pynvml.nvmlInit()
    except Exception as error:
        return _without_driver(error)
    try:
        return _read(pynvml)
    except Exception as error:
        log.warning("NVML failed", exc_info=True)
        return NvidiaGpus(problems=[_broken(error)])
    finally:
        try:
            pynvml.nvmlShutdown()
        except Exception:
            log.warning("nvmlShutdown failed", exc_info=True)


def most_free_first() -> list[str]:
    """The NVIDIA cards' numbers, as CUDA_VISIBLE_DEVICES takes them under CUDA_DEVICE_ORDER=PCI_BUS_ID (as NVML).

    The one with the most free memory, which plans are made for, comes first.
    """
    gpus = read_nvidia().gpus
    return [str(index) for index in sorted(range(len(gpus)), key=lambda index: -gpus[index].memory_free_mib)]


def _without_driver(error: Exception) -> NvidiaGpus:
    if any(kind in type(error).__name__ for kind in _NO_DRIVER):
        log.info("no NVIDIA driver: %s", error)
        return NvidiaGpus()
    log.warning("nvmlInit failed", exc_info=True)
    return NvidiaGpus(problems=[_broken(error)])


def _broken(error: Exception) -> MachineProblem:
    return MachineProblem(
        what="The driver of the graphics card does not answer as it should.",
        why=f"It says: {str(error)[:200] or type(error).__name__}.",
        next="Restart the computer; if that does not help, install the NVIDIA driver again.",
    )


def _read(pynvml: Any) -> NvidiaGpus:
    found = NvidiaGpus(driver=_text(_try(pynvml.nvmlSystemGetDriverVersion, default="")))
    gpus = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            gpu, held = _card(pynvml, pynvml.nvmlDeviceGetHandleByIndex(index))
        except Exception as error:
            log.warning("card %d can't be read", index, exc_info=True)
            found.problems.append(_broken(error))
            continue
        gpus.append(gpu)
        found.held += [MemoryUser(gpu.name, _program(pid), mib) for pid, mib in held.items()]
    found.gpus = tuple(gpus)
    return found


def _card(pynvml: Any, handle: Any) -> tuple[Gpu, dict[int, int]]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    capability = _try(pynvml.nvmlDeviceGetCudaComputeCapability, handle, default=None)
    gpu = Gpu(
        name=_text(_try(pynvml.nvmlDeviceGetName, handle, default="NVIDIA graphics card")),
        vendor="nvidia",
        memory_total_mib=memory.total // MIB,
        memory_free_mib=memory.free // MIB,
        compute_capability=(int(capability[0]), int(capability[1])) if capability else None,
    )
    return gpu, _held(pynvml, handle)


def _held(pynvml: Any, handle: Any) -> dict[int, int]:
    """MiB by the id of each other process; one whose memory the driver does not tell counts as none."""
    processes = [
        *_try(pynvml.nvmlDeviceGetComputeRunningProcesses, handle, default=[]),
        *_try(pynvml.nvmlDeviceGetGraphicsRunningProcesses, handle, default=[]),
    ]
    return {one.pid: (one.usedGpuMemory or 0) // MIB for one in processes if one.pid != os.getpid()}


def _program(pid: int) -> str:
    """The program's name as the system's own tools show it; outside a container it may not be known."""
    import psutil

    try:
        process = psutil.Process(pid)
        return "a training of this app" if "jobs.worker" in process.cmdline() else process.name()
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
