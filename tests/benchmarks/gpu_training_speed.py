"""On an NVIDIA card: tokens per second and peak memory, against a plain TRL script in
the same run.

Unsloth and LLaMA-Factory are two more peers where they are installed (trainers.py,
which starts other_trainers.py).

The models have the shapes of Llama-3.2-1B and 3B and random weights, so that nothing is
downloaded; how fast a model trains does not depend on its weights. All train LoRA and
QLoRA (r 16, all linear layers) in the card's 16-bit precision with gradient
checkpointing, which is TRL's default, on the same rows of 200 to 1,024 random tokens
with the same batch of 8. Each run has a process of its own; the clock waits for the
card; the first steps and padding do not count; the memory is what torch reserves, with
the CUDA context (Unsloth and LLaMA-Factory: without). The losses are printed: other
work for the same tokens would show there. What does not fit is printed and left out.
The last line is JSON, with the tokens per second of 1B with QLoRA as `ours` and `peer`,
which is TRL.

It has not run on a card yet.

    python -m tests.benchmarks.gpu_training_speed [--smoke]       smoke: tiny, on the processor
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.records.specs import Precision
from tests.benchmarks.measuring import in_fresh_process, print_result
from tests.benchmarks.trainers import Settings, Trained, available, trained
from tests.gpu.place import SHAPES, TINY, random_llama, random_rows

ON_A_CARD = Settings(
    steps=20, rank=16, alpha=32, rate=1e-4, use_cpu=False, checkpointing=True
)
TINY_RUN = replace(ON_A_CARD, steps=3, use_cpu=True)
SHORTEST, WARM_UP = 200, 4
FAILED: dict[str, Any] = {"tokens_per_second": None}


def main(*, smoke: bool) -> None:
    large = {size: SHAPES[size] for size in ("1B", "3B")}
    shapes, settings = ({"tiny": TINY.shape}, TINY_RUN) if smoke else (large, ON_A_CARD)
    results: dict[str, dict[str, Any]] = {}
    who = ("ours", "peer", *available())
    device, half = in_fresh_process(card, smoke)
    with tempfile.TemporaryDirectory() as temporary:
        for size, shape in shapes.items():
            try:
                model = in_fresh_process(
                    random_llama,
                    Path(temporary) / size,
                    "cpu" if smoke else "cuda",
                    shape,
                )
            except Exception as error:
                print(f"{size} is left out: {error}", flush=True)
                continue
            for method in ("lora",) if smoke else ("qlora", "lora"):
                name, folder = f"{size} {method}", Path(temporary) / f"{size}-{method}"
                chosen = replace(settings, half=half, four_bit=method == "qlora")
                results[name] = compared(
                    name, who, model, shape["vocab_size"], chosen, folder
                )
    first = next(iter(results.values()), dict.fromkeys(("ours", "peer"), FAILED))
    both = {who: first[who]["tokens_per_second"] for who in ("ours", "peer")}
    ratio = round(both["ours"] / both["peer"], 2) if all(both.values()) else None
    print_result(
        "gpu_training_speed",
        "tokens/s",
        **both,
        ratio=ratio,
        device=device,
        runs=results,
    )


def card(smoke: bool) -> tuple[str, Precision]:
    """Its name and its 16-bit precision; older ones only emulate bf16."""
    import torch

    if smoke:
        return "processor", "bf16"
    return (
        torch.cuda.get_device_name(),
        "fp16" if torch.cuda.get_device_capability() < (8, 0) else "bf16",
    )


def compared(
    name: str,
    who: Sequence[str],
    model: Path,
    vocabulary: int,
    settings: Settings,
    folder: Path,
) -> dict[str, Any]:
    """The result of each; nothing but "failed" in it for one that did not end."""
    lengths = (4, 8) if settings.use_cpu else (SHORTEST, settings.length)
    rows, found = random_rows(settings.batch * settings.steps, *lengths, vocabulary), {}
    for one in who:
        try:
            found[one] = summary(trained(one, model, rows, settings, folder / one))
        except Exception as error:  # above all a card that is too small
            found[one] = {
                **FAILED,
                "failed": f"{type(error).__name__}: {str(error)[-200:]}",
            }
        print(f"{name}, {one}: {found[one]}", flush=True)
    return found


def summary(run: Trained) -> dict[str, Any]:
    """The tokens of the steps from the WARM_UP-th on (of few: the second) but the last,
    whose end is unknown.
    """
    first = min(WARM_UP, len(run.steps) - 2)
    speed = sum(step[-1] for step in run.steps[first:-1]) / (
        run.steps[-1][0] - run.steps[first][0]
    )
    return {
        "tokens_per_second": round(speed, 1), "peak_mib": run.peak_mib,
        "first_loss": round(run.losses[0], 3), "last_loss": round(run.losses[-1], 3),
    }  # fmt: skip


if __name__ == "__main__":
    main(smoke=sys.argv[1:] == ["--smoke"])
