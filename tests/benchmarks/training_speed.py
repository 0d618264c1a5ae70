"""Learned tokens per second, against the stock TRL script: its defaults with
`use_cpu=True, bf16=True`.

Both train a LoRA (r 8, all linear layers) on the bundled model, with the same rows (the
orders sample, tokenized by us), seed, length, learning rate and batch of 8. They take
turns, each run in a process of its own, RUNS times. Only training steps are timed,
without the first; padding and tokens that are not learned do not count. The best run of
each is compared, since other programs can only slow a run down; processor_ratio
compares processor time, which they disturb less. Both loss curves are printed, since
speed without the same learning is worth nothing. The last line is JSON; ratio is ours /
peer (goal: 2.5).

LLaMA-Factory is a second peer where $LLAMAFACTORY_PYTHON names a Python that has it
(trainers.py), with the same tokens, model, batch, length and learning rate (goal: 2).

With --qlora, the peer is our own QLoRA without the fused layers (goal: 1.15), and
operations of torch are counted too.

    python -m tests.benchmarks.training_speed [STEPS] [--smoke] [--qlora]
"""

import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.records.encoded import Encoded
from tests.benchmarks.measuring import model_in, print_result
from tests.benchmarks.trainers import Settings, Trained, trained

RUNS, STEPS = 3, 10


def main(
    steps: int, runs: int = RUNS, *, smoke: bool = False, qlora: bool = False
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["APPRENTICE_HOME"] = temporary
        model, rows = prepare(Path(temporary), smoke=smoke)
        settings = Settings(
            steps=steps + 1, rank=8, alpha=16, rate=5e-4, four_bit=qlora
        )
        results: dict[str, list[Trained]] = {"ours": [], "peer": []}
        if os.environ.get("LLAMAFACTORY_PYTHON") and not qlora:
            results["llamafactory"] = []
        for turn in range(runs):
            for who in results:
                trainer, chosen = (
                    ("ours", replace(settings, fused=who == "ours"))
                    if qlora
                    else (who, settings)
                )
                results[who].append(
                    trained(
                        trainer, model, rows, chosen, Path(temporary) / f"{who}-{turn}"
                    )
                )
                wall, processor = speed(results[who][-1])
                print(
                    f"{who} {turn + 1}: {wall:.0f} learned tokens/s, {processor:.0f} per processor-second",
                    flush=True,
                )
    for who, found in results.items():
        print(f"{who} loss: {' '.join(f'{loss:.3f}' for loss in found[0].losses)}")
        if qlora:
            print(f"{who}: {found[0].operations} operations a layer and step")
    wall, processor = (
        {who: max(speed(run)[clock] for run in found) for who, found in results.items()}
        for clock in (0, 1)
    )
    second: dict[str, Any] = {}
    if other := wall.get("llamafactory"):
        second = {
            "llamafactory": round(other, 1),
            "llamafactory_ratio": round(wall["ours"] / other, 2),
        }
    tail = {
        who: round(sum(found[0].losses[-3:]) / 3, 4) for who, found in results.items()
    }
    print_result(
        "training_speed", "learned tokens/s",
        round(wall["ours"], 1), round(wall["peer"], 1), round(wall["ours"] / wall["peer"], 2),
        processor_ratio=round(processor["ours"] / processor["peer"], 2), loss_of_last_3_steps=tail, **second,
    )  # fmt: skip


def prepare(home: Path, *, smoke: bool) -> tuple[Path, list[Encoded]]:
    """The folder of the bundled model (smoke: of a tiny one), and the rows."""
    from backend.settings import SAMPLES
    from backend.tokens.tokenizer import ChatTokenizer

    model = model_in(home, smoke)
    tokenizer = ChatTokenizer.load(model)
    lines = (SAMPLES / "orders.jsonl").read_text("utf-8").splitlines()
    return model, [tokenizer.encode(json.loads(line)["messages"]) for line in lines]


def speed(run: Trained) -> tuple[float, float]:
    """Learned tokens per second and per processor-second, from the start of the second
    step to that of the last.
    """
    learned = sum(step[2] for step in run.steps[1:-1])
    wall, processor = (
        learned / (run.steps[-1][clock] - run.steps[1][clock]) for clock in (0, 1)
    )
    return wall, processor


if __name__ == "__main__":
    arguments = [word for word in sys.argv[1:] if word != "--qlora"]
    if arguments == ["--smoke"]:
        main(3, runs=1, smoke=True, qlora="--qlora" in sys.argv)
    else:
        main(int(arguments[0]) if arguments else STEPS, qlora="--qlora" in sys.argv)
