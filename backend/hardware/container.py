"""The cores and memory that this process may use, within the limits of a container
(Linux control groups 1 and 2).
"""

import os
import re
from math import ceil
from pathlib import Path
from typing import NamedTuple

from backend.files.listing import text_of
from backend.records.units import MIB

_ROOT = Path("/sys/fs/cgroup")
_UNLIMITED = 1 << 60  # version 1 uses a number near 2^63 for "no limit"


class Limit(NamedTuple):
    """Bytes that the container may use, and those in use (without the file cache, which
    the system can drop).
    """

    total: int
    used: int


def cores() -> int:
    """Processor cores that this process may use, by its affinity and the container's
    quota.
    """
    try:
        allowed = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        allowed = os.cpu_count() or 1
    quota = _quota()
    return max(1, allowed if quota is None else min(allowed, ceil(quota)))


def memory() -> Limit | None:
    """The container's memory limit; None if there is none."""
    for folder in _folders("memory"):
        total = _number(folder / "memory.max") or _number(
            folder / "memory.limit_in_bytes"
        )
        if total is not None and total < _UNLIMITED:
            used = (
                _number(folder / "memory.current")
                or _number(folder / "memory.usage_in_bytes")
                or 0
            )
            cache = re.search(
                r"^(?:total_)?inactive_file +(\d+)",
                text_of(folder / "memory.stat"),
                re.MULTILINE,
            )
            return Limit(total, max(0, used - (int(cache[1]) if cache else 0)))
    return None


def memory_mib() -> tuple[int, int]:
    """Total and available memory in MiB, within the limits of a container."""
    import psutil

    now = psutil.virtual_memory()
    total, free = now.total, now.available
    limit = memory()
    if limit is not None:
        total = min(total, limit.total)
        free = min(free, max(0, limit.total - limit.used))
    return total // MIB, free // MIB


def _quota() -> float | None:
    for folder in _folders("cpu"):
        parts = text_of(folder / "cpu.max").split()
        if len(parts) == 2 and parts[0].isdigit() and int(parts[1]) > 0:
            return int(parts[0]) / int(parts[1])
        quota, period = (
            _number(folder / "cpu.cfs_quota_us"),
            _number(folder / "cpu.cfs_period_us"),
        )
        if quota and period and quota > 0:
            return quota / period
    return None


def _folders(controller: str) -> list[Path]:
    """The folders that may hold this process's limits, the innermost first."""
    folders = []
    for line in text_of(Path("/proc/self/cgroup")).splitlines():
        _, names, group = ([*line.split(":", 2), "", ""])[:3]
        if names == "" or controller in names.split(","):
            base = _ROOT if names == "" else _ROOT / controller
            inner = base / group.lstrip("/")
            folders += [
                inner,
                *(
                    parent
                    for parent in inner.parents
                    if base in (parent, *parent.parents)
                ),
            ]
    return [*folders, _ROOT, _ROOT / controller]


def _number(path: Path) -> int | None:
    text = text_of(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None
