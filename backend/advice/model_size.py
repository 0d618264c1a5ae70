"""The largest model that is sensible to train on a machine, by the guide."""

from __future__ import annotations

from backend.estimate.memory import nvidia_gpu
from backend.records.specs import Hardware

# (memory in MiB, parameters): with at least this much memory, models up to this size are sensible.
_BY_GPU = ((44_000, 10.0e9), (22_000, 8.3e9), (14_000, 3.83e9), (11_000, 3.79e9), (7_000, 3.83e9), (5_000, 1.8e9))
_SMALLER_GPU = 1.3e9
_BY_UNIFIED_MEMORY = ((60_000, 8.3e9), (30_000, 4.1e9), (15_000, 1.8e9))
_LESS_UNIFIED_MEMORY = 0.7e9
_PROCESSOR = 0.7e9


def largest_sensible(hardware: Hardware) -> float:
    """The largest model, in parameters, that is sensible to train on `hardware`."""
    gpu = nvidia_gpu(hardware)
    if gpu is not None:
        return next((size for mib, size in _BY_GPU if gpu.memory_total_mib >= mib), _SMALLER_GPU)
    if hardware.unified_memory:
        memory = hardware.memory_total_mib
        return next((size for mib, size in _BY_UNIFIED_MEMORY if memory >= mib), _LESS_UNIFIED_MEMORY)
    return _PROCESSOR
