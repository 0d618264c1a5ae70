"""How close the memory estimate comes to measured memory, compared with a rule of
thumb.

Ours: `backend.estimate` on 49 real training steps on a Tesla T4
(tests/data/measured_vram_t4.json, from fitcheck-llm 0.3.1, MIT), against `process_mib`,
the memory that nvidia-smi shows. Two numbers of the estimate come from these rows: the
size of the CUDA context, which is the same in all of them (the lines "context from all
but ..." show that reading it without one model family changes nothing for that family),
and how far loading runs ahead of packing (backend/estimate/weights.py). The twelve rows
of measured_vram_t4_held_out.json were set aside by their author.

Peer: the table in LLaMA-Factory's README ("hardware requirement"), by the number of
parameters alone: 16 GB for LoRA and 6 GB for 4-bit QLoRA on a 7 B model, scaled to
other sizes.

It also compares published peaks of other runs on a T4, as a check on models that are
not in the rows.

    python -m tests.benchmarks.memory_estimate [--smoke]

The last line is JSON: mean absolute errors in percent; ratio is peer / ours. --smoke:
    three rows only.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from backend.estimate import Architecture, Plan
from backend.estimate.memory import memory
from backend.models import catalogue
from backend.records.machine import CONTEXT_T4, Gpu, Hardware
from backend.records.specs import ATTENTION
from tests.benchmarks.measuring import print_result

T4 = Hardware(
    gpus=(
        Gpu(
            name="Tesla T4",
            memory_total_mib=15360,
            memory_free_mib=14912,
            compute_capability=(7, 5),
        ),
    )
)
MEASURED = Path(__file__).parents[1] / "data" / "measured_vram_t4.json"
HELD_OUT = MEASURED.with_name("measured_vram_t4_held_out.json")
PUBLISHED = {  # QLoRA, rank 16 on attention, one row of 1,024 tokens, fp16, checkpointing: MiB of the process
    "meta-llama/Llama-3.2-1B-Instruct": 4167, "meta-llama/Llama-3.2-3B-Instruct": 6409,
    "mistralai/Mistral-7B-Instruct-v0.3": 6541,
}  # fmt: skip


def measured_rows(file: Path = MEASURED) -> list[dict[str, Any]]:
    return list(json.loads(file.read_text("utf-8"))["rows"])


def plan_of(row: dict[str, Any]) -> Plan:
    """The configuration of a measured row."""
    config = row["config"]
    return Plan(
        method="qlora" if config["quantization"] == "nf4" else "lora", rank=config["lora_rank"],
        targets=tuple(config["lora_targets"]), batch=config["batch_size"], max_tokens=config["seq_len"],
        precision=config["precision"], attention="eager" if config["kernel"] == "eager" else "sdpa",
        checkpointing=config["grad_checkpoint"], optimizer=config["optimizer"], double_quant=config["double_quant"],
        fp32_norms=True, full_logits=True,
    )  # fmt: skip


def error(row: dict[str, Any]) -> float:
    """Error of our estimate in percent of the measured memory of the process; negative
    if it is too low.
    """
    predicted = memory(Architecture(**row["model_config"]), plan_of(row), T4).total_mib
    return float(100 * (predicted / row["measured"]["process_mib"] - 1))


def family(row: dict[str, Any]) -> str:
    return str(row["model"]).partition("/")[2].partition("-")[0]


def peer_error(row: dict[str, Any]) -> float:
    """The same for LLaMA-Factory's table."""
    gigabytes = (
        (6 if row["config"]["quantization"] == "nf4" else 16)
        / 7
        * row["model_config"]["num_params"]
        / 1e9
    )
    return float(100 * (gigabytes * 1e9 / 2**20 / row["measured"]["process_mib"] - 1))


def published_errors(models: Sequence[str] = tuple(PUBLISHED)) -> dict[str, float]:
    plan = Plan(
        method="qlora", rank=16, targets=ATTENTION, max_tokens=1024, precision="fp16", double_quant=False,
        fp32_norms=True, full_logits=True,
    )  # fmt: skip
    return {
        model: 100
        * (
            memory(catalogue.find(model).architecture, plan, T4).total_mib
            / PUBLISHED[model]
            - 1
        )
        for model in models
    }


def main(smoke: bool) -> None:
    rows, published = measured_rows(), list(PUBLISHED)
    if smoke:
        rows, published = rows[::20], published[:1]
    errors = [error(row) for row in rows]
    peer_errors = [peer_error(row) for row in rows]
    print(f"{'model and settings':72} {'measured MiB':>12} {'ours %':>7} {'peer %':>7}")
    for row, ours, peer in zip(rows, errors, peer_errors, strict=True):
        print(
            f"{row['id'][14:86]:72} {row['measured']['process_mib']:12.0f} {ours:7.1f} {peer:7.1f}"
        )
    for name in sorted({family(row) for row in rows}):
        others = [
            row["measured"]["cuda_context_mib"] for row in rows if family(row) != name
        ]
        context = mean(others) if others else CONTEXT_T4
        without = [one - 100 * (CONTEXT_T4 - context) / row["measured"]["process_mib"]
                   for row, one in zip(rows, errors, strict=True) if family(row) == name]  # fmt: skip
        print(
            f"context from all but {name}: mean error {mean(map(abs, without)):.2f} %, worst {min(without):.1f} %"
        )
    held_out = [error(row) for row in measured_rows(HELD_OUT)[: 2 if smoke else None]]
    print(
        f"held out: mean error {mean(map(abs, held_out)):.2f} %, lowest {min(held_out):.1f} %"
    )
    for model, one in published_errors(published).items():
        print(f"published: {model}: {one:+.1f} %")
    ours_mean, peer_mean = mean(map(abs, errors)), mean(map(abs, peer_errors))
    print(
        f"mean error {ours_mean:.2f} %, lowest {min(errors):.1f} %, highest {max(errors):.1f} %"
    )
    figures = round(ours_mean, 2), round(peer_mean, 2), round(peer_mean / ours_mean, 1)
    unit = "mean absolute error in percent of the process's memory"
    print_result("memory_estimate", unit, *figures, most_under=round(min(errors), 2))


if __name__ == "__main__":
    main(smoke="--smoke" in sys.argv[1:])
