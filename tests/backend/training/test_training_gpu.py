"""On a GPU: every precision and method trains, resumes and is verified. Run with -m gpu."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.estimate import plan_from
from backend.estimate.memory import MARGIN, memory
from backend.models import catalogue
from backend.records.encoded import Encoded
from backend.records.specs import Gpu, Hardware, Precision, TrainSettings
from backend.training.collate import Collator
from backend.training.device import Device
from backend.training.loss import summed_loss, token_losses
from backend.training.model import load
from tests.backend.tiny_run import make_model, make_pairs_run, make_run, run_of
from tests.backend.training.test_packing import rows_of

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::FutureWarning")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_micro_batch_does_not_wait_for_the_gpu(model: Path, packed: bool) -> None:
    import torch

    device = Device("cuda", "bf16")
    net, collator = load(model, TrainSettings(), device).to("cuda"), Collator(0, "cuda", packed=packed)
    with device.autocast():
        summed_loss(net, collator(rows_of())).backward()  # the first one allocates and waits
        torch.cuda.set_sync_debug_mode("error")
        try:
            summed_loss(net, collator(rows_of())).backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "settings",
    [
        {"precision": "bf16"},
        {"precision": "fp16"},  # as on GPUs before compute capability 8
        {"precision": "fp32"},
        {"precision": "auto", "method": "qlora"},
        {"precision": "fp16", "method": "qlora"},
        {"precision": "auto", "method": "full", "learning_rate": 1e-3},
        {"precision": "auto", "packing": True},
        {"precision": "auto", "gradient_checkpointing": True},
        {"precision": "auto", "use_dora": True},
        {"precision": "fp16", "method": "qlora", "use_rslora": True, "packing": True},
    ],
    ids=str,
)
def test_it_learns_and_resumes(model: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    work = make_run(tmp_path, model, **settings)
    work.stop_at = 7
    assert training.run(work)["state"] == "stopped"
    work.stop_at = None
    result = training.run(work)
    assert result["state"] == "completed"
    assert result["eval_loss"] < result["first_eval_loss"]
    assert result["weights_changed"] is result["base_unchanged"] is True
    assert [event["step"] for event in work.events_of("step")] == list(range(1, 16))
    assert 0 < result["peak_memory_mib"] < 2048


@pytest.mark.parametrize("settings", [{"precision": "auto"}, {"precision": "fp16", "method": "qlora"}], ids=str)
def test_it_learns_the_difference_of_pairs(model: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    result = training.run(make_pairs_run(tmp_path, model, **settings))
    assert result["eval_loss"] < result["first_eval_loss"]
    assert result["reward_accuracy"] > 0.7


def test_flash_attention_keeps_packed_rows_apart(model: Path) -> None:
    """Each token has the same loss as with plain attention in its row alone."""
    import torch
    from transformers.utils import is_flash_attn_2_available

    if not is_flash_attn_2_available():
        pytest.skip("flash-attn is optional")
    device = Device("cuda", "bf16")
    net = load(model, TrainSettings(), device).to("cuda")
    assert net.config._attn_implementation == "flash_attention_2"
    some, plain = rows_of(), Collator(0, "cuda")
    with torch.no_grad():
        packed = token_losses(net, Collator(0, "cuda", packed=True)(some))
        net.set_attn_implementation("eager")
        alone = torch.cat([token_losses(net, plain([row])) for row in some])
    assert torch.allclose(packed, alone, atol=0.05)


def test_qlora_needs_the_estimated_memory(bundled_model: Path, tmp_path: Path) -> None:
    """The memory reserved on the GPU against the estimate without the CUDA context, which torch does not count."""
    import torch

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    draw = random.Random(0)
    ids = [[draw.randrange(100, 40_000) for _ in range(512)] for _ in range(12)]
    settings: dict[str, Any] = {
        "method": "qlora",
        "max_steps": 3,
        "per_device_train_batch_size": 4,
        "max_length": 512,
    }
    work = run_of(
        tmp_path, bundled_model, [Encoded(one, one) for one in ids], [],
        **settings, precision="auto", lora_dropout=0.0, learning_rate=2e-4,
    )  # fmt: skip
    measured = training.run(work)["peak_memory_mib"]
    total, free = (size >> 20 for size in reversed(torch.cuda.mem_get_info()))
    capability = torch.cuda.get_device_capability()
    card = Gpu(name="", memory_total_mib=total, memory_free_mib=free, compute_capability=capability)
    precision: Precision = "bf16" if capability >= (8, 0) else "fp16"
    architecture = catalogue.default().architecture
    found = memory(architecture, plan_from(TrainSettings(**settings), precision), Hardware(gpus=(card,)))
    assert measured == pytest.approx(found.total_mib - found.parts["CUDA context"], rel=MARGIN - 1)
