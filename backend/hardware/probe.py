"""Reads what this machine has: GPUs, processor, memory and disk, without loading torch.
`probe` never raises: anything that can't be read becomes a problem to report.
`load_hardware` reads the description of another machine from a file, so that
recommendations and estimates can be tried for any machine.
"""

import logging
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Literal, Self

from pydantic import ValidationError

from backend.errors import BadInput, MissingPart, UnusableGpu
from backend.files.listing import text_of
from backend.hardware import container
from backend.hardware.container import memory_mib
from backend.hardware.gpu_choice import read_choice, torch_problem
from backend.hardware.gpus import MemoryUser
from backend.install import builds
from backend.install.builds import Machine
from backend.install.machine import this_machine
from backend.records.base import Record, read_given
from backend.records.machine import Cpu, Gpu, Hardware, MachineProblem, best_first
from backend.records.units import MIB, format_size
from backend.settings import PROGRAM, on_colab, on_zero_gpu

log = logging.getLogger(__name__)

_REPORTED_MIB = 500  # of GPU memory in use by other programs


class Probe(Record):
    """A machine, its description in sentences, and problems with it."""

    hardware: Hardware
    sentences: tuple[str, ...] = ()
    problems: tuple[MachineProblem, ...] = ()

    def require_training(self) -> None:
        """Raises UnusableGpu when training is refused on this machine, MissingPart
        where PyTorch is not installed.
        """
        for problem in self.problems:
            if problem.blocks_training:
                raise (MissingPart if problem.missing_part else UnusableGpu)(
                    problem.what, problem.why, problem.next
                )

    @property
    def blocked(self) -> str:
        """Why training is refused on this machine, in short; "" when it is not."""
        reasons = (
            f"{problem.what} {problem.why}"
            for problem in self.problems
            if problem.blocks_training
        )
        return next((f"{reason} Step 1 says what to do." for reason in reasons), "")

    @classmethod
    def of(cls, hardware: Hardware) -> Self:
        """A described machine instead of this one."""
        return cls(hardware=hardware, sentences=tuple(describe(hardware)))


def probe(workspace_root: Path) -> Probe:
    """This machine, and the disk of `workspace_root`."""
    nvidia, choice = read_choice()
    problems = list(choice.problems)
    gpus = tuple(device.gpu for device in choice.devices)
    total, free = memory_mib()
    machine = this_machine() if not nvidia.devices else None
    # PyTorch on a Mac has no builds without the GPU, but an old macOS keeps it from
    # using one.
    apple = (
        machine is not None
        and (machine.system, machine.processor) == ("Darwin", "arm64")
        and not builds.row_for(machine).falls_back
    )
    if apple:
        name = platform.processor() if len(platform.processor()) > 5 else "Apple GPU"
        gpus = (
            Gpu(
                name=name, vendor="apple", memory_total_mib=total, memory_free_mib=free
            ),
        )
    hosted = _hosted()
    if hosted == "zero_gpu":
        problems.append(_ZERO_GPU)
    elif machine is not None and not problems:
        problems += _without_gpu(machine)
    elif hosted == "space":
        problems = [
            each.model_copy(update={"next": _OF_A_SPACE})
            if each.blocks_training
            else each
            for each in problems
        ]
    build = torch_problem()
    hardware = Hardware(
        platform=platform.system().lower() or "unknown",
        gpus=gpus,
        cpu=Cpu(cores=container.cores(), bf16=_has_bf16(apple)),
        memory_total_mib=total,
        memory_available_mib=free,
        unified_memory=apple,
        disk_free_mib=disk_free_mib(workspace_root),
        hosted=hosted,
    )
    problems += _memory_problems(nvidia.users)
    problems += [build] if build else []
    blocked = any(problem.blocks_training for problem in problems)
    return Probe(
        hardware=hardware,
        sentences=tuple(describe(hardware, blocked)),
        problems=tuple(problems),
    )


def describe(hardware: Hardware, blocked: bool = False) -> list[str]:
    """The machine in plain words, the most important part first. blocked: whether
    training is refused.
    """
    lines = [_gpu_sentence(gpu) for gpu in hardware.gpus]
    nvidia = best_first(hardware.gpus)
    if len(nvidia) > 1:
        number = "" if nvidia[0].index is None else f" (number {nvidia[0].index})"
        lines.append(f"Training uses the {nvidia[0].name}{number}.")
    if blocked:
        lines.append("Training can't start until the problem below is solved.")
    elif not lines:
        lines.append(
            "No GPU (graphics card) for training was found: the processor does the work."
        )
    cores = (
        "1 processor core"
        if hardware.cpu.cores == 1
        else f"{hardware.cpu.cores} processor cores"
    )
    lines.append(
        f"{cores} can be used{', with fast 16-bit arithmetic' if hardware.cpu.bf16 else ''}."
    )
    free, total = (
        format_size(hardware.memory_available_mib),
        format_size(hardware.memory_total_mib),
    )
    shared = ", shared by processor and graphics" if hardware.unified_memory else ""
    lines.append(f"{free} of {total} memory is free{shared}.")
    lines.append(f"{format_size(hardware.disk_free_mib)} of disk space is free.")
    if hardware.hosted:
        lines.append(_HOSTED_SENTENCES[hardware.hosted])
    return lines


