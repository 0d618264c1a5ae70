"""ZeroGPU: what a Space needs to start there, calls of its GPU, and that nothing else counts on that GPU."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.hardware.gpus import NvidiaGpus, read_nvidia
from backend.settings import PROJECT_ROOT, SAMPLES, Workspace, child_environment
from jobs import store
from jobs.supervisor import Supervisor
from tests.ui.gpu_contract import EXPECTED, FakeGpu, outcomes
from ui.services.app import App
from ui.services.demo import gpu_calls
from ui.web import zero_gpu

VARIABLE = "SPACES_ZERO_GPU"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="ZeroGPU is Linux")


def test_a_function_is_registered_on_zero_gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    durations: list[Any] = []
    monkeypatch.setitem(
        sys.modules, "spaces", SimpleNamespace(GPU=lambda duration: durations.append(duration) or (lambda work: work))
    )
    monkeypatch.setattr(zero_gpu, "_decorated", [])
    monkeypatch.delenv(VARIABLE, raising=False)
    zero_gpu.register()
    assert durations == []
    monkeypatch.setenv(VARIABLE, "true")
    zero_gpu.register()
    assert [duration("workspace", "job", 42.0) for duration in durations] == [42.0], "the call says how long it takes"


def test_a_fake_gpu_does_what_is_agreed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noop_kind: None) -> None:
    for name in ("WORK", "SAVING"):
        monkeypatch.setattr(gpu_calls, name, None)
    assert outcomes(FakeGpu().call, Workspace.open(tmp_path / "workspace")) == EXPECTED


def in_spaces(*arguments: object) -> Any:
    """What a process with the package `spaces` in its ZeroGPU mode prints."""
    command = [sys.executable, "-m", "tests.ui.zero_gpu_process", *map(str, arguments)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@on_linux
def test_the_real_decorator_does_what_the_contract_says(tmp_path: Path) -> None:
    found = in_spaces(tmp_path / "workspace")
    assert {name: tuple(outcome) for name, outcome in found.items()} == EXPECTED


@on_linux
@pytest.mark.slow
def test_a_training_learns_inside_the_real_decorator(workspace_with_model: Workspace) -> None:
    app = App(workspace_with_model)
    data = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    settings = app.advice.settings("", data, "").settings.changed(max_steps=2)
    run = app.planning.start(data, "", settings, evaluate=False)
    Supervisor(app.workspace, 10, 60, lambda *_: None).launch(store.find(app.workspace, run))
    assert in_spaces(app.workspace.root, run) == "completed"
    result = app.runner.job(run).result
    assert (result["steps"], result["weights_changed"]) == (2, True)
    app.close()


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
