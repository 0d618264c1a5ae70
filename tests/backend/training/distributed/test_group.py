"""Two processes learn the same as one; settings that don't work with several processes are rejected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadSetting, OutOfMemory, TrainingFailed
from backend.records.machine import Gpu
from backend.records.specs import TrainSettings
from backend.settings import PROJECT_ROOT
from backend.training.distributed import process_group
from tests.backend.tiny_run import FakeWork

GPU = Gpu(name="NVIDIA T4", memory_total_mib=15360, memory_free_mib=15000)

# Rank 0 is a process of its own, as in a real run.
WORKER = """
import json, sys
from pathlib import Path
from backend import training
from backend.errors import ApprenticeError
from backend.training.distributed import sharding
from backend.training.state import save
from tests.backend.tiny_run import FakeWork, local_bytes, make_run
folder, model = map(Path, sys.argv[1:3])
chosen, stop_at = map(json.loads, sys.argv[3:])
spec = folder / "spec.json"
if spec.is_file():
    work = FakeWork(folder, json.loads(spec.read_text()))
else:
    work = make_run(folder, model, rows=37, **{"lora_dropout": 0.0, "num_train_epochs": 2, **chosen})
    spec.write_text(json.dumps(work.spec))
work.stop_at = stop_at
shares, shard, write = [], sharding.shard, save.write  # shares of the weights and the optimizer's state in rank 0

def sharded(net, *options):
    whole = local_bytes(net.parameters())
    shard(net, *options)
    shares[:] = [local_bytes(net.parameters()) / whole]

def written(folder, trainer, *more):
    moments = [m for state in trainer.optimizer.state.values() for m in state.values() if m.dim()]
    shares[1:] = [local_bytes(moments) / sum(m.nbytes for m in moments)] if shares else []
    write(folder, trainer, *more)

sharding.shard, save.write = sharded, written
result = training.run(work)
print(json.dumps({"result": result, "losses": work.losses(), "tests": [e["loss"] for e in work.events_of("eval")],
                  "norms": [e["grad_norm"] for e in work.events_of("step")], "samples": len(work.events_of("sample")),
                  "shares": shares}))
"""


def trained(folder: Path, model: Path, stop_at: int | None = None, **settings: Any) -> dict[str, Any]:
    command = [sys.executable, "-c", WORKER, str(folder), str(model), json.dumps(settings), json.dumps(stop_at)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_with_twice_the_accumulation(tiny_model: Path, tmp_path: Path) -> None:
    """The two processes are stopped after the fourth step and resumed."""
    one = trained(tmp_path / "one", tiny_model, per_device_train_batch_size=4, gradient_accumulation_steps=2)
    shared: dict[str, Any] = {"per_device_train_batch_size": 8, "num_processes": 2}
    stopped = trained(tmp_path / "two", tiny_model, 4, **shared)
    assert stopped["result"]["state"] == "stopped"
    two = trained(tmp_path / "two", tiny_model, **shared)
    assert len(one["losses"]) == 10
    assert {**stopped["losses"], **two["losses"]} == pytest.approx(one["losses"], abs=1e-5)
    assert stopped["norms"] + two["norms"] == pytest.approx(one["norms"], rel=1e-4)
    assert two["tests"][-1] == pytest.approx(one["tests"][-1], abs=1e-5)
    assert two["result"]["weights_changed"] is True
    assert two["result"]["state"] == "completed"
    assert (tmp_path / "two" / "result" / "adapter" / "adapter_model.safetensors").is_file()
    assert two["samples"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_a_resumed_group_repeats_its_dropout(tiny_model: Path, tmp_path: Path, sharding: str) -> None:
    shared: dict[str, Any] = {"num_processes": 2, "sharding": sharding, "lora_dropout": 0.3}
    through = trained(tmp_path / "through", tiny_model, **shared)
    stopped = trained(tmp_path / "two", tiny_model, 4, **shared)
    two = trained(tmp_path / "two", tiny_model, **shared)
    assert list(stopped["losses"]) == ["1", "2", "3", "4"]
    assert {**stopped["losses"], **two["losses"]} == through["losses"]
    assert stopped["norms"] + two["norms"] == through["norms"]


@pytest.mark.slow
def test_the_run_fails_when_another_process_does(tiny_model: Path, tmp_path: Path) -> None:
    code = WORKER.replace("result = training.run(work)\n", """
