"""What the driver tells before training (`doctor`, the page, the plan) is what CUDA has."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend import hardware
from backend.hardware import gpu_memory
from backend.records.machine import Gpu, cuda_context_mib
from backend.records.units import MIB
from tests.gpu.place import Place

pytestmark = pytest.mark.gpu


def cuda_gpu(place: Place) -> Gpu:
    """The first card as CUDA describes it; a made-up one on the processor."""
    import torch

    if not place.is_card:
        return Gpu(name="made up", memory_total_mib=8192, memory_free_mib=8000, compute_capability=(8, 0))
    torch.zeros(1, device="cuda")
    free, total = torch.cuda.mem_get_info()
    return Gpu(
        name=torch.cuda.get_device_name(),
        memory_total_mib=total // MIB,
        memory_free_mib=free // MIB,
        compute_capability=torch.cuda.get_device_capability(),
    )


def test_the_probe_finds_the_card_that_cuda_uses(place: Place, tmp_path: Path, record: Callable[..., None]) -> None:
    cuda = cuda_gpu(place)
    found = hardware.probe(tmp_path)
    gpu = found.hardware.gpus[0] if place.is_card else cuda
    record("The probe against CUDA", "card", gpu.name, cuda.name)
    record("The probe against CUDA", "capability", str(gpu.compute_capability), str(cuda.compute_capability))
    record("The probe against CUDA", "memory", f"{gpu.memory_total_mib} MiB", f"{cuda.memory_total_mib} MiB")
    record("The probe against CUDA", "free", f"{gpu.memory_free_mib} MiB", f"{cuda.memory_free_mib} MiB")
    assert not found.blocked
    assert (gpu.name, gpu.compute_capability) == (cuda.name, cuda.compute_capability)
    assert gpu.memory_total_mib == pytest.approx(cuda.memory_total_mib, rel=0.05)
    assert gpu.memory_free_mib == pytest.approx(cuda.memory_free_mib, rel=0.05, abs=300)


def test_the_context_takes_what_the_estimate_allows_for_it(place: Place, record: Callable[..., None]) -> None:
    """Recorded, not asserted: the estimate's figure was measured on a T4 and is an allowance for newer cards."""
    import torch

    gpu, used = cuda_gpu(place), None
    if place.is_card:
        used = gpu_memory.used_by_this_process_mib(str(torch.cuda.get_device_properties(0).uuid))
    context = None if used is None else used - torch.cuda.memory_reserved() // MIB
    estimated = cuda_context_mib(gpu.compute_capability)
    told = "the driver does not tell" if context is None else f"{context} MiB"
    record("CUDA context", "", told, f"estimated {estimated:.0f} MiB")
    assert context is None or context >= 0
