"""A model divided by torch's `fully_shard` trains on one card: the same calls as on several, with a single shard.

That two cards learn the same as one is tested where there are two (tests/backend/training/distributed).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.records.specs import TrainSettings
from backend.training import model
from backend.training.distributed import sharding
from tests.gpu.place import Place

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::FutureWarning")]


@pytest.fixture
def group(place: Place, tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    import torch.distributed as dist

    if place.is_card and not dist.is_nccl_available():
        pytest.skip("this PyTorch has no NCCL")
    backend = "cpu:gloo,cuda:nccl" if place.is_card else "gloo"
    dist.init_process_group(backend, init_method=(tmp_path / "group").as_uri(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize(("method", "kind"), [("lora", "fsdp"), ("full", "fsdp"), ("full", "zero2")])
def test_a_single_shard_trains(
    place: Place, group: None, tiny: Path, method: Any, kind: Any, record: Callable[..., None]
) -> None:
    """zero2 keeps weights and optimizer state in the computer's memory."""
    import torch

    settings = TrainSettings(method=method, sharding=kind, num_processes=2)
    device = place.device()
    net = model.build(tiny, "tests/tiny", settings, device)
    sharding.shard(net, settings, place.kind)
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, fused=True)
    ids = torch.randint(5, 40, (2, 8), device=place.kind)
    losses = []
    for _ in range(4):
        with device.autocast():
            loss = net(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    lies_on = {parameter.device.type for parameter in trained}
    fell = f"loss {losses[0]:.4f} to {losses[-1]:.4f}"
    record("One shard", f"{method}, {kind}", fell, f"weights on {', '.join(lies_on)}")
    assert sharding.is_sharded(net)
    assert losses[-1] < losses[0]
    assert lies_on == {"cpu" if kind == "zero2" else place.kind}
