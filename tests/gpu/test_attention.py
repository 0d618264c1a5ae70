"""Which of torch's attention kernels our batches get, with grouped keys: the one for any card is slow and large."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow
from backend.training.collate import Collator
from backend.training.loss import summed_loss
from backend.training.model import load
from tests.gpu.place import Place

pytestmark = pytest.mark.gpu

PREFIX = "aten::_scaled_dot_product_"


@pytest.mark.parametrize("packed", [False, True])
def test_the_kernels_that_sdpa_chooses(place: Place, middle: Path, packed: bool, record: Callable[..., None]) -> None:
    """Padded rows never get the kernel that stores all scores ("attention_math"). For packed rows, whose mask
    excludes the fastest kernel, the choice is recorded only. Where flash-attn is installed, it takes their place."""
    import torch

    device = place.device()
    net = load(middle, TrainSettings(), device).to(place.kind)
    net.set_attn_implementation("sdpa")
    collator = Collator(0, place.kind, packed=packed)
    some = [TokenRow(np.array(row.input_ids), np.array(row.labels), row.learned) for row in place.rows(2)]

    def step() -> None:
        net.zero_grad(set_to_none=True)
        with device.autocast():
            summed_loss(net, collator(some)).backward()

    took = place.milliseconds(step, 3)
    place.clean()
    chosen = kernels(step)
    peak = f", peak {torch.cuda.max_memory_allocated() >> 20} MiB" if place.is_card else ""
    case = f"{device.precision}, {'packed' if packed else 'padded'}"
    record("Kernels that sdpa chooses", case, ", ".join(sorted(chosen)), f"{took:.1f} ms a step{peak}")
    assert chosen
    assert packed or not any("math" in name for name in chosen)


def kernels(work: Callable[[], Any]) -> set[str]:
    """The names of torch's attention kernels in a piece of work, without their common start."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as found:
        work()
    names = {event.key for event in found.key_averages()}
    return {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX) and "backward" not in name}
