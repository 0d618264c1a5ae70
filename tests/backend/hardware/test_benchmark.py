"""The measured speed of this machine: stored, read back, and ignored on another one."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.estimate import Rates
from backend.hardware import benchmark
from backend.settings import Workspace
from tests.backend.hardware.simulated import T4, Simulated, ampere

RATES = Rates(rate16=4e11, rate32=2e11, bandwidth=1e10, launch=0.001, spread=1.25, basis="measured")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path)


def context(workspace: Workspace) -> Any:
    return SimpleNamespace(workspace=workspace, progress=lambda *_: None)


def test_rates_are_unknown_until_they_are_measured_and_stored(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "measure", lambda: RATES)
    monkeypatch.setattr("backend.hardware.process.prepare_process", lambda: None)
    assert benchmark.load_rates(workspace) is None
    assert benchmark.run(context(workspace)) == RATES.model_dump()
    assert benchmark.load_rates(workspace) == RATES


def test_rates_from_another_machine_or_a_damaged_file_are_ignored(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "measure", lambda: RATES)
    monkeypatch.setattr("backend.hardware.process.prepare_process", lambda: None)
    benchmark.run(context(workspace))
    monkeypatch.setattr(benchmark, "fingerprint", lambda: "another")
    assert benchmark.load_rates(workspace) is None
    (workspace.cache / "speed.json").write_text('{"machine": "another", "rates"')
    assert benchmark.load_rates(workspace) is None


def test_one_slow_measurement_does_not_spoil_the_rates(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = RATES.model_copy(update={"rate16": 4e10, "rate32": 2e10, "bandwidth": 1e9, "launch": 0.01})
    monkeypatch.setattr("backend.hardware.process.prepare_process", lambda: None)
    for measured in (busy, RATES, busy):
        monkeypatch.setattr(benchmark, "measure", lambda found=measured: found)
        benchmark.run(context(workspace))
    assert benchmark.load_rates(workspace) == RATES
    for _ in range(10):  # a machine that stays slow is slow
        benchmark.run(context(workspace))
    assert benchmark.load_rates(workspace) == busy


def test_an_old_measurement_is_repeated(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "measure", lambda: RATES)
    monkeypatch.setattr("backend.hardware.process.prepare_process", lambda: None)
    assert benchmark.needs_measuring(workspace)
    benchmark.run(context(workspace))
    assert not benchmark.needs_measuring(workspace)
    now = time.time()
    monkeypatch.setattr(benchmark.time, "time", lambda: now + 2 * 3600)
    assert benchmark.needs_measuring(workspace)


def test_another_gpu_or_driver_is_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = set()
    for machine in (
        Simulated(),
        Simulated([T4()], "580.65"),
        Simulated([T4()], "590.10"),
        Simulated([ampere()], "590.10"),
    ):
        benchmark.fingerprint.cache_clear()
        with monkeypatch.context() as patch:
            machine.install(patch, tmp_path)
            names.add(benchmark.fingerprint())
    benchmark.fingerprint.cache_clear()
    assert len(names) == 4


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), "float16"), ((8, 6), "bfloat16")])
def test_a_gpu_is_measured_in_the_precision_that_trains(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert benchmark._sixteen_bits("cuda") == getattr(torch, dtype)


def test_measuring_this_machine_gives_plausible_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "_BUDGET", 0.01)
    found = benchmark.measure()
    assert found.rate16 >= found.rate32 > 1e8
    assert found.bandwidth > 1e7
    assert 0 < found.launch < 1
    assert found.basis == "measured"
