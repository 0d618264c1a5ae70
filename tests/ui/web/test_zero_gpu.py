"""What a Space on ZeroGPU needs to start, and that no code of ours counts on its GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from backend.hardware.gpus import NvidiaGpus, read_nvidia
from backend.settings import child_environment
from ui.web import zero_gpu

VARIABLE = "SPACES_ZERO_GPU"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """The functions that were registered with a stand-in for the package `spaces`."""
    functions: list[Callable[[], None]] = []
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=functions.append))
    return functions


def test_a_function_is_registered_on_zero_gpu_only(
    registered: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    zero_gpu.register()
    assert registered == []
    monkeypatch.setenv(VARIABLE, "true")
    zero_gpu.register()
    assert len(registered) == 1


def test_its_gpu_is_not_taken_for_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = SimpleNamespace(nvmlInit=lambda: pytest.fail("the driver was asked"))
    monkeypatch.setitem(sys.modules, "pynvml", gpu)
    monkeypatch.setenv(VARIABLE, "true")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert read_nvidia() == NvidiaGpus()
    child = child_environment()
    assert child["CUDA_VISIBLE_DEVICES"] == ""
    assert child[VARIABLE] == "true", "a worker asks too"
    monkeypatch.setenv(VARIABLE, "false")
    assert child_environment()["CUDA_VISIBLE_DEVICES"] == "0"
