"""The measured speed of this machine: stored, read back, and ignored on another one."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.estimate import Rates
from backend.hardware import benchmark
from backend.settings import Workspace
from tests.backend.hardware.simulated import T4, Simulated, ampere

RATES = Rates(
    rate16=4e11,
    rate32=2e11,
    bandwidth=1e10,
    launch=0.001,
    spread=1.25,
    basis="measured",
)
SLOW = {
    "rate16": 4e10,
    "rate32": 2e10,
    "bandwidth": 1e9,
    "launch": 0.01,
    "while_busy": True,
}
BUSY = RATES.model_copy(update=SLOW)


@pytest.fixture
def measure(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Rates], Any]:
    """Does the job "calibrate", which measures these rates."""
    monkeypatch.setattr("backend.hardware.process.prepare_process", lambda: None)

    def measured(rates: Rates) -> Any:
        monkeypatch.setattr(benchmark, "measure", lambda: rates)
        return benchmark.run(
            SimpleNamespace(workspace=workspace, progress=lambda *_: None)
        )  # type: ignore[arg-type]

    return measured


@pytest.mark.parametrize(
    ("measured", "rates"),
    [
        ([], None),
        ([RATES], RATES),
        ([BUSY, RATES, BUSY], RATES),  # a slow measurement does not spoil the rates
        ([BUSY, RATES, *[BUSY] * 11], BUSY),  # a machine that stays slow is slow
    ],
)
def test_the_rates_are_the_typical_ones_of_the_latest_measurements(
    workspace: Workspace,
    measure: Callable[[Rates], Any],
    measured: list[Rates],
    rates: Rates | None,
) -> None:
    assert [measure(found) for found in measured][-1:] == (
        [rates.model_dump()] if rates else []
    )
    assert benchmark.load_rates(workspace) == rates


def test_rates_from_another_machine_or_a_damaged_file_are_ignored(
    workspace: Workspace,
    measure: Callable[[Rates], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure(RATES)
    monkeypatch.setattr(benchmark, "fingerprint", lambda: "another")
    assert benchmark.load_rates(workspace) is None
    (workspace.cache / "speed.json").write_text('{"machine": "another", "rates"')
    assert benchmark.load_rates(workspace) is None


@pytest.mark.parametrize(("rates", "seconds"), [(RATES, 3600), (BUSY, 300)])
def test_an_old_measurement_is_repeated_sooner_if_other_programs_were_busy(
    workspace: Workspace,
    measure: Callable[[Rates], Any],
    monkeypatch: pytest.MonkeyPatch,
    rates: Rates,
    seconds: int,
) -> None:
    assert benchmark.needs_measuring(workspace)
    measure(rates)
    now = time.time()
    for later in (0, seconds + 60):
        monkeypatch.setattr(benchmark.time, "time", lambda later=later: now + later)
        assert benchmark.needs_measuring(workspace) is (later > 0)


def test_another_gpu_or_driver_is_another_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = set()
    gpus = (
        Simulated([T4()], "580.65"),
        Simulated([T4()], "590.10"),
        Simulated([ampere()], "590.10"),
    )
    for machine in (Simulated(), *gpus):
        benchmark.fingerprint.cache_clear()
        with monkeypatch.context() as patch:
            machine.install(patch, tmp_path)
            names.add(benchmark.fingerprint())
    benchmark.fingerprint.cache_clear()
    assert len(names) == 4


@pytest.mark.parametrize(
    ("capability", "dtype"), [((7, 5), "float16"), ((8, 6), "bfloat16")]
)
def test_a_gpu_is_measured_in_the_precision_that_trains(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert benchmark.sixteen_bits("cuda") == getattr(torch, dtype)


def test_measuring_this_machine_gives_plausible_rates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(benchmark, "_BUDGET", 0.01)
    found = benchmark.measure()
    assert (
        min(found.rate16, found.rate32) > 1e8
    )  # which is higher may depend on what else runs
    assert found.bandwidth > 1e7
    assert 0 < found.launch < 1
    assert found.basis == "measured"


@pytest.mark.parametrize("budget", [3.0, 0.3])  # in the latter, all of the operations
def test_a_busy_moment_does_not_count(
    monkeypatch: pytest.MonkeyPatch, budget: float
) -> None:
    """Most of the operations take a hundred times as long, as beside another program."""
    calls = iter(range(10_000))
    clock = [0.0]

    def operation() -> None:
        clock[0] += 0.001 if next(calls) % 10 == 7 else 0.1

    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(
        benchmark.time, "thread_time", lambda: clock[0] // 0.04 * 0.0004
    )  # in steps
    monkeypatch.setattr(benchmark, "_BUDGET", budget)
    assert benchmark.seconds("cpu", operation) == pytest.approx(0.001, rel=0.1)
