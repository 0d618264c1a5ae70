"""Peak memory of short training runs on the processor, measured and estimated; shared by two benchmarks."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from backend.estimate import Architecture, plan_from
from backend.estimate.memory import PROGRAMS_MIB, memory
from backend.records.specs import Hardware, TrainSettings

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
    return in_child("tests.benchmarks.peak_memory", "train", str(model), settings.model_dump_json())


def in_child(module: str, function: str, *arguments: str) -> dict[str, float]:
    """Calls `module.function` with `arguments` in another process. Exits with its error output if it fails."""
    program = f"import json, sys; from {module} import {function} as f; print(json.dumps(f(*sys.argv[1:])))"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def train(model: str, settings_json: str) -> dict[str, float]:
    """Trains on rows of random tokens; imports torch."""
    from backend import training
    from backend.models import catalogue
    from backend.records.encoded import Encoded
    from tests.backend.tiny_run import run_of

    settings = TrainSettings.model_validate_json(settings_json)
    vocabulary = catalogue.from_folder(Path(model)).architecture.vocab_size
    learned = int(settings.max_length * LEARNED)
    draw = random.Random(0)
    rows = []
    for _ in range(settings.per_device_train_batch_size * STEPS):
        ids = [draw.randrange(min(100, vocabulary // 2), vocabulary) for _ in range(settings.max_length)]
        rows.append(Encoded(ids, [-100] * (settings.max_length - learned) + ids[-learned:]))
    with tempfile.TemporaryDirectory() as folder:
        result = training.run(run_of(Path(folder), Path(model), rows, [], **settings.model_dump()))
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
