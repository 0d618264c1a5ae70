"""Which GPU this machine trains on, or why none: the one answer that doctor, the page,
the plan and training share.

It follows from the GPUs and the driver (NVML), the installed torch, and
CUDA_VISIBLE_DEVICES, where a person may have chosen. Numbers there are those of
`nvidia-smi`; -1 chooses the processor.
"""

import importlib.util
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from backend.errors import UnusableGpu
from backend.hardware.gpus import Device, NvidiaGpus, read_nvidia
from backend.install import builds
from backend.install.machine import is_jetson, processor, version_of
from backend.records.machine import MachineProblem, best_first
from backend.settings import PROGRAM

VARIABLE = "CUDA_VISIBLE_DEVICES"
HIDDEN = "-1"
_NONE = (
    "",
    HIDDEN,
    "NoDevFiles",
    "none",
    "void",
)  # the values with which people and schedulers hide all GPUs
_USE_PROCESSOR = f"To train on the processor all the same, set the environment variable {VARIABLE} to {HIDDEN}."


class GpuChoice(NamedTuple):
    """devices: those that torch can use and the person did not hide; the first is the
    one that trains.
    """

    devices: tuple[Device, ...] = ()
    problems: tuple[MachineProblem, ...] = ()


def choose_gpu(nvidia: NvidiaGpus, cuda: str | None, visible: str | None) -> GpuChoice:
    """The GPUs to use. cuda: the CUDA version of the installed torch, "" for none, None
    without torch. visible: the value of CUDA_VISIBLE_DEVICES, None if it is not set.
    """
    hidden = visible is not None and visible.strip() in _NONE
    if not nvidia.devices:
        if hidden:
            return GpuChoice(problems=tuple(nvidia.problems))
        return GpuChoice(
            problems=tuple(
                problem.model_copy(
                    update={
                        "blocks_training": True,
                        "next": f"{problem.next} {_USE_PROCESSOR}",
                    }
                )
                for problem in nvidia.problems
            )
        )
    devices, problems = nvidia.devices, list(nvidia.problems)
    if visible is not None:
        devices = visible_devices(devices, visible)
        if not devices:
            return GpuChoice(problems=(*problems, _hidden(nvidia.devices, visible)))
    usable = tuple(
        device for device in devices if cuda and _can_use(device, cuda, nvidia.cuda)
    )
    if not usable and cuda is not None:  # without torch there is a problem of its own
        problems.append(_unusable(devices, nvidia, cuda))
    elif usable:
        why = "The installed PyTorch has no code for a GPU of its generation."
        unused = [device.gpu.name for device in devices if device not in usable]
        problems += [
            MachineProblem(what=f"{name} is not used.", why=why) for name in unused
        ]
    order = best_first(device.gpu for device in usable)
    return GpuChoice(
        tuple(sorted(usable, key=lambda device: order.index(device.gpu))),
        tuple(problems),
    )


def read_choice() -> tuple[NvidiaGpus, GpuChoice]:
    """The GPUs of this machine, and the choice among them. Does not import torch."""
    nvidia = read_nvidia()
    return nvidia, choose_gpu(nvidia, built_for(), os.environ.get(VARIABLE))


def built_for() -> str | None:
    """The CUDA version that the installed torch was built for, by its files, "" for a
    build without CUDA, None if torch is not installed.
    """
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return None
    return builds.cuda_of(Path(spec.origin).parent) if spec and spec.origin else None


def torch_problem() -> MachineProblem | None:
    """The problem if torch is not installed; None if it is."""
    if built_for() is not None:
        return None
    return MachineProblem(
        what="PyTorch, which does the training, is not installed.",
        why="The app was started without its packages.",
        next=f'Start it with {PROGRAM}, which installs them. Or type: "{sys.executable}" -m pip install -r '
        "requirements.txt",
        blocks_training=True,
        missing_part=True,
    )


def require_usable_gpu() -> None:
    """Raises UnusableGpu when a GPU should train and can't."""
    for problem in read_choice()[1].problems:
        if problem.blocks_training:
            raise UnusableGpu(problem.what, problem.why, problem.next)


def visible_devices(devices: Sequence[Device], visible: str) -> tuple[Device, ...]:
    """The devices that CUDA_VISIBLE_DEVICES names, in its order, up to the first name
    that it does not know, as CUDA reads it. A number is that of `nvidia-smi`; of a
    divided GPU it means the first part.
    """
    chosen: list[Device] = []
    for name in (part.strip() for part in visible.split(",")):
        if not name:
            break
        named = [
            device
            for device in devices
            if device.uuid.startswith(name) or str(device.gpu.index) == name
        ]
        if not named:
            break
        chosen += [device for device in named[:1] if device not in chosen]
    return tuple(chosen)


def _can_use(device: Device, cuda: str, supported: int) -> bool:
    """Whether a torch for this CUDA version runs on the GPU. supported: see
    `NvidiaGpus.cuda`.
    """
    capability = device.gpu.compute_capability
    supports = supported == 0 or int(cuda.split(".")[0]) <= supported // 1000
    return supports and (
        capability is None or builds.has_code(cuda, capability) is not False
    )


def _unusable(
    devices: Sequence[Device], nvidia: NvidiaGpus, cuda: str
) -> MachineProblem:
    """The problem with GPUs of which torch can use none: another build helps, or a
    newer driver, or nothing.
    """
    newest = max(
        devices, key=lambda device: device.gpu.compute_capability or (0, 0)
    ).gpu
    machine = builds.Machine(
        platform.system(),
        processor(),
        True,
        newest.compute_capability,
        version_of(nvidia.driver),
        jetson=is_jetson(),
    )
    row = builds.row_for(machine)
    if not row.cuda:
        next_ = row.advice if row.falls_back else f"{row.advice} {_USE_PROCESSOR}"
        return MachineProblem(
            what=f"PyTorch can't use {newest.name}.",
            why=row.why,
            next=next_,
            blocks_training=not row.falls_back,
        )
    if not cuda:
        why = "It was built for the processor only."
    elif builds.has_code(cuda, newest.compute_capability or (8, 0)) is False:
        why = (
            f"It was built for CUDA {cuda} and has no code for a GPU of its generation."
        )
    else:
        why = f"It was built for CUDA {cuda}, which needs a newer driver than this one ({nvidia.driver})."
    again = f"Start Apprentice again with {PROGRAM}: it installs the PyTorch that fits."
    by_hand = f"To install it by hand, type: {builds.command(row, sys.executable)}"
    return MachineProblem(
        what=f"The installed PyTorch can't use {newest.name}.",
        why=why,
        next=f"{again} {_USE_PROCESSOR} {by_hand}",
        blocks_training=True,
    )


def _hidden(devices: Sequence[Device], visible: str) -> MachineProblem:
    gpus = ", ".join(f"{device.gpu.index} ({device.gpu.name})" for device in devices)
    if visible.strip() in _NONE:
        return MachineProblem(
            what=f"This app can't see the GPU ({VARIABLE} hides it), so training uses the processor.",
            why=f"The environment variable {VARIABLE} is {visible!r}.",
            next=f"Remove it and start again to train on the GPU: {gpus}.",
        )
    return MachineProblem(
        what=f"The environment variable {VARIABLE} names no GPU of this computer.",
        why=f"It is {visible[:80]!r}. The GPUs are: {gpus}.",
        next=f"Remove it or set it to one of them, then start again. {_USE_PROCESSOR}",
        blocks_training=True,
    )
