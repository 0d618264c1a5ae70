"""How fast this machine calculates, measured in two seconds and kept: what the time estimate is made from.

Measured are the three things that a training step is made of: matrix products (in 16 and in 32 bits), passes over
memory, and the time to start an operation at all. `run` is a job (it needs torch); `rates` reads what it left.

How much of that a training step reaches was fitted on six runs of the embedded model on two cores (rows of 64 to
2,048 tokens, batches of 1 to 16, with and without checkpointing, LoRA and QLoRA; worst error 8 %): 37 % of the rate
of plain products, 1.5 times the time of plain passes, and 19,600 starts a layer, which stands for what does not grow
with the rows. For cards the shares follow from the T4's step times (see backend/estimate/speed.py) and are less sure.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import ValidationError

from backend.estimate import Rates
from backend.settings import Workspace

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

_RECIPE = 2  # raised when what is measured changes, so that older measurements are made again
_BUDGET = 0.3  # seconds for each of the measurements
_ROWS = 1024
_SHAPES = {"cpu": (_ROWS, 576, 1536), "cuda": (4096, 4096, 4096), "mps": (2048, 2048, 2048)}


class _Shares(NamedTuple):
    """products: part of the plain rate reached. passes: times the plain time. starts: operations a layer."""

    products: float
    passes: float
    starts: int
    spread: float


_REACHED = {
    "cpu": _Shares(0.37, 1.5, 19_600, 1.25),
    "cuda": _Shares(0.6, 0.9, 900, 1.6),
    "mps": _Shares(0.4, 1.5, 2_000, 1.6),
}


class Work(Protocol):
    """What the job needs of the worker."""

    workspace: Workspace

    def progress(self, phase: str, done: int = 0, total: int = 0, seconds_left: float | None = None) -> None: ...


def run(context: Work) -> dict[str, Any]:
    """The job "calibrate": measures and keeps the rates. Gives them."""
    from backend.hardware.process import prepare_process

    prepare_process()
    context.progress("Measuring this computer", 0, 1)
    found = measure()
    _file(context.workspace).write_text(json.dumps({"machine": fingerprint(), "rates": found.model_dump()}), "utf-8")
    context.progress("Measuring this computer", 1, 1)
    return found.model_dump()


def load_rates(workspace: Workspace) -> Rates | None:
    """What was measured on this machine with this torch; None when nothing was, or it has changed since."""
    try:
        kept = json.loads(_file(workspace).read_text("utf-8"))
        return Rates.model_validate(kept["rates"]) if kept["machine"] == fingerprint() else None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def fingerprint() -> str:
    """What the measurement depends on: the computer, the cores that may be used and the version of torch."""
    from backend.hardware import container

    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        version = ""
    return f"{_RECIPE} {platform.node()} {platform.machine()} {container.cores()} {os.cpu_count()} {version}"


def measure() -> Rates:
    """The rates of the device that training would take. Imports torch; takes two seconds."""
    import torch

    kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    reached = _REACHED[kind]
    wide = _products(kind, torch.float32)
    narrow = max(_products(kind, torch.bfloat16), wide)
    return Rates(
        rate16=narrow * reached.products,
        rate32=wide * reached.products,
        bandwidth=_bandwidth(kind) / reached.passes,
        launch=_start(kind) * reached.starts,
        spread=reached.spread,
        basis="measured",
    )


def _products(kind: str, dtype: torch.dtype) -> float:
    """FLOP/s of matrix products."""
    import torch

    rows, inner, columns = _SHAPES[kind]
    left, right = (torch.ones(shape, dtype=dtype, device=kind) for shape in ((rows, inner), (inner, columns)))
    return 2 * rows * inner * columns / _seconds(kind, lambda: left @ right)


def _bandwidth(kind: str) -> float:
    """Bytes a second that an element-wise product of two tensors of a layer's size makes."""
    import torch

    one, other = (torch.ones(4 * _ROWS, 1536, dtype=torch.bfloat16, device=kind) for _ in range(2))
    return one.nbytes / _seconds(kind, lambda: one * other)


def _start(kind: str) -> float:
    """Seconds to start an operation that has next to nothing to do."""
    import torch

    one = torch.ones(8, device=kind)
    return _seconds(kind, lambda: one * one)


def _seconds(kind: str, work: Callable[[], object], batch: int = 8) -> float:
    """Seconds of one `work`: the median over the budget, `batch` at a time."""
    import statistics

    import torch

    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(kind, lambda: None)
    work()
    wait()
    times: list[float] = []
    until = time.perf_counter() + _BUDGET
    while not times or time.perf_counter() < until:
        start = time.perf_counter()
        for _ in range(batch):
            work()
        wait()
        times.append((time.perf_counter() - start) / batch)
    return statistics.median(times)


def _file(workspace: Workspace) -> Path:
    return workspace.cache / "speed.json"
