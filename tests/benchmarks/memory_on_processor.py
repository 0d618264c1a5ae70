"""How near the memory estimate for the processor comes to what training takes there.

Ours: `backend.estimate`, against the peak resident memory of real runs of the embedded model (three optimizer steps
each, in a process of its own), over the configurations below. What the programs take was read from the first
14; the others were measured afterwards and changed nothing. Peer: none states a figure for the processor; a rule of
thumb stands in for one, four times the weights' size beside the programs.

Run: python -m tests.benchmarks.memory_on_processor [NUMBER ...] (all takes about six minutes on two cores). The last
line is JSON: mean absolute errors in percent; ratio is peer / ours.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from backend.estimate import plan_from
from backend.estimate.memory import PROGRAMS_MIB, memory
from backend.models import catalogue
from backend.records.specs import ATTENTION, Hardware, TrainSettings

STEPS = 3
LEARNED = 0.5
CONFIGURATIONS: tuple[dict[str, Any], ...] = (
    {"per_device_train_batch_size": 8, "max_length": 128},
    {"per_device_train_batch_size": 8, "max_length": 256},
    {"per_device_train_batch_size": 8, "max_length": 512},
    {"per_device_train_batch_size": 4, "max_length": 1024},
    {"per_device_train_batch_size": 1, "max_length": 2048},
    {"per_device_train_batch_size": 2, "max_length": 256},
    {"per_device_train_batch_size": 8, "max_length": 512, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 4, "max_length": 1024, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 8, "max_length": 256, "lora_rank": 64},
    {"per_device_train_batch_size": 8, "max_length": 256, "target_modules": ATTENTION},
    {"per_device_train_batch_size": 4, "max_length": 256, "precision": "fp32"},
    {"per_device_train_batch_size": 8, "max_length": 128, "method": "full"},
    {"per_device_train_batch_size": 4, "max_length": 256, "method": "qlora"},
    {"per_device_train_batch_size": 16, "max_length": 64},
    {"per_device_train_batch_size": 8, "max_length": 256, "use_dora": True},
    {"per_device_train_batch_size": 2, "max_length": 128, "use_dora": True},
    {"per_device_train_batch_size": 4, "max_length": 512, "use_dora": True, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 4, "max_length": 256, "use_dora": True, "method": "qlora"},
    {"per_device_train_batch_size": 3, "max_length": 384},
    {"per_device_train_batch_size": 6, "max_length": 768, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 2, "max_length": 1536},
    {"per_device_train_batch_size": 4, "max_length": 200, "lora_rank": 32, "target_modules": ATTENTION},
    {"per_device_train_batch_size": 2, "max_length": 320, "method": "full"},
    {"per_device_train_batch_size": 8, "max_length": 96, "method": "qlora", "gradient_checkpointing": True},
    {"per_device_train_batch_size": 2, "max_length": 512, "precision": "fp32"},
)
FITTED = 14  # what the programs take was read from the first so many; the others were measured afterwards


def settings_of(number: int) -> TrainSettings:
    return TrainSettings.model_validate({"precision": "bf16", **CONFIGURATIONS[number], "max_steps": STEPS})


def predicted(settings: TrainSettings) -> float:
    """MiB by our estimate."""
    plan = plan_from(settings, "fp32" if settings.precision == "fp32" else "bf16")
    plan = plan.model_copy(update={"learned_share": LEARNED})
    return memory(catalogue.default().architecture, plan, Hardware()).total_mib


def measured(number: int, model: Path) -> dict[str, float]:
    """Peak MiB of a run in a process of its own, and tokens a second."""
    command = [sys.executable, "-m", "tests.benchmarks.memory_on_processor", "--child", str(number), str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def child(number: int, model: Path) -> dict[str, float]:
    from backend import training
    from backend.records.encoded import Encoded
    from tests.backend.tiny_run import run_of

    settings = settings_of(number)
    length = settings.max_length
    learned = int(length * LEARNED)
    draw = random.Random(number)
    rows = []
    for _ in range(settings.per_device_train_batch_size * STEPS):
        ids = [draw.randrange(100, 40_000) for _ in range(length)]
        rows.append(Encoded(ids, [-100] * (length - learned) + ids[-learned:]))
    with tempfile.TemporaryDirectory() as folder:
        result = training.run(run_of(Path(folder), model, rows, [], **settings.model_dump()))
    return {"mib": result["peak_memory_mib"], "tokens_per_second": result["tokens_per_second"]}


def main(numbers: list[int]) -> None:
    from backend.models import bundled
    from backend.settings import Workspace

    with tempfile.TemporaryDirectory() as home:
        model = bundled.ensure(Workspace.open(Path(home)))
        ours, peers = [], []
        weights = catalogue.default().parameters * 2 / 2**20
        for number in numbers:
            settings = settings_of(number)
            found = measured(number, model)
            expected = predicted(settings)
            ours.append(100 * (expected / found["mib"] - 1))
            peers.append(100 * ((PROGRAMS_MIB + 4 * weights) / found["mib"] - 1))
            print(
                f"{number:2} {CONFIGURATIONS[number]}: measured {found['mib']:.0f} MiB, "
                f"expected {expected:.0f} ({ours[-1]:+.1f} %), {found['tokens_per_second']:.0f} tokens/s",
                flush=True,
            )
    apart = [abs(one) for number, one in zip(numbers, ours, strict=True) if number >= FITTED]
    if apart:
        print(f"not fitted: mean error {mean(apart):.2f} %, worst {max(apart):.1f} %")
    ours_mean, peer_mean = mean(map(abs, ours)), mean(map(abs, peers))
    print(
        json.dumps(
            {
                "name": "memory_on_processor",
                "ours": round(ours_mean, 2),
                "peer": round(peer_mean, 2),
                "ratio": round(peer_mean / ours_mean, 1),
                "unit": "mean absolute error in percent of the process's peak memory",
                "worst": round(max(map(abs, ours)), 1),
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(int(sys.argv[2]), Path(sys.argv[3]))))
    else:
        main([int(number) for number in sys.argv[1:]] or list(range(len(CONFIGURATIONS))))
