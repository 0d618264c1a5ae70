"""How near the memory estimate comes to what training takes, for each kind of model of the catalogue.

Ours: `backend.estimate`, against the peak resident memory of real runs on the processor (three optimizer steps each,
in a process of its own) of models with random weights: fewer and narrower layers than the real ones, of the same
kinds. Nothing was fitted to them. Peer: none states a figure for the processor; the same rule of thumb stands in for
one as in memory_on_processor.py.

Run: python -m tests.benchmarks.memory_of_families [KIND ...] (all takes about ten minutes on two cores). The last
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

from backend.estimate import plan_from, reading
from backend.estimate.memory import PROGRAMS_MIB, memory
from backend.models import catalogue
from backend.records.specs import Hardware, TrainSettings

STEPS = 3
LEARNED = 0.5
SHAPE: dict[str, Any] = {
    "vocab_size": 16384, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8,
    "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64, "max_position_embeddings": 4096,
    "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
FOURTH = [kind for _ in range(2) for kind in (*["sliding_attention"] * 3, "full_attention")]
KINDS: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen3": {},
    "olmo2": {},
    "olmo3": {"layer_types": FOURTH, "sliding_window": 256},
    "exaone4": {"layer_types": FOURTH, "sliding_window": 256},
    "hunyuan_v1_dense": {},
    "ernie4_5": {},
    "glm4": {"num_key_value_heads": 2},
    "qwen3_5_text": {"head_dim": 128, "linear_num_key_heads": 8, "linear_num_value_heads": 8},
}
CONFIGURATIONS: tuple[dict[str, Any], ...] = (
    {"per_device_train_batch_size": 4, "max_length": 512},
    {"per_device_train_batch_size": 8, "max_length": 192},
    {"per_device_train_batch_size": 8, "max_length": 768, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 2, "max_length": 512, "method": "full"},
    {"per_device_train_batch_size": 2, "max_length": 640, "precision": "fp32"},
)


def settings_of(number: int, targets: tuple[str, ...]) -> TrainSettings:
    chosen = {"precision": "bf16", **CONFIGURATIONS[number], "max_steps": STEPS, "target_modules": targets}
    return TrainSettings.model_validate(chosen)


def predicted(folder: Path, settings: TrainSettings) -> float:
    """MiB by our estimate."""
    plan = plan_from(settings, "fp32" if settings.precision == "fp32" else "bf16")
    plan = plan.model_copy(update={"learned_share": LEARNED})
    return memory(reading.read(folder / "config.json"), plan, Hardware()).total_mib


def apart(*arguments: str) -> dict[str, float]:
    """What this module prints when it is run in a process of its own with `arguments`."""
    command = [sys.executable, "-m", "tests.benchmarks.memory_of_families", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def make(kind: str, folder: Path) -> dict[str, float]:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tests.backend.tiny_run import make_model

    make_model(folder)
    config = CONFIG_MAPPING[kind](**{**SHAPE, **KINDS[kind]})
    config.save_pretrained(folder)
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    return {"parameters": model.num_parameters()}


def child(number: int, folder: Path) -> dict[str, float]:
    from backend import training
    from backend.records.encoded import Encoded
    from tests.backend.tiny_run import run_of

    settings = settings_of(number, catalogue.from_folder(folder).all_linear_targets)
    length, learned = settings.max_length, int(settings.max_length * LEARNED)
    draw = random.Random(number)
    rows = []
    for _ in range(settings.per_device_train_batch_size * STEPS):
        ids = [draw.randrange(100, SHAPE["vocab_size"]) for _ in range(length)]
        rows.append(Encoded(ids, [-100] * (length - learned) + ids[-learned:]))
    with tempfile.TemporaryDirectory() as run:
        result = training.run(run_of(Path(run), folder, rows, [], **settings.model_dump()))
    return {"mib": result["peak_memory_mib"]}


def main(kinds: list[str]) -> None:
    ours, peers = [], []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / "model"
            weights = apart("--make", kind, str(folder))["parameters"] * 2 / 2**20
            targets = catalogue.from_folder(folder).all_linear_targets
            for number in range(len(CONFIGURATIONS)):
                expected = predicted(folder, settings_of(number, targets))
                found = apart("--child", str(number), str(folder))["mib"]
                ours.append(100 * (expected / found - 1))
                peers.append(100 * ((PROGRAMS_MIB + 4 * weights) / found - 1))
                print(
                    f"{kind} {CONFIGURATIONS[number]}: measured {found:.0f} MiB, expected {expected:.0f} "
                    f"({ours[-1]:+.1f} %)",
                    flush=True,
                )
    ours_mean, peer_mean = mean(map(abs, ours)), mean(map(abs, peers))
    print(
        json.dumps(
            {
                "name": "memory_of_families",
                "ours": round(ours_mean, 2),
                "peer": round(peer_mean, 2),
                "ratio": round(peer_mean / ours_mean, 1),
                "unit": "mean absolute error in percent of the process's peak memory",
                "worst": round(max(map(abs, ours)), 1),
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        print(json.dumps(make(sys.argv[2], Path(sys.argv[3]))))
    elif sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(int(sys.argv[2]), Path(sys.argv[3]))))
    else:
        main(sys.argv[1:] or list(KINDS))
