"""The environment of a process that computes, set before torch is imported."""

import ctypes
import os
import platform
import sys
import time
from contextlib import suppress

import psutil

from backend.hardware import container, gpu_memory
from backend.hardware.gpu_choice import HIDDEN, VARIABLE, read_choice

_NICENESS = 10  # the page and other programs come first


def prepare_process() -> None:
    """Before torch is imported: no network, one GPU, idle threads that sleep, nothing
    compiled, and a low priority. OpenMP's default (idle threads spin) made a step over
    ten times slower when other processes were busy. Importing bitsandbytes otherwise
    loads torch's compiler, which takes a second and is not used here.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
    show_one_gpu()
    _let_segments_grow()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ[name] = "1"
    lower_priority()


def show_one_gpu() -> tuple[str, ...]:
    """Before torch is imported: hides all GPUs but the one that trains, or all if there
    is none. Returns the names of the GPUs that this process could use, for
    CUDA_VISIBLE_DEVICES, the best first. What the others lack (another generation, no
    code for it in torch) can't hurt then.
    """
    gpus = tuple(device.uuid for device in read_choice()[1].devices)
    os.environ.update(
        {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", VARIABLE: gpus[0] if gpus else HIDDEN}
    )
    return gpus


def _let_segments_grow() -> None:
    """Lets torch's memory on a GPU grow in place, since batches vary in length and what
    was freed would not fit. Only where the driver is known to support it, and never
    against the person's own setting.
    """
    supported = (
        sys.platform == "linux"
        and platform.machine() == "x86_64"
        and not gpu_memory.spills()
    )
    if supported and "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:
        os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")


def lower_priority(niceness: int = _NICENESS) -> None:
    """Lets the page and other programs go first. niceness: of POSIX, 0 to 19, unless
    APPRENTICE_NICENESS says another one (tests then don't wait for each other); Windows
    has one level.
    """
    process, niceness = (
        psutil.Process(),
        int(os.environ.get("APPRENTICE_NICENESS", niceness)),
    )
    with suppress(
        psutil.Error
    ):  # not allowed: the work then merely competes with the page
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        elif process.nice() < niceness:
            process.nice(niceness)


def share_arenas() -> None:
    """Makes all threads share two of glibc's arenas. Each of the page's forty would
    start its own, and an arena keeps what a large request once needed: after 90 seconds
    with ten hostile clients, a demo held 251 instead of 346 MiB.
    """
    set_malloc(-8, 2)  # M_ARENA_MAX


def set_malloc(option: int, value: int) -> None:
    """Sets an option of glibc's (mallopt(3), malloc.h); does nothing without glibc."""
    if sys.platform == "linux" and (
        setting := getattr(ctypes.CDLL(None), "mallopt", None)
    ):
        setting(option, value)


class OtherPrograms:
    """How busy programs other than ours keep the processor, from now on. process_id:
    ours.
    """

    def __init__(self, process_id: int) -> None:
        self._id = process_id
        self._begin = self._used()

    def share(self) -> float:
        """Of all cores, 0 to 1; 0 where it is unknown, as in a container, which sees
        the times of its whole host.
        """
        (began, before), (now, used), cores = (
            self._begin,
            self._used(),
            container.cores(),
        )
        return (
            max(0.0, (used - before) / (now - began) / cores)
            if cores == os.cpu_count()
            else 0.0
        )

    def _used(self) -> tuple[float, float]:
        """The time, and seconds of processor time of others by then."""
        with suppress(psutil.Error):  # ours has just ended
            own, every = psutil.Process(self._id).cpu_times(), psutil.cpu_times()
            busy = every.user + every.system + getattr(every, "nice", 0.0)
            return time.monotonic(), busy - own.user - own.system
        return time.monotonic(), 0.0
