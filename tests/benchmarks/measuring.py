"""What the benchmarks share: a fresh process for each measurement, and how ways are
compared and a result printed.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from backend.hardware.process import prepare_process

P = ParamSpec("P")
R = TypeVar("R")
Found = set[tuple[int, str]]  # (line, kind) of each fault
Way = Callable[[Path], tuple[float, Found]]  # file -> seconds, faults
SMOKE_ROWS = 300


@dataclass(frozen=True)
class Measured:
    seconds: float
    peak_mib: float  # of the process


def in_fresh_process(
    function: Callable[P, R], *arguments: P.args, **named: P.kwargs
) -> R:
    """What the function returns or raises there: offline, with sleeping idle threads, a
    low priority and no output. A smoke run, which measures nothing, is the fork of a
    process that has imported torch (test_smoke.py); so is this process then.
    """
    method = "fork" if multiprocessing.parent_process() else "spawn"
    with ProcessPoolExecutor(
        1, multiprocessing.get_context(method), initializer=_prepare
    ) as pool:
        return pool.submit(function, *arguments, **named).result()


def _prepare() -> None:
    prepare_process()
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115


def print_result(
    name: str, unit: str, ours: Any, peer: Any, ratio: Any, **more: Any
) -> None:
    """The last line of a benchmark: JSON. Where there is no peer, `no_peer` in `more`
    says why.
    """
    print(
        json.dumps(
            {
                "name": name,
                "ours": ours,
                "peer": peer,
                "ratio": ratio,
                "unit": unit,
                **more,
            }
        )
    )


def command_line(main: Callable[[int, int], None], rows: int, runs: int) -> None:
    """`[ROWS] [--smoke]` calls main(rows, runs)."""
    if "--smoke" in sys.argv:
        main(SMOKE_ROWS, 1)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else rows, runs)


def compare(
    ways: Mapping[str, Way],
    path: Path,
    planted: Found,
    runs: int,
    rows: int,
    typical: Callable[[list[float]], float],
) -> dict[str, Measured]:
    """Each way to find the planted faults, in turn; prints them. typical: what counts
    of the seconds of all runs.
    """
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(runs):
        for way, find in ways.items():
            seconds, found, peak = in_fresh_process(_measure, find, path)
            assert found == planted, (way, sorted(found ^ planted)[:5])
            taken[way].append((seconds, peak))
    results = {
        way: Measured(typical([one for one, _ in runs]), runs[-1][1])
        for way, runs in taken.items()
    }
    for way, one in results.items():
        print(
            f"{way:15} {one.seconds:7.2f} s  {rows / one.seconds:11,.0f} rows/s  peak {one.peak_mib:5.0f} MiB"
        )
    return results


def _measure(way: Way, path: Path) -> tuple[float, Found, float]:
    import resource

    seconds, found = way(path)
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return seconds, found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def model_in(home: Path, smoke: bool) -> Path:
    """The folder of the bundled model, unpacked in the workspace `home`; of a tiny one
    in a smoke run.
    """
    from backend.models import bundled
    from backend.settings import Workspace
    from tests.backend.tiny_run import make_model

    return make_model(home / "tiny") if smoke else bundled.ensure(Workspace.open(home))
