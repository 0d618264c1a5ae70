"""A model sharded over two processes learns the same as in one, and each holds about half of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadSetting
from backend.hardware.gpu_choice import usable_gpus
from backend.records.specs import TrainSettings
from backend.settings import PROJECT_ROOT, child_environment
from backend.training import oom
from backend.training.distributed import process_group, sharding
from tests.backend.training.distributed.test_group import trained

# Two processes without a trainer: one pass through a sharded model and through a whole one.
PAIR = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
import torch, torch.distributed as dist
from transformers import AutoModelForCausalLM
from backend.records.specs import TrainSettings
from backend.training import samples
from backend.training.distributed import sharding, process_group
from backend.training.device import Device
from tests.backend.tiny_run import local_bytes
rank, model, folder, kind = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]
dist.init_process_group("gloo", init_method=f"file://{folder}/{kind}", rank=rank, world_size=2)
settings = TrainSettings(method="full", num_processes=2, sharding=kind)
net, alone = (AutoModelForCausalLM.from_pretrained(model) for _ in range(2))
everything = local_bytes(net.parameters())
sharding.shard(net, settings, "cpu")
ids = torch.tensor([[5, 6, 7, 8], [9, 8, 7, 6]])
net(ids[rank : rank + 1], labels=ids[rank : rank + 1]).loss.backward()
sum(alone(row[None], labels=row[None]).loss for row in ids).backward()
whole = dict(alone.named_parameters())
far = max(float((sharding.full_tensor(p.grad) - whole[n].grad).abs().max()) for n, p in net.named_parameters())
never, at_once = [10**6], range(len(whole["model.embed_tokens.weight"]))
words = SimpleNamespace(pad_id=0, stop_ids=never if rank else at_once, decode=lambda ids: str(len(ids)))
(answer,) = samples.generate(net, words, Device("cpu", "fp32"), [[5, 6]], 4)
sharding.reshard(net)
tensors = net.parameters(), (p.grad for p in net.parameters())
shares = [local_bytes(some) / everything for some in tensors]
kept = sharding.gather(dict(net.named_parameters()), keep=True)
same = all(torch.equal(kept[n], p) for n, p in whole.items())
for parameter in net.parameters():
    sharding.copy_into(torch.full(parameter.shape, 2.0), parameter)
    assert sharding.shard_like(torch.ones(3, 3, 3), parameter).shape == (3, 3, 3)
    numbers = torch.arange(parameter.numel()).float().view(parameter.shape)
    assert torch.equal(sharding.full_tensor(sharding.shard_like(numbers, parameter)), numbers)
twos = all((sharding.full_tensor(p) == 2).all() for p in net.parameters())
print(json.dumps({"far": far, "shares": shares, "same": bool(same), "twos": bool(twos), "answer": answer}))
dist.barrier()
process_group.exit_now(0)
"""


