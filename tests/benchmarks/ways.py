"""Several ways to find the faults in a file, each measured in a process of its own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.fresh_process import in_fresh_process

Found = set[tuple[int, str]]  # (line, kind) of each fault
Way = Callable[[Path], tuple[float, Found]]  # file -> seconds, faults
SMOKE_ROWS = 300


@dataclass(frozen=True)
class Measured:
    seconds: float
    found: Found
    peak_mib: float  # of the process


def command_line(main: Callable[[int, int], None], rows: int, runs: int) -> None:
    """`[ROWS] [--smoke]` calls main(rows, runs)."""
    if "--smoke" in sys.argv:
        main(SMOKE_ROWS, 1)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else rows, runs)


def measured(way: Way, path: Path) -> Measured:
    return in_fresh_process(_measure, way, path)


def _measure(way: Way, path: Path) -> Measured:
    import resource

    seconds, found = way(path)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Measured(seconds, found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
