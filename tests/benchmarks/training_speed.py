"""Learned tokens per second, against the stock TRL script: its defaults with `use_cpu=True, bf16=True`.

Both train a LoRA (r 8, all linear layers) on the bundled model, with the same rows (the orders sample, tokenized by
us), seed, length, learning rate and batch of 8. They take turns, each run in a process of its own, RUNS times. Only
training steps are timed, without the first; padding and tokens that are not learned do not count. The best run of
each is compared, since other programs can only slow a run down; processor_ratio compares processor time, which they
disturb less. Both loss curves are printed, since speed without the same learning is worth nothing. The last line is
JSON; ratio is ours / peer (goal: 2.5).

LLaMA-Factory is a second peer where $LLAMAFACTORY_PYTHON names a Python that has it (gpu_peers.py), with the same
tokens, model, batch, length and learning rate (goal: 2).

    python -m tests.benchmarks.training_speed [STEPS] [--smoke]
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.records.encoded import Encoded
from tests.benchmarks import gpu_peers
from tests.benchmarks.measuring import in_fresh_process, model_in, print_result

Step = tuple[float, float, int]  # its start by both clocks, and its learned tokens

RUNS = 3
STEPS = 10
RATE, BATCH, RANK, ALPHA, SEED = 5e-4, 8, 8, 16, 0


def main(steps: int, runs: int = RUNS, *, smoke: bool = False) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["APPRENTICE_HOME"] = temporary
        model, rows = prepare(Path(temporary), smoke=smoke)
        results: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
        if os.environ.get("LLAMAFACTORY_PYTHON"):
            results["llamafactory"] = []
        for turn in range(runs):
            for who in results:
                run = measured(who, model, rows, steps, Path(temporary) / f"{who}-{turn}")
                results[who].append(run)
                each = f"{run['speed']:.0f} learned tokens/s, {run['per_processor_second']:.0f} per processor-second"
                print(f"{who} {turn + 1}: {each}", flush=True)
    for who, found in results.items():
        print(f"{who} loss: {' '.join(f'{loss:.3f}' for loss in found[0]['losses'])}")
    mine, theirs = (max(run["speed"] for run in results[who]) for who in ("ours", "peer"))
    processor = [max(run["per_processor_second"] for run in results[who]) for who in ("ours", "peer")]
    second = {}
    if "llamafactory" in results:
        other = max(run["speed"] for run in results["llamafactory"])
        second = {"llamafactory": round(other, 1), "llamafactory_ratio": round(mine / other, 2)}
    tail = {who: round(sum(found[0]["losses"][-3:]) / 3, 4) for who, found in results.items()}
    print_result(
        "training_speed", "learned tokens/s", round(mine, 1), round(theirs, 1), round(mine / theirs, 2),
        processor_ratio=round(processor[0] / processor[1], 2), loss_of_last_3_steps=tail, **second,
    )  # fmt: skip


def prepare(home: Path, *, smoke: bool) -> tuple[Path, list[Encoded]]:
    """The folder of the bundled model (smoke: of a tiny one), and the rows."""
    from backend.settings import SAMPLES
    from backend.tokens.tokenizer import ChatTokenizer

    model = model_in(home, smoke)
    tokenizer = ChatTokenizer.load(model)
    lines = (SAMPLES / "orders.jsonl").read_text("utf-8").splitlines()
    encoded = [tokenizer.encode(json.loads(line)["messages"]) for line in lines]
    return model, encoded


def measured(who: str, model: Path, rows: list[Encoded], steps: int, folder: Path) -> dict[str, Any]:
    """`speed` (learned tokens per second) and `losses` of one run in a process of its own."""
    return in_fresh_process(RUN[who], model, rows, steps, folder)


def llamafactory(model: Path, rows: list[Encoded], steps: int, folder: Path) -> dict[str, Any]:
    """The same for LLaMA-Factory, run by its own Python."""
    settings = {
        "steps": steps + 1, "rank": RANK, "alpha": ALPHA, "rate": RATE, "batch": BATCH, "length": 1024, "seed": SEED,
        "use_cpu": True, "four_bit": False, "half": "bf16",
    }  # fmt: skip
    done = gpu_peers.run("llamafactory", model, rows, settings, folder)
    return {**speed([step[:3] for step in done["steps"]]), "losses": done["losses"]}


def ours(model: Path, rows: list[Encoded], steps: int, folder: Path) -> dict[str, Any]:
    from backend import training
    from backend.training.session import TrainingSession
    from tests.backend.tiny_run import run_of

    work = run_of(
        folder, model, rows, [],
        max_steps=steps + 1, learning_rate=RATE, per_device_train_batch_size=BATCH, lora_rank=RANK, lora_alpha=ALPHA,
        lora_dropout=0.0, lr_scheduler_type="constant", warmup_ratio=0.0, seed=SEED, precision="auto",
    )  # fmt: skip
    times: list[Step] = []
    compute_gradients = TrainingSession.compute_gradients

    def timed(self: Any, net: Any, rows: Any, learn: Any) -> Any:
        times.append((time.perf_counter(), time.process_time(), sum(row.learned for row in rows)))
        return compute_gradients(self, net, rows, learn)

    TrainingSession.compute_gradients = timed  # type: ignore[method-assign]
    training.run(work)
    return {**speed(times), "losses": list(work.losses().values())}


def peer(model: Path, rows: list[Encoded], steps: int, folder: Path) -> dict[str, Any]:
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    times: list[Step] = []

    class Timed(SFTTrainer):  # type: ignore[misc]
        def training_step(self, net: Any, inputs: Any, *args: Any, **options: Any) -> Any:
            times.append((time.perf_counter(), time.process_time(), int((inputs["labels"] != -100).sum())))
            return super().training_step(net, inputs, *args, **options)

    trainer = Timed(
        model=str(model),
        train_dataset=Dataset.from_list([{"input_ids": row.input_ids, "labels": row.labels} for row in rows]),
        peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM"),
        args=SFTConfig(
            output_dir=str(folder), use_cpu=True, bf16=True, max_steps=steps + 1, learning_rate=RATE, seed=SEED,
            per_device_train_batch_size=BATCH, lr_scheduler_type="constant", logging_steps=1, report_to="none",
            save_strategy="no", disable_tqdm=True,
        ),
    )  # fmt: skip
    trainer.train()
    return {**speed(times), "losses": [log["loss"] for log in trainer.state.log_history if "loss" in log]}


def speed(times: Sequence[Step]) -> dict[str, float]:
    """Learned tokens per second and per processor-second, from the start of the second step to that of the last."""
    learned = sum(step[2] for step in times[1:-1])
    wall, processor = (times[-1][clock] - times[1][clock] for clock in (0, 1))
    return {"speed": learned / wall, "per_processor_second": learned / processor}


RUN = {"ours": ours, "peer": peer, "llamafactory": llamafactory}

if __name__ == "__main__":
    if sys.argv[1:] == ["--smoke"]:
        main(3, runs=1, smoke=True)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS)