@pytest.mark.parametrize("kind", ["fsdp", "zero2"])
def test_each_process_holds_half_and_gradients_are_those_of_the_whole(
    tiny_model: Path, tmp_path: Path, kind: str
) -> None:
    environment = {**child_environment(), "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PAIR, str(rank), str(tiny_model), str(tmp_path), kind],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    for answer, process in zip(("1", "4"), both, strict=True):  # tokens: one process finishes early
        printed, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors[-3000:]
        report = json.loads(printed.splitlines()[-1])
        assert report["far"] < 1e-6
        assert report["shares"] == pytest.approx([0.5, 0.5], abs=0.05)
        assert report["same"]
        assert report["twos"]
        assert report["answer"] == answer


WAYS = [("lora", "fsdp"), ("full", "fsdp"), ("full", "zero2")]


@pytest.mark.slow
def test_two_steps_of_a_sharded_run(tiny_model: Path, tmp_path: Path) -> None:
    """Each process has its own random state, and all of them are saved."""
    from safetensors.torch import load_file

    divided: dict[str, Any] = {"num_processes": 2, "sharding": "fsdp", "lora_dropout": 0.3}
    report = trained(tmp_path, tiny_model, max_steps=2, **divided)
    assert len(report["losses"]) == 2
    assert report["samples"] > 0
    assert report["result"]["weights_changed"] is True
    assert report["shares"] == pytest.approx([0.5, 0.5], abs=0.06)
    states = load_file(tmp_path / "checkpoints" / "step-2" / "rng.safetensors")
    assert not states["cpu.0"].equal(states["cpu.1"])


@pytest.mark.slow
@pytest.mark.parametrize(("method", "kind"), [*WAYS, ("full", "none")])
def test_a_sharded_run_learns_what_one_process_does(tiny_model: Path, tmp_path: Path, method: str, kind: str) -> None:
    """The two processes are stopped after the fourth step, and resume exactly as without the stop."""
    both: dict[str, Any] = {"method": method, "learning_rate": 1e-3}
    divided = {**both, "per_device_train_batch_size": 8, "num_processes": 2, "sharding": kind}
    one = trained(tmp_path / "one", tiny_model, per_device_train_batch_size=4, gradient_accumulation_steps=2, **both)
    through = trained(tmp_path / "through", tiny_model, **divided)
    stopped = trained(tmp_path / "two", tiny_model, 4, **divided)
    two = trained(tmp_path / "two", tiny_model, **divided)
    assert stopped["result"]["state"] == "stopped"
    assert len(one["losses"]) == 10
    assert through["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert {**stopped["losses"], **two["losses"]} == through["losses"]
    assert through["norms"] == pytest.approx(one["norms"], rel=1e-4)
    assert stopped["norms"] + two["norms"] == through["norms"]
    assert through["tests"] == pytest.approx(one["tests"], abs=1e-5)
    assert two["result"]["weights_changed"] is True
    assert two["result"]["base_unchanged"] is True
    assert through["samples"] == one["samples"] > 0
    assert through["result"]["trainable_parameters"] == one["result"]["trainable_parameters"]
    for share in through["shares"]:  # of the weights, of the optimizer's state
        assert share == pytest.approx(0.5, abs=0.06)
    assert bool(through["shares"]) is (kind != "none")
    mine, theirs, resumed = (_saved(tmp_path / name) for name in ("one", "through", "two"))
    assert mine.keys() == theirs.keys()
    assert all((mine[name] - theirs[name]).abs().max() < 1e-4 for name in mine)
    assert all(bool((theirs[name] == resumed[name]).all()) for name in theirs)


def _saved(run: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(next((run / "result").glob("*/*.safetensors")))


@pytest.mark.slow
def test_uneven_packs_and_gradient_checkpointing_do_not_hang(tiny_model: Path, tmp_path: Path) -> None:
    """One process may have more packs than the other; with 37 rows by 4, the last step has one row for both."""
    shared: dict[str, Any] = {"num_processes": 2, "sharding": "fsdp", "num_train_epochs": 1}
    report = trained(tmp_path / "one", tiny_model, packing=True, max_length=16, **shared)
    assert len(report["losses"]) == 5
    report = trained(
        tmp_path / "two", tiny_model, per_device_train_batch_size=4, gradient_checkpointing=True, **shared
    )
    assert len(report["losses"]) == 10


@pytest.mark.gpu
@pytest.mark.parametrize(("method", "kind"), WAYS)
def test_two_gpus_share_a_model(tiny_model: Path, tmp_path: Path, method: str, kind: str) -> None:
    if len(usable_gpus()) < 2:
        pytest.skip("needs two cards")
    both: dict[str, Any] = {"method": method, "learning_rate": 1e-3}
    one = trained(tmp_path / "one", tiny_model, per_device_train_batch_size=4, gradient_accumulation_steps=2, **both)
    two = trained(tmp_path / "two", tiny_model, per_device_train_batch_size=8, num_processes=2, sharding=kind, **both)
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-3)
    assert two["result"]["weights_changed"] is True
    assert two["shares"][0] == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"sharding": "fsdp"}, "one process"),
        ({"sharding": "fsdp", "num_processes": 2, "method": "qlora"}, "4-bit"),
        ({"sharding": "zero2", "num_processes": 2, "method": "lora"}, "LoRA adapter"),
        ({"sharding": "fsdp", "num_processes": 2, "trainer": "dpo"}, "single answers"),
    ],
)
def test_impossible_sharding_is_rejected(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(BadSetting) as refused:
        process_group.check(TrainSettings(**settings), ["0", "1"])
    assert why in refused.value.why
    *more, last = refused.value.next.removeprefix("Set ").removesuffix(".").split(", or ")
    assert more == (["num_processes to the number of graphics cards"] if "num_processes" not in settings else [])
    name, value = last.split(" to ")
    assert str(settings[name]) != value


def test_a_sharded_model_is_not_retried_in_4_bit() -> None:
    used = TrainSettings(per_device_train_batch_size=1, gradient_checkpointing=True)
    assert oom.next_rung(used, used, can_quantize=True) is not None
    divided = used.changed(num_processes=2, sharding="fsdp", per_device_train_batch_size=1)
    assert oom.next_rung(divided, divided, can_quantize=True) is None


def test_an_unsharded_model_is_left_as_it_is() -> None:
    import torch

    layer = torch.nn.Linear(3, 2)
    assert sharding.full_tensor(layer.weight).data_ptr() == layer.weight.data_ptr()
    sharding.copy_into(torch.ones(2, 3), layer.weight)
    assert layer.weight.sum() == 6
    sharding.reshard(layer)
