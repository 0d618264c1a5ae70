"""The computer's memory."""

from __future__ import annotations

from backend.hardware import container
from backend.records.units import MIB


def memory_mib() -> tuple[int, int]:
    """Total and available memory in MiB, within the limits of a container."""
    import psutil

    now = psutil.virtual_memory()
    total, free = now.total, now.available
    limit = container.memory()
    if limit is not None:
        total = min(total, limit.total)
        free = min(free, max(0, limit.total - limit.used))
    return total // MIB, free // MIB
