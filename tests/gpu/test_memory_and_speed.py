"""The real peak of memory against the estimate and the dry run, and the real speed
against the dry run's.
"""

import math
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.estimate import plan_from, reading
from backend.estimate.architecture import Architecture
from backend.estimate.memory import MARGIN, Memory, memory
from backend.models import catalogue
from backend.records.encoded import Encoded
from backend.records.machine import Gpu, Hardware
from backend.records.specs import RunSpec, TrainSettings
from backend.records.units import MIB
from backend.training.dry_run import run_steps
from tests.backend.tiny_run import FakeWork, run_of
from tests.benchmarks.measuring import in_fresh_process
from tests.gpu.place import SHAPES, Place, Record, random_llama

pytestmark = pytest.mark.gpu

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
    record: Record,
) -> None:  # fmt: skip
    settings: dict[str, Any] = {
        "method": method, "gradient_checkpointing": checkpointing, "per_device_train_batch_size": place.micro,
        "max_length": place.tokens, "max_steps": 16, "optim": optim, "learning_rate": 1e-4, "lora_dropout": 0.0,
        "precision": place.precision(),
    }  # fmt: skip
    rows = place.rows(16 * place.micro)
    shape = catalogue.from_folder(middle).architecture
    expected = estimated(place, shape, settings, max(row.tokens for row in rows))
    if place.is_card and expected.total_mib * MARGIN > free_mib():
        pytest.skip(
            f"this card has too little memory for {method}: about {expected.total_mib:.0f} MiB are needed"
        )
    tried = run_of(tmp_path / "tried", middle, rows, rows[:4], **settings)
    dry = run_steps(
        tried.folder,
        RunSpec.model_validate(tried.spec),
        time.time(),
        math.inf,
        not place.is_card,
    )
    place.clean()
    work = run_of(tmp_path / "real", middle, rows, rows[:4], **settings)
    peak = training.run(work).peak_memory_mib
    speed = tokens_per_second(work)
    case = f"{method}{', checkpointing' if checkpointing else ''}{', 8-bit AdamW' if optim != 'adamw' else ''}"
    record(
        "Peak memory",
        case,
        f"{peak} MiB",
        f"estimate {expected.total_mib:.0f}, dry run {dry['memory_mib']}",
    )
    record(
        "Tokens per second",
        case,
        f"{speed:.0f}",
        f"dry run {dry['tokens_per_second']:.0f}",
    )
    assert len(work.losses()) == 16
    assert math.isfinite(speed)
    if place.is_card:  # elsewhere the process is full of other tests
        assert (
            without_context(expected) / MARGIN < peak - expected.parts["CUDA context"]
        )
        assert peak < expected.total_mib * MARGIN
        assert dry["memory_mib"] == pytest.approx(peak, rel=MARGIN - 1)
        assert dry["tokens_per_second"] == pytest.approx(speed, rel=0.5)


def test_a_large_model_fills_the_card(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    """QLoRA of up to 8B, every token learned, with as many rows at a time as the
    estimate allows; in a process of its own, as a training runs: on Linux torch's
    segments grow there, which is not estimated.
    """
    from transformers import LlamaConfig

    sizes = list(SHAPES.items()) if place.is_card else [("tiny", place.shape)]
    room = (
        min(free_mib(), shutil.disk_usage(tmp_path).free // MIB)
        if place.is_card
        else 1000
    )
    shapes = [
        reading.from_values(
            LlamaConfig(**shape, tie_word_embeddings=True).to_dict(), size
        )
        for size, shape in sizes
    ]
    (size, shape), architecture = [
        both
        for both in zip(sizes, shapes, strict=True)
        if 2.2 * both[1].params < room * MIB
    ][-1]
    settings: dict[str, Any] = {
        "method": "qlora", "gradient_checkpointing": True, "per_device_train_batch_size": 1, "learning_rate": 1e-4,
        "max_length": place.tokens, "max_steps": 3, "lora_dropout": 0.0, "precision": place.precision(),
    }  # fmt: skip
    expected = estimated(place, architecture, settings, place.tokens, learned_share=1.0)
    while (rows := 2 * settings["per_device_train_batch_size"]) <= (
        64 if place.is_card else 2
    ):
        more = {**settings, "per_device_train_batch_size": rows}
        needed = estimated(place, architecture, more, place.tokens, learned_share=1.0)
        if needed.total_mib * MARGIN > room:
            break
        settings, expected = more, needed
    rows = settings["per_device_train_batch_size"]
    model = random_llama(tmp_path / "model", place.kind, shape)
    place.clean()
    learned = [
        Encoded(row.input_ids, row.input_ids)
        for row in place.rows(6 * rows, shortest=place.tokens)
    ]
    monkeypatch.delenv("PYTORCH_ALLOC_CONF", raising=False)
    peak, changed = in_fresh_process(
        peak_of_a_run, tmp_path / "run", model, learned, settings
    )
    case = f"{size}, QLoRA, {rows} rows of {place.tokens} tokens"
    record(
        "A full card",
        case,
        f"{peak} of {room} MiB",
        f"estimate {expected.total_mib:.0f} MiB",
    )
    assert changed == {}
    assert peak > 0
    assert (
        not place.is_card
        or without_context(expected) / MARGIN < peak < expected.total_mib * MARGIN
    )


def peak_of_a_run(
    folder: Path, model: Path, rows: list[Encoded], settings: dict[str, Any]
) -> tuple[int, dict[str, object]]:
    result = training.run(run_of(folder, model, rows, rows[:1], **settings))
    return result.peak_memory_mib, result.settings_changed


def estimated(
    place: Place,
    model: Architecture,
    settings: dict[str, Any],
    longest: int,
    learned_share: float = 0.5,
) -> Memory:
    """The estimate for this card (on the processor, for that)."""
    import torch

    gpus: tuple[Gpu, ...] = ()
    if place.is_card:
        free, total = (size // MIB for size in torch.cuda.mem_get_info())
        capability = torch.cuda.get_device_capability()
        gpus = (
            Gpu(
                name="",
                memory_total_mib=total,
                memory_free_mib=free,
                compute_capability=capability,
            ),
        )
    plan = plan_from(TrainSettings(**settings), place.precision(), longest=longest)
    plan = plan.model_copy(update={"learned_share": learned_share})
    return memory(model, plan, Hardware(gpus=gpus))


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
