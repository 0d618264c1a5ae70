"""Machines that are not here: a driver (NVML and `nvidia-smi`), a system, a torch and
an environment, all made up.

`test_gpu_choice.py` compares the made-up driver with the real module, function by
function. That a real driver answers as this one does is not shown by any of it.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from backend.hardware import container, gpu_choice, gpus
from backend.install import builds, machine
from backend.records.units import MIB

# The first driver of each newest CUDA
# (https://docs.nvidia.com/cuda/cuda-toolkit-release-notes, table of drivers).
_CUDA_OF_DRIVERS = (
    (580, 13000),
    (570, 12080),
    (560, 12060),
    (550, 12040),
    (535, 12020),
    (525, 12000),
    (470, 11040),
)


PROBE = sys.modules["backend.hardware.probe"]  # the package has a function of this name


class NVMLError(Exception):
    pass


class NVMLErrorLibraryNotFound(NVMLError):
    pass


class NVMLError_NotSupported(NVMLError):
    pass


class NVMLError_GpuIsLost(NVMLError):
    pass


@dataclass
class Card:
    """An NVIDIA GPU. Memory in MiB; total None where NVML knows none. slices: the
    memory of each MIG instance, None with MIG off. users: MiB by process id.
    """

    name: str
    capability: tuple[int, int]
    total: int | None
    free: int = 0
    slices: tuple[int, ...] | None = None
    lost: bool = False
    users: dict[int, int | None] = field(default_factory=dict)


def T4() -> Card:
    return Card("Tesla T4", (7, 5), 15360, 15000)


def ampere() -> Card:
    return Card("NVIDIA GeForce RTX 3090", (8, 6), 24576, 24000)


def nvml(
    cards: Sequence[Card],
    driver: str = "580.65",
    broken: str = "",
    error: type[Exception] = NVMLError,
) -> Any:
    """A pynvml with these GPUs, in which the call `broken` raises `error`."""

    def handle(index: int) -> Card:
        if cards[index].lost:
            raise NVMLError_GpuIsLost("GPU is lost")
        return cards[index]

    def info(card: Card) -> SimpleNamespace:
        if card.total is None:
            raise NVMLError_NotSupported("Not Supported")
        return SimpleNamespace(total=card.total * MIB, free=card.free * MIB)

    def instance(card: Card, index: int) -> Card:
        if card.slices is None or index >= len(card.slices):
            raise NVMLError("Not Found")
        size = card.slices[index]
        return Card(f"{card.name!s} MIG {size >> 10}g", card.capability, size, size)

    def uuid(card: Card) -> str:
        number = next((number for number, one in enumerate(cards) if one is card), None)
        return (
            f"GPU-{number}{'0' * 7}-uuid"
            if number is not None
            else f"MIG-{card.total}-uuid"
        )

    known = next(
        (
            cuda
            for first, cuda in _CUDA_OF_DRIVERS
            if int(driver.split(".")[0] or 0) >= first
        ),
        0,
    )
    answers: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: driver,
        "nvmlSystemGetCudaDriverVersion_v2": lambda: known,
        "nvmlDeviceGetCount": lambda: len(cards),
        "nvmlDeviceGetHandleByIndex": handle,
        "nvmlDeviceGetMemoryInfo": info,
        "nvmlDeviceGetCudaComputeCapability": lambda card: card.capability,
        "nvmlDeviceGetName": lambda card: card.name,
        "nvmlDeviceGetUUID": uuid,
        "nvmlDeviceGetMigMode": lambda card: (
            int(card.slices is not None),
            int(card.slices is not None),
        ),
        "nvmlDeviceGetMaxMigDeviceCount": lambda card: 7,
        "nvmlDeviceGetMigDeviceHandleByIndex": instance,
        "nvmlDeviceGetComputeRunningProcesses": lambda card: [
            SimpleNamespace(pid=pid, usedGpuMemory=mib * MIB if mib else None)
            for pid, mib in card.users.items()
        ],
        "nvmlDeviceGetGraphicsRunningProcesses": lambda card: [],
    }

    def fail(*_: Any) -> None:
        raise error("Unknown Error")

    module = ModuleType("pynvml")
    for name in answers:
        setattr(module, name, fail if name == broken else answers[name])
    return module


CALLS = tuple(name for name in vars(nvml([])) if name.startswith("nvml"))


@dataclass
class Simulated:
    """A machine. driver: of its NVIDIA GPUs, "" for none. cuda: of the installed torch;
    "fits": the one that start.py installs. visible: the value of CUDA_VISIBLE_DEVICES.
    memory: MiB.
    """

    cards: Sequence[Card] = ()
    driver: str = ""
    system: str = "Linux"
    processor: str = "x86_64"
    macos: str = ""
    chip: str = ""
    amd: bool = False
    jetson: bool = False
    cuda: str | None = "fits"
    visible: str | None = None
    memory: int = 32768
    broken: str = ""

    def install(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> builds.Row:
        """Puts the machine in the place of this one; returns what start.py would
        install. folder: an empty one.
        """
        monkeypatch.setattr("platform.system", lambda: self.system)
        monkeypatch.setattr("platform.machine", lambda: self.processor)
        monkeypatch.setattr("platform.mac_ver", lambda: (self.macos, ("", "", ""), ""))
        monkeypatch.setattr("platform.processor", lambda: self.chip)
        monkeypatch.setattr(
            "shutil.which", lambda name: f"/usr/bin/{name}" if self.driver else None
        )
        monkeypatch.setattr("subprocess.run", self._nvidia_smi)
        for name in ("_WSL_SMI", "_KERNEL_MODULE", "_TEGRA", "_DRM"):
            monkeypatch.setattr(machine, name, folder / name)
        if self.jetson:
            (folder / "_TEGRA").write_text("")
        monkeypatch.setattr(machine, "_amd", lambda: "AMD GPU" if self.amd else "")
        broken, error = (
            (self.broken, NVMLError)
            if self.driver
            else ("nvmlInit", NVMLErrorLibraryNotFound)
        )
        monkeypatch.setitem(
            sys.modules, "pynvml", nvml(self.cards, self.driver, broken, error)
        )
        for module in (gpus, container, PROBE):
            monkeypatch.setattr(
                module, "memory_mib", lambda: (self.memory, self.memory * 7 // 8)
            )
        monkeypatch.setattr(PROBE, "disk_free_mib", lambda _: 200_000)
        monkeypatch.setattr(PROBE, "_has_bf16", lambda apple: apple)
        monkeypatch.setattr(PROBE, "_hosted", lambda: None)
        monkeypatch.setattr(container, "cores", lambda: 8)
        for name in ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES"):
            monkeypatch.setenv(
                name, self.visible or ""
            )  # so that it is restored, whatever a test does
            if self.visible is None:
                monkeypatch.delenv(name)
        row = builds.row_for(machine.this_machine())
        fits = {"13.": "13.0" if row.build == "cu130" else "13.2"}.get(
            row.cuda, row.cuda
        )
        monkeypatch.setattr(
            gpu_choice, "built_for", lambda: fits if self.cuda == "fits" else self.cuda
        )
        return row

    def _nvidia_smi(
        self, command: list[str], **_: Any
    ) -> subprocess.CompletedProcess[str]:
        if not self.driver or command[0] != "/usr/bin/nvidia-smi" or self.broken:
            return subprocess.CompletedProcess(command, 1, "")
        lines = [
            f"{'.'.join(map(str, card.capability))}, {self.driver}"
            for card in self.cards
            if not card.lost
        ]
        return subprocess.CompletedProcess(command, 0, "\n".join(lines))
