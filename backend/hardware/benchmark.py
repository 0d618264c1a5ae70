"""Measures this machine's speed in about two seconds and stores it, for the time
estimate.

It measures what a training step consists of: matrix products (16 and 32 bits), passes
over memory, and the time to launch an operation. `run` is a job and needs torch;
`load_rates` reads the stored results.

It runs at the priority of a training run. The fastest of many short bursts counts (or
what the processor worked on one, if other programs leave time for few), and of the last
few measurements the fastest for each rate.

How much of these rates a training step reaches was fitted on the bundled model: 1.5
times the time of a memory pass, 19,600 launches per layer, which stand for everything
that does not grow with the rows, and 47% of the product rate in 16 bits and 65% in 32,
where products take more of the time (single steps on one core, and whole runs on two).
The GPU values follow from the T4's step times (backend/estimate/speed.py) and are less
certain.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from backend.estimate import Rates
from backend.files.json_file import write_json
from backend.hardware.gpu_choice import read_choice
from backend.records.base import Record, StoredRecord, read_record
from backend.settings import Workspace
from backend.work import JobContext

if TYPE_CHECKING:
    import torch

_VERSION = 6  # of the measurement; raise it when that changes, and stored rates are measured again
_KEPT = 5  # measurements
_FRESH, _FRESH_WHILE_BUSY = (
    3600.0,
    300.0,
)  # seconds for which a measurement is not repeated
_BUSY = 0.2  # of the time in which the measuring thread had no processor
_BUDGET = 0.3  # seconds per measurement
_FEW = (
    8  # bursts within it; below about 48 GFLOP/s no processor does more, see `seconds`
)
_ROWS = 1024
_SHAPES = {
    "cpu": (_ROWS, 576, 1536),
    "cuda": (4096, 4096, 4096),
    "mps": (2048, 2048, 2048),
}


class _Efficiency(NamedTuple):
    """The efficiency of a training step. products16, products32: share of the measured
    rate. passes: multiple of the measured time. launches: per layer. spread: factor by
    which the time may be off.
    """

    products16: float
    products32: float
    passes: float
    launches: int
    spread: float


_EFFICIENCY = {
    "cpu": _Efficiency(0.47, 0.65, 1.5, 19_600, 1.4),
    "cuda": _Efficiency(0.6, 0.6, 0.9, 900, 1.6),
    "mps": _Efficiency(0.4, 0.4, 1.5, 2_000, 1.6),
}


def run(context: JobContext) -> dict[str, Any]:
    """The job "calibrate": measure the rates, store them, and return the ones that now
    count.
    """
    from backend.hardware.process import prepare_process

    prepare_process()
    context.progress("Measuring this computer", 0, 1)
    measurements = (
        *_stored(context.workspace),
        _Measurement(time=time.time(), rates=measure()),
    )[-_KEPT:]
    stored = _Stored(machine=fingerprint(), measurements=measurements)
    write_json(_file(context.workspace), stored.model_dump())
    context.progress("Measuring this computer", 1, 1)
    return _fastest(measurements).model_dump()


def load_rates(workspace: Workspace) -> Rates | None:
    """The fastest stored rates; None if there are none, or the machine or torch has
    changed since.
    """
    measurements = _stored(workspace)
    return _fastest(measurements) if measurements else None


def needs_measuring(workspace: Workspace) -> bool:
    """Whether the last measurement is missing or too old."""
    if not (measurements := _stored(workspace)):
        return True
    fresh = _FRESH_WHILE_BUSY if _fastest(measurements).while_busy else _FRESH
    return not 0 <= time.time() - measurements[-1].time < fresh


class _Measurement(Record):
    """time: seconds since 1970."""

    time: float
    rates: Rates


class _Stored(StoredRecord):
    machine: str
    measurements: tuple[_Measurement, ...]


def _stored(workspace: Workspace) -> Sequence[_Measurement]:
    """The measurements of this machine, oldest first."""
    try:
        stored = read_record(_Stored, _file(workspace))
    except (OSError, ValueError):
        return ()
    return stored.measurements if stored.machine == fingerprint() else ()


def _fastest(measurements: Sequence[_Measurement]) -> Rates:
    """The best of each rate."""
    rates = [measurement.rates for measurement in measurements]
    return rates[-1].model_copy(
        update={
            **{
                name: max(getattr(rate, name) for rate in rates)
                for name in ("rate16", "rate32", "bandwidth")
            },
            "launch": min(rate.launch for rate in rates),
            "while_busy": all(rate.while_busy for rate in rates),
        }
    )


@cache
def fingerprint() -> str:
    """Identifies what a measurement depends on: the computer, its usable cores, the GPU
    that trains, its driver, and the version of torch. Determined once, because asking
    can wake a sleeping GPU.
    """
    from backend.hardware import container

    version = next((each.version for each in metadata.distributions(name="torch")), "")
    computer = (
        f"{platform.node()} {platform.machine()} {container.cores()} {os.cpu_count()}"
    )
    nvidia, choice = read_choice()
    gpu = f"{choice.devices[0].gpu.name} {nvidia.driver}" if choice.devices else ""
    return f"{_VERSION} {computer} {version} {gpu}".strip()


def measure() -> Rates:
    """The rates of the device that training would use. Imports torch; takes about two
    seconds.
    """
    import torch

    device = (
        "cuda"
        if torch.cuda.is_available()
        else "mps"
        if torch.backends.mps.is_available()
        else "cpu"
    )
    began, worked = time.perf_counter(), time.thread_time()
    rate32 = product_rate(device, torch.float32)
    rate16 = max(product_rate(device, sixteen_bits(device)), rate32)
    # The element-wise product of two tensors as large as a layer's, and an operation on
    # almost no data.
    left, right = (
        torch.ones(4 * _ROWS, 1536, dtype=sixteen_bits(device), device=device)
        for _ in range(2)
    )
    bytes_per_second = left.nbytes / seconds(device, lambda: left * right)
    tiny = torch.ones(8, device=device)
    rates = rates_from(
        device,
        rate16,
        rate32,
        bytes_per_second,
        seconds(device, lambda: tiny * tiny, 64),
    )
    had = (time.thread_time() - worked) / (
        time.perf_counter() - began
    )  # a GPU lets this thread wait
    return rates.model_copy(update={"while_busy": device == "cpu" and had < 1 - _BUSY})


def rates_from(
    device: str,
    rate16: float,
    rate32: float,
    bytes_per_second: float,
    launch_seconds: float,
) -> Rates:
    """The rates that a training step reaches.

    device: "cpu", "cuda" or "mps"
    rate16: FLOP/s of matrix products in 16 bits
    rate32: the same in 32 bits
    bytes_per_second: written by an element-wise product
    launch_seconds: of an operation on almost no data"""
    efficiency = _EFFICIENCY[device]
    return Rates(
        rate16=rate16 * efficiency.products16,
        rate32=rate32 * efficiency.products32,
        bandwidth=bytes_per_second / efficiency.passes,
        launch=launch_seconds * efficiency.launches,
        spread=efficiency.spread,
        basis="measured",
    )


def sixteen_bits(device: str) -> torch.dtype:
    """The 16-bit precision to compute in: bf16, but for older GPUs, which only emulate
    it, and for a Mac's before macOS 14.
    """
    import torch

    old = device == "cuda" and torch.cuda.get_device_capability() < (8, 0)
    old = old or (device == "mps" and not torch.backends.mps.is_macos_or_newer(14, 0))
    return torch.float16 if old else torch.bfloat16


def product_rate(device: str, dtype: torch.dtype) -> float:
    """FLOP/s of matrix products."""
    import torch

    rows, inner, columns = _SHAPES[device]
    left, right = (
        torch.ones(shape, dtype=dtype, device=device)
        for shape in ((rows, inner), (inner, columns))
    )
    return 2 * rows * inner * columns / seconds(device, lambda: left @ right)


def seconds(device: str, operation: Callable[[], object], burst: int = 0) -> float:
    """Seconds of `operation`: those of the fastest burst within the budget, or of the
    processor's mean work on one where there is time for few. device: "cpu", "cuda" or
    "mps". operation: to time. burst: how often it runs between two looks at the clock;
    0 for once on a processor, which another program is then least likely to interrupt,
    and eight times on a GPU, which works while more is given to it.
    """
    import torch

    burst = burst or (1 if device == "cpu" else 8)
    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(
        device, lambda: None
    )
    operation()
    wait()
    bursts: list[
        tuple[float, float]
    ] = []  # seconds, and those of them in which this thread had the processor
    deadline = time.perf_counter() + _BUDGET
    while not bursts or time.perf_counter() < deadline:
        start, before = time.perf_counter(), time.thread_time()
        for _ in range(burst):
            operation()
        wait()
        bursts.append((time.perf_counter() - start, time.thread_time() - before))
    fastest = min(took for took, _ in bursts)
    worked = sum(worked for _, worked in bursts) / len(
        bursts
    )  # the clock of a thread has steps of 16 ms on Windows
    return (
        min(worked, fastest)
        if device == "cpu" and len(bursts) < _FEW and worked
        else fastest
    ) / burst


def _file(workspace: Workspace) -> Path:
    return workspace.cache / "speed.json"
