"""What the driver tells before training (`doctor`, the page, the plan) is what CUDA
has.
"""

from pathlib import Path

import pytest

from backend import hardware
from backend.hardware import gpu_memory
from backend.records.machine import Gpu, cuda_context_mib
from backend.records.units import MIB
from tests.gpu.place import Place, Record

pytestmark = pytest.mark.gpu


def test_the_probe_finds_the_card_that_cuda_uses(
    place: Place, tmp_path: Path, record: Record
) -> None:
    """How much the CUDA context takes is recorded, not asserted: the estimate's figure
    was measured on a T4.
    """
    import torch

    if not place.is_card:
        assert not hardware.probe(tmp_path).blocked
        return
    torch.zeros(1, device="cuda")
    free, total = torch.cuda.mem_get_info()
    cuda = Gpu(
        name=torch.cuda.get_device_name(), memory_total_mib=total // MIB, memory_free_mib=free // MIB,
        compute_capability=torch.cuda.get_device_capability(),
    )  # fmt: skip
    found = hardware.probe(tmp_path)
    gpu = found.hardware.gpus[0]
    for name in ("name", "compute_capability", "memory_total_mib", "memory_free_mib"):
        record(
            "The probe against CUDA",
            name,
            str(getattr(gpu, name)),
            str(getattr(cuda, name)),
        )
    used = gpu_memory.used_by_this_process_mib(
        str(torch.cuda.get_device_properties(0).uuid)
    )
    context = (
        "untold"
        if used is None
        else f"{used - torch.cuda.memory_reserved() // MIB} MiB"
    )
    record(
        "CUDA context",
        "",
        context,
        f"estimated {cuda_context_mib(gpu.compute_capability):.0f} MiB",
    )
    assert not found.blocked
    assert (gpu.name, gpu.compute_capability) == (cuda.name, cuda.compute_capability)
    assert gpu.memory_total_mib == pytest.approx(cuda.memory_total_mib, rel=0.05)
    assert gpu.memory_free_mib == pytest.approx(cuda.memory_free_mib, rel=0.05, abs=300)
