"""What this machine has: cards, processor, memory and disk, found without loading torch.

`probe` never fails: what can't be read becomes a sentence. A machine can also be given as a file (`load_hardware`),
so that everything built on it can be tried for any machine.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.errors import BadInput
from backend.hardware import container, torch_build
from backend.hardware import gpus as nvidia
from backend.records.specs import Cpu, Gpu, Hardware, MachineProblem, Record

log = logging.getLogger(__name__)

MIB = 1 << 20
_HELD_MIB = 500  # a card with more than this in other processes' hands is worth a sentence


class Probe(Record):
    """A machine; what it can do in sentences for a person; and what is wrong, with what to do about it."""

    hardware: Hardware
    sentences: tuple[str, ...] = ()
    problems: tuple[MachineProblem, ...] = ()

    @classmethod
    def of(cls, hardware: Hardware) -> Probe:
        """A machine that was not looked at but given, in words."""
        return cls(hardware=hardware, sentences=tuple(describe(hardware)))

    def to_json(self) -> dict[str, Any]:
        """{"hardware", "sentences", "problems": [{"what", "why", "next"}]}."""
        return self.model_dump(mode="json")


def probe(workspace_root: Path) -> Probe:
    """This machine, and the disk that holds `workspace_root`."""
    found = nvidia.read_nvidia()
    problems = list(found.problems)
    gpus = found.gpus
    total, free = memory_mib()
    apple = _is_apple()
    if apple:
        gpus = (
            Gpu(name=_processor_name() or "Apple GPU", vendor="apple", memory_total_mib=total, memory_free_mib=free),
        )
    hosted = _hosted()
    if hosted == "zero_gpu":
        gpus = ()
        problems.append(_ZERO_GPU)
    build = torch_build.problem(has_nvidia_card=bool(gpus) and not apple)
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
    problems += _held_problems(found.held)
    problems += [build] if build else []
    return Probe(hardware=hardware, sentences=tuple(describe(hardware)), problems=tuple(problems))


def describe(hardware: Hardware) -> list[str]:
    """The machine in plain words, the most telling first."""
    lines = [_card_sentence(gpu) for gpu in hardware.gpus]
    if not lines:
        lines.append("There is no graphics card that can train: the processor does the work.")
    cores = "1 processor core" if hardware.cpu.cores == 1 else f"{hardware.cpu.cores} processor cores"
    fast = ", with fast 16-bit arithmetic" if hardware.cpu.bf16 else ""
    lines.append(f"{cores} can be used{fast}.")
    free, total = format_gb(hardware.memory_available_mib), format_gb(hardware.memory_total_mib)
    shared = ", shared by processor and graphics" if hardware.unified_memory else ""
    lines.append(f"{free} of {total} of memory is free{shared}.")
    lines.append(f"{format_gb(hardware.disk_free_mib)} of disk is free.")
    if hardware.hosted:
        lines.append(_HOSTED_SENTENCES[hardware.hosted])
    return lines


def format_gb(mib: float) -> str:
    """MiB as people read it: "11.6 GB" (of 1024 MiB, as the system's own tools count)."""
    return f"{mib / 1024:.0f} GB" if mib >= 100 * 1024 else f"{mib / 1024:.1f} GB"


def memory_mib() -> tuple[int, int]:
    """Memory in MiB: (total, available), within the limits of a container."""
    import psutil

    now = psutil.virtual_memory()
    total, free = now.total, now.available
    limit = container.memory()
    if limit is not None:
        total = min(total, limit.total)
        free = min(free, max(0, limit.total - limit.used))
    return total // MIB, free // MIB


def disk_free_mib(folder: Path) -> int:
    """MiB free on the disk of `folder`, or of the nearest folder above it that exists; 0 when it can't be read."""
    for place in (folder, *folder.parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free // MIB
            except OSError:
                log.warning("disk_usage(%s) failed", place, exc_info=True)
                return 0
    return 0


def load_hardware(path: Path) -> Hardware:
    """A machine from a JSON file, as `doctor --json` prints it (whole, or its `hardware` alone).

    Parts left out take the defaults of `Hardware`. Raises BadInput in plain words.
    """
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(
            f"The file {path.name} can't be read.", f"The system says: {error.strerror or error}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"The file {path.name} is not JSON.", "", _AS_DOCTOR) from error
    if isinstance(values, dict) and isinstance(values.get("hardware"), dict):
        values = values["hardware"]
    try:
        return Hardware.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "its content"
        raise BadInput(
            f"The file {path.name} describes no machine.", f"{field}: {first['msg']}.", _AS_DOCTOR
        ) from error


_AS_DOCTOR = "Write it as `python app.py doctor --json` prints it."
_ZERO_GPU = MachineProblem(
    what="This is a ZeroGPU Space.",
    why="Its graphics card is lent for single calls only, so a training can't hold it.",
    next="Train on the processor here, or on a computer of your own.",
)
_HOSTED_SENTENCES = {
    "space": "This is a hosted Space: what is stored here is lost when it restarts.",
    "zero_gpu": "This is a hosted Space with a shared graphics card, which a training can't use.",
    "colab": "This is a Colab notebook: what is stored here is lost when it ends.",
}


def _card_sentence(gpu: Gpu) -> str:
    free, total = format_gb(gpu.memory_free_mib), format_gb(gpu.memory_total_mib)
    if gpu.vendor == "apple":
        return f"{gpu.name} can train with the memory that it shares with the processor."
    old = gpu.compute_capability is not None and gpu.compute_capability < (8, 0)
    number = " It learns in 16-bit floating point (fp16): its generation has no bf16." if old else ""
    return f"{gpu.name}: {free} of its {total} of memory is free.{number}"


def _held_problems(held: list[nvidia.MemoryUser]) -> list[MachineProblem]:
    """A sentence for each card of which others hold more than a little, naming the programs, the largest first."""
    problems = []
    for card in dict.fromkeys(holder.card for holder in held):
        holders = sorted((one for one in held if one.card == card and one.mib), key=lambda one: -one.mib)
        total = sum(holder.mib for holder in holders)
        if total < _HELD_MIB:
            continue
        named = ", ".join(f"{holder.program} {format_gb(holder.mib)}" for holder in holders[:3])
        problems.append(
            MachineProblem(
                what=f"Other programs hold {format_gb(total)} of the memory of {card}: {named}.",
                why="A training can use only what is free.",
                next="Close what you can spare, such as games, other notebooks or chat models, then look again.",
            )
        )
    return problems


def _hosted() -> Any:
    if os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true"):
        return "zero_gpu"
    if os.environ.get("SPACE_ID"):
        return "space"
    return "colab" if any(name.startswith("COLAB_") for name in os.environ) else None


def _is_apple() -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def _processor_name() -> str:
    return platform.processor() if len(platform.processor()) > 5 else ""


def _has_bf16(apple: bool) -> bool:
    """Whether bf16 products are native, by the flags that Linux shows (x86 and Arm); on Apple from the M2 on."""
    if apple:
        return _apple_feature("hw.optional.arm.FEAT_BF16")
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return False
    flags = {
        flag for line in text.splitlines() if line.lower().startswith(("flags", "features")) for flag in line.split()
    }
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16", "svebf16"})


def _apple_feature(name: str) -> bool:
    try:
        found = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return found.stdout.strip() == b"1"
