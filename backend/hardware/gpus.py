"""NVIDIA GPUs, read through NVML, the driver's library. A broken driver is reported,
never raised.
"""

import logging
import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backend.hardware.container import memory_mib
from backend.records.machine import Gpu, MachineProblem
from backend.records.units import MIB
from backend.settings import on_zero_gpu

log = logging.getLogger(__name__)

_NO_DRIVER = ("LibraryNotFound", "DriverNotLoaded", "ModuleNotFound", "ImportError")


class MemoryUser(NamedTuple):
    """Another program and the GPU memory (MiB) that it uses."""

    gpu: str
    program: str
    mib: int


class Device(NamedTuple):
    """A GPU, or a slice of one (MIG), and what CUDA_VISIBLE_DEVICES calls it."""

    gpu: Gpu
    uuid: str


@dataclass
class NvidiaGpus:
    """The GPUs, the other programs that use their memory, and problems with the driver.
    driver: its version, "" if unknown. cuda: the newest CUDA that it supports, in
    thousands (13020 is 13.2), 0 if unknown.
    """

    devices: tuple[Device, ...] = ()
    users: list[MemoryUser] = field(default_factory=list)
    problems: list[MachineProblem] = field(default_factory=list)
    driver: str = ""
    cuda: int = 0


def read_nvidia() -> NvidiaGpus:
    """The NVIDIA GPUs of this machine. A missing driver is not a problem: then there is
    no GPU.
    """
    if on_zero_gpu():
        return NvidiaGpus()
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:
        if any(kind in type(error).__name__ for kind in _NO_DRIVER):
            log.info("no NVIDIA driver, or no pynvml: %s", error)
            return NvidiaGpus()
        return NvidiaGpus(problems=[_driver_problem(error)])
    try:
        return _read(pynvml)
    except Exception as error:  # also one that says that the driver, which has just answered, is not there
        return NvidiaGpus(problems=[_driver_problem(error)])
    finally:
        _try(pynvml, "nvmlShutdown", default=None)


def _driver_problem(error: Exception, index: int | None = None) -> MachineProblem:
    source = "It" if index is None else f"GPU number {index}"
    log.warning("NVML failed", exc_info=error)
    return MachineProblem(
        what="The driver of the GPU does not work properly.",
        why=f"{source} reports: {str(error)[:200] or type(error).__name__}.",
        next="Restart the computer. If that does not help, reinstall the NVIDIA driver.",
    )


def _read(pynvml: Any) -> NvidiaGpus:
    gpus = NvidiaGpus(
        driver=_try(pynvml, "nvmlSystemGetDriverVersion", default=""),
        cuda=int(_try(pynvml, "nvmlSystemGetCudaDriverVersion_v2", default=0)),
    )
    devices: list[Device] = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            slices = _slices(pynvml, handle)
            own = [
                _device(pynvml, part, index, handle)
                for part in (slices if slices is not None else [handle])
            ]
            used_by = _used_by(pynvml, handle)
        except Exception as error:
            gpus.problems.append(_driver_problem(error, index))
            continue
        devices += own
        if not own:
            name = _try(pynvml, "nvmlDeviceGetName", handle, default="GPU")
            what = f"{name} is divided (MIG) and has no part to train on."
            why = "Its MIG mode is on, and no instance was made."
            way_out = "Make an instance with `nvidia-smi mig -cgi`, or turn MIG off with `nvidia-smi -mig 0`."
            gpus.problems.append(MachineProblem(what=what, why=why, next=way_out))
        else:
            gpus.users += [
                MemoryUser(own[0].gpu.name, _program(pid), mib)
                for pid, mib in used_by.items()
            ]
    gpus.devices = tuple(devices)
    return gpus


def _slices(pynvml: Any, handle: Any) -> list[Any] | None:
    """The slices of a GPU that is divided (MIG), of which a process can use one; None
    if it is not divided.
    """
    mode = _try(pynvml, "nvmlDeviceGetMigMode", handle, default=(0, 0))
    if not mode[0]:
        return None
    count = int(_try(pynvml, "nvmlDeviceGetMaxMigDeviceCount", handle, default=0))
    parts = [
        _try(pynvml, "nvmlDeviceGetMigDeviceHandleByIndex", handle, i, default=None)
        for i in range(count)
    ]
    return [part for part in parts if part is not None]


def _device(pynvml: Any, handle: Any, index: int, whole: Any) -> Device:
    """whole: the GPU that `handle` is a slice of, or `handle` itself."""
    capability = _try(pynvml, "nvmlDeviceGetCudaComputeCapability", whole, default=None)
    total, free, shared = _memory(pynvml, handle)
    gpu = Gpu(
        name=_try(pynvml, "nvmlDeviceGetName", handle, default="NVIDIA GPU"),
        vendor="nvidia",
        memory_total_mib=total,
        memory_free_mib=free,
        compute_capability=(int(capability[0]), int(capability[1]))
        if capability
        else None,
        index=index,
        shares_memory=shared,
    )
    return Device(gpu, _try(pynvml, "nvmlDeviceGetUUID", handle, default=str(index)))


def _memory(pynvml: Any, handle: Any) -> tuple[int, int, bool]:
    """MiB in total and free, and whether it is the computer's: then NVML knows no
    memory of the GPU.
    """
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        if memory.total:
            return memory.total // MIB, memory.free // MIB, False
    except Exception as error:
        if "NotSupported" not in type(error).__name__:
            raise
    return *memory_mib(), True


def _used_by(pynvml: Any, handle: Any) -> dict[int, int]:
    """MiB by the id of each other process; 0 if the driver does not know."""
    processes = [
        *_try(pynvml, "nvmlDeviceGetComputeRunningProcesses", handle, default=[]),
        *_try(pynvml, "nvmlDeviceGetGraphicsRunningProcesses", handle, default=[]),
    ]
    return {
        process.pid: (process.usedGpuMemory or 0) // MIB
        for process in processes
        if process.pid != os.getpid()
    }


def _program(pid: int) -> str:
    """The program's name as the system's tools show it; unknown if it runs outside of
    this container.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        return (
            "a training run of this app"
            if "jobs.worker" in process.cmdline()
            else process.name()
        )
    except psutil.Error:
        return f"a program (process {pid})"


def _try(pynvml: Any, name: str, *arguments: Any, default: Any) -> Any:
    """The result of an NVML call; `default` where the driver, or this version of
    pynvml, does not support it.
    """
    try:
        return getattr(pynvml, name)(*arguments)
    except Exception:
        log.info("%s failed", name, exc_info=True)
        return default
