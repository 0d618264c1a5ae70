"""The real peak of memory against the estimate and the dry run, and the real speed against the dry run's."""

import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.estimate import plan_from
from backend.estimate.memory import MARGIN, Memory, memory
from backend.models import catalogue
from backend.records.encoded import Encoded
from backend.records.machine import Gpu, Hardware
from backend.records.specs import RunSpec, TrainSettings
from backend.records.units import MIB
from backend.training.dry_run import run_steps
from tests.backend.tiny_run import FakeWork, run_of
from tests.benchmarks.measuring import in_fresh_process
from tests.gpu.place import Place

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::FutureWarning")]

WARM_UP = 4  # steps that are not timed


@pytest.mark.parametrize(
    ("method", "checkpointing", "optim"),
    [
        ("lora", False, "adamw"), ("lora", True, "adamw"), ("qlora", True, "adamw"), ("full", True, "adamw"),
        ("full", True, "adamw_8bit"),
    ],
)  # fmt: skip
def test_the_dry_run_and_the_estimate_foretell_the_run(
    place: Place, middle: Path, tmp_path: Path, method: str, checkpointing: bool, optim: str,
    record: Callable[..., None],
) -> None:  # fmt: skip
    settings: dict[str, Any] = {
        "method": method, "gradient_checkpointing": checkpointing, "per_device_train_batch_size": place.micro,
        "max_length": place.tokens, "max_steps": 16, "optim": optim, "learning_rate": 1e-4, "lora_dropout": 0.0,
        "precision": place.precision(),
    }  # fmt: skip
    rows = place.rows(16 * place.micro)
    expected = estimated(place, middle, settings, max(row.tokens for row in rows))
    if place.is_card and expected.total_mib * MARGIN > free_mib():
        pytest.skip(f"this card has too little memory for {method}: about {expected.total_mib:.0f} MiB are needed")
    tried = run_of(tmp_path / "tried", middle, rows, rows[:4], **settings)
    dry = run_steps(tried.folder, RunSpec.model_validate(tried.spec), time.time(), math.inf, not place.is_card)
    place.clean()
    work = run_of(tmp_path / "real", middle, rows, rows[:4], **settings)
    peak = training.run(work).peak_memory_mib
    speed = tokens_per_second(work)
    case = f"{method}{', checkpointing' if checkpointing else ''}{', 8-bit AdamW' if optim != 'adamw' else ''}"
    record("Peak memory", case, f"{peak} MiB", f"estimate {expected.total_mib:.0f}, dry run {dry['memory_mib']}")
    record("Tokens per second", case, f"{speed:.0f}", f"dry run {dry['tokens_per_second']:.0f}")
    assert len(work.losses()) == 16
    assert math.isfinite(speed)
    if place.is_card:  # elsewhere the process is full of other tests
        assert without_context(expected) / MARGIN < peak - expected.parts["CUDA context"]
        assert peak < expected.total_mib * MARGIN
        assert dry["memory_mib"] == pytest.approx(peak, rel=MARGIN - 1)
        assert dry["tokens_per_second"] == pytest.approx(speed, rel=0.5)


def test_qlora_needs_the_estimated_memory(
    place: Place, tiny: Path, request: pytest.FixtureRequest, tmp_path: Path, record: Callable[..., None]
) -> None:
    """The bundled model (on the processor the tiny one), all of whose tokens are learned."""
    model = request.getfixturevalue("bundled_model") if place.is_card else tiny
    length, top = (512, 40_000) if place.is_card else (20, 40)
    draw = random.Random(0)
    ids = [[draw.randrange(5, top) for _ in range(length)] for _ in range(12)]
    settings: dict[str, Any] = {
        "method": "qlora", "max_steps": 3, "per_device_train_batch_size": 4, "max_length": length,
        "lora_dropout": 0.0, "learning_rate": 2e-4, "precision": place.precision(),
    }  # fmt: skip
    work = run_of(tmp_path, model, [Encoded(one, one) for one in ids], [], **settings)
    peak = training.run(work).peak_memory_mib
    expected = estimated(place, model, settings, length, learned_share=1.0)
    record("Peak memory", "qlora, every token learned", f"{peak} MiB", f"estimate {expected.total_mib:.0f}")
    assert not place.is_card or peak == pytest.approx(expected.total_mib, rel=MARGIN - 1)


def test_growing_segments_need_no_more_than_estimated(
    place: Place, middle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Callable[..., None]
) -> None:
    """In a process of its own, as a training runs: on Linux torch's segments grow there, which is not estimated."""
    monkeypatch.delenv("PYTORCH_ALLOC_CONF", raising=False)
    settings: dict[str, Any] = {
        "method": "lora", "gradient_checkpointing": True, "per_device_train_batch_size": place.micro,
        "max_length": place.tokens, "max_steps": 16, "learning_rate": 1e-4, "lora_dropout": 0.0,
        "precision": place.precision(),
    }  # fmt: skip
    rows = place.rows(16 * place.micro)
    expected = estimated(place, middle, settings, max(row.tokens for row in rows))
    peak = in_fresh_process(peak_of_a_run, tmp_path, middle, rows, settings)
    record("Peak memory", "lora, checkpointing, own process", f"{peak} MiB", f"estimate {expected.total_mib:.0f}")
    assert peak > 0
    assert not place.is_card or peak < expected.total_mib * MARGIN


def peak_of_a_run(folder: Path, model: Path, rows: list[Encoded], settings: dict[str, Any]) -> int:
    return int(training.run(run_of(folder, model, rows, rows[:4], **settings)).peak_memory_mib)


def estimated(
    place: Place, model: Path, settings: dict[str, Any], longest: int, learned_share: float = 0.5
) -> Memory:
    """The estimate for this card (on the processor, for that)."""
    import torch

    gpus: tuple[Gpu, ...] = ()
    if place.is_card:
        free, total = (size // MIB for size in torch.cuda.mem_get_info())
        capability = torch.cuda.get_device_capability()
        gpus = (Gpu(name="", memory_total_mib=total, memory_free_mib=free, compute_capability=capability),)
    plan = plan_from(TrainSettings(**settings), place.precision(), longest=longest)
    plan = plan.model_copy(update={"learned_share": learned_share})
    return memory(catalogue.from_folder(model).architecture, plan, Hardware(gpus=gpus))


def without_context(expected: Memory) -> float:
    return expected.total_mib - expected.parts["CUDA context"]


def free_mib() -> int:
    import torch

    return int(torch.cuda.mem_get_info()[0]) // MIB


def tokens_per_second(work: FakeWork) -> float:
    """Of the steps after the first ones, without padding."""
    steps = work.events_of("step")[WARM_UP:]
    seconds = sum(step["seconds"] for step in steps)
    return sum(step["tokens_per_second"] * step["seconds"] for step in steps) / seconds