def disk_free_mib(folder: Path) -> int:
    """MiB free on the disk of `folder`, or of its nearest existing parent; 0 if it
    can't be read.
    """
    for path in (folder, *folder.parents):
        if path.exists():
            try:
                return shutil.disk_usage(path).free // MIB
            except OSError:
                log.warning("disk_usage(%s) failed", path, exc_info=True)
                return 0
    return 0


def load_hardware(path: Path) -> Hardware:
    """A machine from a JSON file: the output of `doctor --json`, or its `hardware`
    alone. Missing fields get the defaults of `Hardware`. Raises BadInput.
    """
    values = read_given(path, _USE_DOCTOR)
    if isinstance(values.get("hardware"), dict):
        values = values["hardware"]
    try:
        return Hardware.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc'])) or 'its content'}: {first['msg']}."
        raise BadInput(
            f"The file {path.name} does not describe a machine.", why, _USE_DOCTOR
        ) from error


_USE_DOCTOR = f"Use the output of `{PROGRAM} doctor --json`."
_ZERO_GPU = MachineProblem(
    what="This is a ZeroGPU Space.",
    why="Its GPU is lent for a minute at a time, so the processor trains.",
    next="Train a small model here, or a larger one on your own computer.",
)
_OF_A_SPACE = (
    "Nothing can be installed in a Space. Its owner can choose other hardware in its settings: another GPU, "
    "or “CPU basic”, where the processor trains small models."
)
_SPACE = "This is a hosted Space: everything stored here is lost when it restarts."
_HOSTED_SENTENCES = {
    "space": _SPACE,
    "zero_gpu": f"{_SPACE} Its shared GPU is not used.",
    "colab": "This is a Colab notebook: everything stored here is lost when it ends. No browser can open the page: "
    f"use the commands, such as `{PROGRAM} train`.",
}


def _gpu_sentence(gpu: Gpu) -> str:
    free, total = format_size(gpu.memory_free_mib), format_size(gpu.memory_total_mib)
    if gpu.vendor == "apple" or gpu.shares_memory:
        return (
            f"{gpu.name} can train with the memory that it shares with the processor."
        )
    old = gpu.compute_capability is not None and gpu.compute_capability < (8, 0)
    precision = " It trains in fp16, because it does not support bf16." if old else ""
    return f"{gpu.name}: {free} of its {total} memory is free.{precision}"


def _memory_problems(users: list[MemoryUser]) -> list[MachineProblem]:
    """One problem per GPU of which other programs use a lot, naming the programs, the
    largest first.
    """
    problems = []
    for gpu in dict.fromkeys(user.gpu for user in users):
        largest = sorted(
            (user for user in users if user.gpu == gpu and user.mib),
            key=lambda user: -user.mib,
        )
        total = sum(user.mib for user in largest)
        if total < _REPORTED_MIB:
            continue
        programs = ", ".join(
            f"{user.program} {format_size(user.mib)}" for user in largest[:3]
        )
        what = f"Other programs use {format_size(total)} of the memory of {gpu}: {programs}."
        way_out = "Close programs that you don't need, such as games, notebooks or chat models, then check again."
        problems.append(
            MachineProblem(
                what=what, why="Training can use only the free memory.", next=way_out
            )
        )
    return problems


def _hosted() -> Literal["space", "zero_gpu", "colab"] | None:
    if on_zero_gpu():
        return "zero_gpu"
    return "space" if os.environ.get("SPACE_ID") else "colab" if on_colab() else None


def _without_gpu(machine: Machine) -> list[MachineProblem]:
    """The problem with a GPU that PyTorch can't use and NVML does not know: AMD's, or a
    Mac's with an old macOS.
    """
    try:
        row = builds.row_for(machine)
    except LookupError:
        return []
    return [MachineProblem(what=row.advice, why=row.why)] if row.falls_back else []


def _has_bf16(apple: bool) -> bool:
    """Whether bf16 products are native: by the flags that Linux lists (x86 and Arm); on
    Apple from the M2 up.
    """
    if apple:
        command = ["/usr/sbin/sysctl", "-n", "hw.optional.arm.FEAT_BF16"]
        try:
            return (
                subprocess.run(
                    command, capture_output=True, timeout=5, check=False
                ).stdout.strip()
                == b"1"
            )
        except (OSError, subprocess.SubprocessError):
            return False
    text = text_of(Path("/proc/cpuinfo"))
    lines = [
        line
        for line in text.splitlines()
        if line.lower().startswith(("flags", "features"))
    ]
    return bool(
        set(" ".join(lines).split()) & {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
    )
