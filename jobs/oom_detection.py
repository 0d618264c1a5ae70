"""Whether the system killed a worker because memory ran out: Linux's counters, and the
free memory near the end.

Linux counts the processes that it killed for memory in each control group (cgroup v2:
`oom_kill` in memory.events; v1: in memory.oom_control) and on the whole machine
(`oom_kill` in /proc/vmstat). Other systems count nothing; there the free memory when
the worker last wrote its status is a hint.
"""

import re
from pathlib import Path

import psutil

from backend.files.listing import text_of
from backend.records.base import StoredRecord

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_MACHINE = Path("/proc/vmstat")
SHORT = 0.05  # share of the memory; with less than this free the computer was about to run out


class MemorySnapshot(StoredRecord):
    """counter: the file with the counter, "" if there is none. count: its value when
    the worker started. free: the share of the computer's memory that was free when the
    worker last wrote its status.
    """

    counter: str = ""
    count: int = 0
    free: float | None = None


def snapshot() -> MemorySnapshot:
    """The counter of this process's control group, or else of the machine, and the free
    memory.
    """
    memory = psutil.virtual_memory()
    free = float(round(memory.available / max(1, memory.total), 4))
    for path in [*_group_files(), _MACHINE]:
        count = _count(path)
        if count is not None:
            return MemorySnapshot(counter=str(path), count=count, free=free)
    return MemorySnapshot(free=free)


def ran_out(before: MemorySnapshot) -> bool | None:
    """Whether the system has killed a process for memory since `before`; None if it
    does not count.
    """
    now = _count(Path(before.counter)) if before.counter else None
    return None if now is None or now < before.count else now > before.count


def _group_files() -> list[Path]:
    """The files in which the control groups of this process may have their counter."""
    files = []
    for line in text_of(_OWN).splitlines():
        _, names, place = ([*line.split(":", 2), "", ""])[:3]
        if names == "":
            files.append(_GROUPS / place.lstrip("/") / "memory.events")
        elif "memory" in names.split(","):
            files.append(_GROUPS / "memory" / place.lstrip("/") / "memory.oom_control")
    return files


def _count(path: Path) -> int | None:
    match = re.search(r"^oom_kill +(\d+)", text_of(path), re.MULTILINE)
    return int(match[1]) if match else None
