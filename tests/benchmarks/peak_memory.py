"""Peak memory of short training runs on the processor, measured and estimated; shared by two benchmarks."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from backend.estimate import Architecture, plan_from
from backend.estimate.memory import PROGRAMS_MIB, memory
from backend.records.machine import Hardware
from backend.records.specs import TrainSettings
from tests.benchmarks.fresh_process import in_fresh_process

STEPS = 3
LEARNED = 0.5  # of each row's tokens


def settings_of(**changes: Any) -> TrainSettings:
    return TrainSettings.model_validate({"precision": "bf16", **changes, "max_steps": STEPS})


def estimated(architecture: Architecture, settings: TrainSettings) -> float:
    """MiB by our estimate."""
    plan = plan_from(settings, "fp32" if settings.precision == "fp32" else "bf16")
    plan = plan.model_copy(update={"learned_share": LEARNED})
    return memory(architecture, plan, Hardware()).total_mib


def rule_of_thumb(parameters: int) -> float:
    """MiB by the peer's rule: four times the 16-bit weights, and what the programs take."""
    return PROGRAMS_MIB + 4 * parameters * 2 / 2**20


def measured(model: Path, settings: TrainSettings) -> dict[str, float]:
    """Peak MiB and tokens per second of a run in a process of its own."""
    return in_fresh_process(train, model, settings)


def train(model: Path, settings: TrainSettings) -> dict[str, float]:
    """Trains on rows of random tokens; imports torch."""
    from backend import training
    from backend.models import catalogue
    from backend.records.encoded import Encoded
    from tests.backend.tiny_run import run_of

    vocabulary = catalogue.from_folder(model).architecture.vocab_size
    learned = int(settings.max_length * LEARNED)
    draw = random.Random(0)
    rows = []
    for _ in range(settings.per_device_train_batch_size * STEPS):
        ids = [draw.randrange(min(100, vocabulary // 2), vocabulary) for _ in range(settings.max_length)]
        rows.append(Encoded(ids, [-100] * (settings.max_length - learned) + ids[-learned:]))
    with tempfile.TemporaryDirectory() as folder:
        result = training.run(run_of(Path(folder), model, rows, [], **settings.model_dump()))
    return {"mib": result["peak_memory_mib"], "tokens_per_second": result["tokens_per_second"]}


def summary(name: str, ours: list[float], peer: list[float]) -> str:
    """The last line of a benchmark. ours, peer: errors in percent."""
    ours_mean, peer_mean = mean(map(abs, ours)), mean(map(abs, peer))
    return json.dumps(
        {
            "name": name,
            "ours": round(ours_mean, 2),
            "peer": round(peer_mean, 2),
            "ratio": round(peer_mean / ours_mean, 1),
            "unit": "mean absolute error in percent of the process's peak memory",
            "worst": round(max(map(abs, ours)), 1),
        }
    )
