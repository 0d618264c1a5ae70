"""Which GPU this machine trains on, or why none: the one answer that doctor, the page, the plan and training share.

It follows from the cards and the driver (NVML), the installed torch, and CUDA_VISIBLE_DEVICES, where a person may
have chosen. Numbers there are those of `nvidia-smi`. Where something that a person can do would let torch use a card,
the problem blocks training: the processor is so much slower that nobody should get it by surprise. Setting
CUDA_VISIBLE_DEVICES to -1 chooses the processor.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from typing import NamedTuple

from backend.errors import UnusableGpu
from backend.hardware import torch_build
from backend.hardware.gpus import Device, NvidiaGpus, read_nvidia
from backend.install import builds
from backend.install.machine import is_jetson, processor, version_of
from backend.records.machine import MachineProblem, best_first
from backend.settings import PROGRAM

VARIABLE = "CUDA_VISIBLE_DEVICES"
HIDDEN = "-1"
_NONE = ("", HIDDEN, "NoDevFiles", "none", "void")  # the values with which people and schedulers hide all GPUs
_USE_PROCESSOR = f"To train on the processor all the same, set the environment variable {VARIABLE} to {HIDDEN}."


class GpuChoice(NamedTuple):
    """devices: those that torch can use and the person did not hide; the first is the one that trains."""

    devices: tuple[Device, ...] = ()
    problems: tuple[MachineProblem, ...] = ()


def choose_gpu(found: NvidiaGpus, cuda: str | None, visible: str | None) -> GpuChoice:
    """The GPUs to use. cuda: the CUDA version of the installed torch, "" for none, None without torch. visible: the
    value of CUDA_VISIBLE_DEVICES, None if it is not set."""
    hidden = visible is not None and visible.strip() in _NONE
    if not found.devices:
        return GpuChoice(problems=tuple(one if hidden else _blocking(one) for one in found.problems))
    devices, problems = found.devices, list(found.problems)
    if visible is not None:
        devices = visible_devices(devices, visible)
        if not devices:
            return GpuChoice(problems=(*problems, _hidden(found.devices, visible)))
    usable = tuple(one for one in devices if cuda and _can_use(one, cuda, found.cuda))
    if not usable and cuda is not None:  # without torch there is a problem of its own
        problems.append(_unusable(devices, found, cuda))
    elif usable:
        problems += [_too_old(one) for one in devices if one not in usable]
    order = best_first(one.gpu for one in usable)
    return GpuChoice(tuple(sorted(usable, key=lambda one: order.index(one.gpu))), tuple(problems))


def read_choice() -> tuple[NvidiaGpus, GpuChoice]:
    """The GPUs of this machine, and the choice among them. Does not import torch."""
    found = read_nvidia()
    return found, choose_gpu(found, torch_build.built_for(), os.environ.get(VARIABLE))


def usable_gpus() -> tuple[str, ...]:
    """The names of the GPUs that this process could use, for CUDA_VISIBLE_DEVICES, the best first."""
    return tuple(one.uuid for one in read_choice()[1].devices)


def require_usable_gpu() -> None:
    """Raises UnusableGpu when a GPU should train and can't."""
    for problem in read_choice()[1].problems:
        if problem.blocks_training:
            raise UnusableGpu(problem.what, problem.why, problem.next)


def visible_devices(devices: Sequence[Device], visible: str) -> tuple[Device, ...]:
    """The devices that CUDA_VISIBLE_DEVICES names, in its order, up to the first name that it does not know, as CUDA
    reads it. A number is that of `nvidia-smi`; of a divided card it means the first part."""
    chosen: list[Device] = []
    for name in (part.strip() for part in visible.split(",")):
        same = [one for one in devices if name and (one.uuid.startswith(name) or str(one.gpu.index) == name)]
        if not same:
            break
        chosen += [one for one in same[:1] if one not in chosen]
    return tuple(chosen)


def _can_use(device: Device, cuda: str, supported: int) -> bool:
    """Whether a torch for this CUDA version runs on the GPU. supported: see `NvidiaGpus.cuda`."""
    capability = device.gpu.compute_capability
    known = supported == 0 or int(cuda.split(".")[0]) <= supported // 1000
    return known and (capability is None or builds.has_code(cuda, capability) is not False)


def _unusable(devices: Sequence[Device], found: NvidiaGpus, cuda: str) -> MachineProblem:
    """The problem with GPUs of which torch can use none: another build helps, or a newer driver, or nothing."""
    newest = max(devices, key=lambda one: one.gpu.compute_capability or (0, 0)).gpu
    machine = builds.Machine(
        platform.system(), processor(), True, newest.compute_capability, version_of(found.driver), jetson=is_jetson()
    )
    row = builds.row_for(machine)
    if not row.cuda:
        next_ = row.advice if row.falls_back else f"{row.advice} {_USE_PROCESSOR}"
        return MachineProblem(
            what=f"PyTorch can't use {newest.name}.", why=row.why, next=next_, blocks_training=not row.falls_back
        )
    if not cuda:
        why = "It was built for the processor only."
    elif builds.has_code(cuda, newest.compute_capability or (8, 0)) is False:
        why = f"It was built for CUDA {cuda} and has no code for a card of its generation."
    else:
        why = f"It was built for CUDA {cuda}, which needs a newer driver than this one ({found.driver})."
    again = f"Start Apprentice again with {PROGRAM}: it installs the PyTorch that fits."
    by_hand = f"To install it by hand, type: {builds.command(row, sys.executable)}"
    return MachineProblem(
        what=f"The installed PyTorch can't use {newest.name}.",
        why=why,
        next=f"{again} {_USE_PROCESSOR} {by_hand}",
        blocks_training=True,
    )


def _hidden(devices: Sequence[Device], visible: str) -> MachineProblem:
    cards = ", ".join(f"{one.gpu.index} ({one.gpu.name})" for one in devices)
    if visible.strip() in _NONE:
        return MachineProblem(
            what="The graphics card is hidden, so the processor does the work.",
            why=f"The environment variable {VARIABLE} is {visible!r}.",
            next=f"Remove it and start again to train on the graphics card: {cards}.",
        )
    return MachineProblem(
        what=f"The environment variable {VARIABLE} names no graphics card of this computer.",
        why=f"It is {visible[:80]!r}. The cards are: {cards}.",
        next=f"Remove it or set it to one of them, then start again. {_USE_PROCESSOR}",
        blocks_training=True,
    )


def _too_old(device: Device) -> MachineProblem:
    return MachineProblem(
        what=f"{device.gpu.name} is not used.", why="The installed PyTorch has no code for a card of its generation."
    )


def _blocking(problem: MachineProblem) -> MachineProblem:
    return problem.model_copy(update={"blocks_training": True, "next": f"{problem.next} {_USE_PROCESSOR}"})
