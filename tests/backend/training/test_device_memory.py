"""The memory of a device, simulated: a card whose driver tells it, one that takes the
computer's, a Mac.
"""

import os
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from backend.hardware import gpu_memory
from backend.records.units import MIB
from backend.training import device
from backend.training.device import Device

CARD = SimpleNamespace(uuid="abc", total_memory=12_288 * MIB, major=8, minor=6)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, float]]:
    """An RTX 3060 with 9 GiB free, of which this process uses 1,400 MiB; returns the
    limits that torch was given.
    """
    import torch

    limits: dict[str, float] = {}
    nvml = ModuleType("pynvml")
    answers: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetHandleByUUID": lambda uuid: uuid,
        "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(
            free=9216 * MIB if gpu == "GPU-abc" else 0
        ),
        "nvmlDeviceGetComputeRunningProcesses": lambda gpu: [
            SimpleNamespace(pid=1, usedGpuMemory=MIB),
            SimpleNamespace(pid=os.getpid(), usedGpuMemory=1400 * MIB),
        ],
    }
    for name, answer in answers.items():
        setattr(nvml, name, answer)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: CARD)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 1000 * MIB)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 3000 * MIB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (6144 * MIB, 12_288 * MIB))
    monkeypatch.setattr(
        torch.cuda,
        "set_per_process_memory_fraction",
        lambda share: limits.update(fraction=share),
    )
    device._context_mib.cache_clear()
    yield limits
    device._context_mib.cache_clear()


def test_memory_counts_the_cuda_context(card: dict[str, float]) -> None:
    place = Device("cuda", "bf16")
    assert (place.memory_mib(), place.peak_memory_mib()) == (1400, 3400)


def test_a_silent_driver_leaves_the_estimate(
    card: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Device("cuda", "bf16").memory_mib() == 1450


@pytest.mark.parametrize(
    ("system", "release", "spills"),
    [
        ("win32", "11", True), ("linux", "6.6.87.2-microsoft-standard-WSL2", True), ("linux", "6.8.0-generic", False),
        ("darwin", "24.1.0", False),
    ],
)  # fmt: skip
def test_where_memory_would_spill_torch_gets_what_is_free_and_what_it_holds(
    card: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    release: str,
    spills: bool,
) -> None:
    monkeypatch.setattr(gpu_memory.sys, "platform", system)
    monkeypatch.setattr(gpu_memory.platform, "release", lambda: release)
    gpu_memory.stay_in_memory("cuda")
    assert card == ({"fraction": (9216 + 1000) / 12_288} if spills else {})


def test_without_the_driver_cuda_says_what_is_free(
    card: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_memory, "spills", lambda: True)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    gpu_memory.stay_in_memory("cuda")
    assert card == {"fraction": (6144 + 1000) / 12_288}


def test_a_mac_counts_metals_buffers_and_stays_in_what_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import psutil
    import torch

    limits: list[float] = []
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 5000 * MIB)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12_000 * MIB)
    monkeypatch.setattr(torch.mps, "set_per_process_memory_fraction", limits.append)
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: SimpleNamespace(available=6000 * MIB)
    )
    own = Device("cpu", "fp32").memory_mib()
    place = Device("mps", "bf16")
    assert place.memory_mib() == pytest.approx(5000 + own, abs=200)
    assert place.peak_memory_mib() >= 5000 + own - 200
    gpu_memory.stay_in_memory("mps")
    assert limits == [0.5]


def test_a_processor_needs_no_waiting_and_no_limit() -> None:
    Device("cpu", "fp32").wait()
    gpu_memory.stay_in_memory("cpu")
