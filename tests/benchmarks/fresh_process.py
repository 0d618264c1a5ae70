"""Runs one way of a benchmark in a fresh process, so that imports and memory of the others don't count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Found = set[tuple[int, str]]  # (line, kind) of each fault
Way = Callable[[Path], tuple[float, Found]]  # file -> seconds, faults
SMOKE_ROWS = 300


def command_line(main: Callable[[int, int], None], ways: Mapping[str, Way], rows: int, runs: int) -> None:
    """`[ROWS] [--smoke]` calls main(rows, runs); `WAY FILE`, as used by `measured`, runs one way."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--smoke"]
    if len(arguments) == 2:
        seconds, found = ways[arguments[0]](Path(arguments[1]))
        print(json.dumps({"seconds": seconds, "peak_mib": peak_mib(), "found": sorted(found)}))
    elif "--smoke" in sys.argv:
        main(SMOKE_ROWS, 1)
    else:
        main(int(arguments[0]) if arguments else rows, runs)


def measured(module: str, way: str, path: Path, cache: Path) -> dict[str, Any]:
    """The "seconds", "peak_mib" and "found" of one way. cache: an empty folder for Hugging Face datasets."""
    settings = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-m", module, way, str(path)]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, check=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**result, "found": {(line, kind) for line, kind in result["found"]}}


def peak_mib() -> float:
    """The peak memory of this process."""
    import resource

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