from backend.training.distributed import process_group
from datetime import timedelta
process_group._START_TIMEOUT = timedelta(seconds=20)
process_group._WORKER = ("-c", "import sys; sys.stdin.readline(); sys.exit(3)")
try:
    training.run(work)
except ApprenticeError as error:
    print(json.dumps({"what": error.what}))
    sys.exit()
""", 1)  # fmt: skip
    command = [sys.executable, "-c", code, str(tmp_path / "run"), str(tiny_model), '{"num_processes": 2}', "null"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert "One of the processes" in done.stdout, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("code", "waiting", "ends"),
    [
        ("sys.exit(3)", True, [TrainingFailed]),
        (f"sys.exit({process_group.EXIT_OUT_OF_MEMORY})", True, [OutOfMemory]),
        (f"sys.exit({process_group.EXIT_OUT_OF_MEMORY})", False, []),
        ("os.kill(os.getpid(), 9)", True, [OutOfMemory]),  # as a system without memory does
        ("sys.exit(0)", True, []),
    ],
)
def test_a_failed_process_ends_the_attempt_unless_the_group_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, waiting: bool, ends: list[type[Exception]]
) -> None:
    monkeypatch.setattr(process_group, "_FAILURE_TIMEOUT", 0.0)
    group, work = process_group.ProcessGroup(0, 2), FakeWork(tmp_path, {})
    if not waiting:
        group.finished.set()
    with subprocess.Popen([sys.executable, "-c", f"import os, sys; {code}"]) as other:
        process_group._watch(other, group, work)
    assert [type(error) for error in work.failed] == ends


def test_exit_now_flushes_output_and_skips_the_interpreters_shutdown() -> None:
    code = """
import atexit, sys
from backend.training.distributed import process_group
atexit.register(print, "the interpreter ends")
print("printed")
print("logged", file=sys.stderr)
process_group.exit_now(5)
"""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (5, "printed\n", "logged\n")
    full = code.replace(
        "process_group.exit_now", "sys.stdout.flush = lambda: 1 / 0  # the disk is full\nprocess_group.exit_now"
    )
    assert subprocess.run([sys.executable, "-c", full], capture_output=True, env=environment).returncode == 5


WORKER_OUT_OF_MEMORY = """
import runpy
from backend.training.train_step import TrainStep
def learn(*_): raise MemoryError
TrainStep.compute_gradients = learn
runpy.run_module("backend.training.distributed.worker", run_name="__main__")
"""


@pytest.mark.slow
def test_another_process_out_of_memory_is_reported_as_out_of_memory(tiny_model: Path, tmp_path: Path) -> None:
    code = WORKER.replace("result = training.run(work)\n", f"""
from backend.training.distributed import process_group
process_group._WORKER = ("-c", {WORKER_OUT_OF_MEMORY!r})
try:
    training.run(work)
except ApprenticeError as error:
    print(type(error).__name__)
    sys.exit()
""", 1)  # fmt: skip
    command = [sys.executable, "-c", code, str(tmp_path / "run"), str(tiny_model), '{"num_processes": 2}', "null"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.stdout.split() == ["OutOfMemory"], done.stderr[-2000:]


@pytest.mark.parametrize(
    ("settings", "places", "why"),
    [
        ({"num_processes": 4}, ["0", "1"], "There are 2 GPUs"),
        ({"num_processes": 2, "per_device_train_batch_size": 1}, ["0", "1"], "1 examples per step"),
        ({"num_processes": 16}, [], "cores"),
    ],
)
def test_more_processes_than_gpus_cores_or_rows_are_rejected(
    settings: dict[str, Any], places: list[str], why: str
) -> None:
    with pytest.raises(BadSetting) as refused:
        process_group.check(TrainSettings(**settings), places)
    assert why in refused.value.why


def test_on_windows_several_gpus_are_refused_and_processors_connect_without_libuv(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch.distributed as dist  # before the system changes

    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(BadSetting) as refused:
        process_group.check(TrainSettings(num_processes=2), ["GPU-a", "GPU-b"])
    assert "NCCL" in refused.value.why
    options: dict[str, Any] = {}
    monkeypatch.setattr(dist, "TCPStore", lambda *_, **named: options.update(named))
    monkeypatch.setattr(dist, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(os, "environ", {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"})
    process_group._connect(0, 2)
    assert options["use_libuv"] is False


def test_each_row_goes_to_one_process() -> None:
    rows = list(range(7))
    shares = [process_group.ProcessGroup(rank, 3).share(rows) for rank in range(3)]
    assert sorted(row for share in shares for row in share) == rows
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
