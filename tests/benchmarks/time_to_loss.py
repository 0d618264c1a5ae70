"""Wall time until the validation loss is as low as the stock TRL script gets it, in one
epoch of 1,000 short chats.

The peer is TRL's SFTTrainer as in its documentation (`use_cpu=True, bf16=True`, LoRA r
8 on all linear layers, batch 8): with its own learning rate (2e-5), `ratio` (goal: 3),
and with ours (5e-4), `ratio_at_our_rate`, so that more than the rate is compared. At
our rate both learn all there is to learn, so there a loss counts as reached within 1 %.
Ours trains with the settings that the app recommends, on the same rows and seed, and is
evaluated EVALUATIONS times. They take turns, each in a process of its own. The clock
starts at the first step and stops during evaluations; one function evaluates both, on
the same 64 chats. The chats are generated here: short requests to a shop and its
answers, of a few fixed forms with many items.

    python -m tests.benchmarks.time_to_loss [CHATS] [--smoke]
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import in_fresh_process, model_in, print_result

CHATS, VALIDATION, EVALUATIONS, SEED = 1000, 64, 20, 0
OUR_RATE, PEER_RATE = 5e-4, 2e-5

_THINGS = [
    "lamp",
    "rug",
    "kettle",
    "desk",
    "chair",
    "mirror",
    "clock",
    "vase",
    "stool",
    "blanket",
    "toaster",
    "bicycle",
]
_COLORS = "red blue green black white yellow grey brown".split()  # noqa: SIM905
_CHATS = (
    (
        "where is my {c} {t}? order {n}",
        "Order {n} with the {c} {t} is on its way; it comes in {d} days.",
    ),
    (
        "the {c} {t} from order {n} came broken!!",
        "I am sorry about the {c} {t}. A new one ships in {d} days.",
    ),
    (
        "its been {d} days, no {t}. order {n}",
        "Order {n} is late by {d} days. The {t} has priority now.",
    ),
    (
        "can i have the {t} in {c} instead, order {n}",
        "Done: order {n} now has the {t} in {c}.",
    ),
    (
        "cancel order {n}, dont want the {t} any more",
        "Order {n} is cancelled; the {t} is paid back in {d} days.",
    ),
)

Row = dict[str, list[int]]
Rows = dict[str, list[Row]]
Evaluations = list[tuple[float, float]]  # seconds and validation loss


def chats(count: int, seed: int) -> list[list[dict[str, str]]]:
    """Generated requests and answers."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        question, answer = draw.choice(_CHATS)
        words: dict[str, Any] = {"t": draw.choice(_THINGS), "c": draw.choice(_COLORS)}
        words |= {"n": draw.randint(1000, 9999), "d": draw.randint(2, 9)}
        turns = (("user", question), ("assistant", answer))
        made.append(
            [{"role": role, "content": text.format(**words)} for role, text in turns]
        )
    return made


def main(count: int, *, smoke: bool = False) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        os.environ["APPRENTICE_HOME"] = temporary
        model, rows = prepare(home, count, smoke=smoke)
        stock = in_fresh_process(peer, PEER_RATE, model, rows, home / "stock")
        at_our_rate = (
            stock
            if smoke
            else in_fresh_process(peer, OUR_RATE, model, rows, home / "peer")
        )
        mine = in_fresh_process(ours, OUR_RATE, model, rows, home / "ours")
    for who, run in (
        ("peer at our rate", at_our_rate),
        ("peer at its own rate", stock),
        ("ours", mine),
    ):
        print(
            f"{who}: "
            + ", ".join(f"{seconds:.0f} s {loss:.4f}" for seconds, loss in run)
        )
    reached, level = first(mine, stock[-1][1]), first(mine, at_our_rate[-1][1] * 1.01)
    print_result(
        "time_to_loss", "seconds",
        reached and round(reached, 1), round(stock[-1][0], 1), reached and round(stock[-1][0] / reached, 2),
        loss=round(stock[-1][1], 4), ratio_at_our_rate=level and round(at_our_rate[-1][0] / level, 2),
        loss_at_our_rate=round(at_our_rate[-1][1], 4),
    )  # fmt: skip


def first(evaluations: Evaluations, loss: float) -> float | None:
    """The seconds until the loss was first that low; None if it never was."""
    return next((seconds for seconds, found in evaluations if found <= loss), None)


def prepare(home: Path, count: int, *, smoke: bool) -> tuple[Path, Rows]:
    """The folder of the bundled model (smoke: of a tiny one), and the rows: `train` and
    `validation`.
    """
    from backend.tokens.tokenizer import ChatTokenizer

    model = model_in(home, smoke)
    encoded = [
        ChatTokenizer.load(model).encode(chat)
        for chat in chats(count + VALIDATION, SEED)
    ]
    made = [{"input_ids": [*row.input_ids], "labels": [*row.labels]} for row in encoded]
    print(
        f"{count} chats of {sum(row.tokens for row in encoded) / len(encoded):.0f} tokens",
        flush=True,
    )
    return model, {"train": made[:count], "validation": made[count:]}


def validation_loss(net: Any, rows: list[Row]) -> float:
    """The mean loss per learned token, as transformers computes it. Padding is on the
    right, where causal models do not look.
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence

    net.eval()
    total = learned = 0.0
    ordered = sorted(rows, key=lambda row: len(row["labels"]))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(ordered), 8):
            ids, labels = (
                pad_sequence(
                    [torch.tensor(row[name]) for row in ordered[start : start + 8]],
                    True,
                    value,
                )
                for name, value in (("input_ids", 0), ("labels", -100))
            )
            logits, wanted = (
                net(input_ids=ids).logits[:, :-1].float().flatten(0, 1),
                labels[:, 1:].flatten(),
            )
            total += float(
                torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")
            )
            learned += int((wanted != -100).sum())
    return total / learned


def ours(rate: float, model: Path, rows: Rows, folder: Path) -> Evaluations:
    from backend import training
    from backend.records.encoded import Encoded
    from backend.training import schedule
    from backend.training.session import TrainingSession
    from tests.backend.tiny_run import run_of

    sides = [
        [Encoded(row["input_ids"], row["labels"]) for row in rows[name]]
        for name in ("train", "validation")
    ]
    work = run_of(
        folder, model, *sides, num_train_epochs=1, learning_rate=rate, lora_dropout=0.0, seed=SEED, precision="auto",
        early_stopping=False,
    )  # fmt: skip
    work.spec["data"]["held_out_prompts"] = []
    schedule.MIN_EVALUATIONS = EVALUATIONS
    evaluations: Evaluations = []
    began = paused = 0.0

    def evaluate(self: TrainingSession, net: Any, step: int) -> float:
        nonlocal began, paused
        stopped = time.perf_counter()
        if not step:
            began = stopped
        loss = validation_loss(net, rows["validation"])
        evaluations.append((stopped - began - paused, loss))
        self.metrics.add_evaluation(step, loss, {}, chooses=True)
        paused += time.perf_counter() - stopped
        return loss

    TrainingSession.evaluate = evaluate  # type: ignore[method-assign]
    training.run(work)
    return evaluations


def peer(rate: float, model: Path, rows: Rows, folder: Path) -> Evaluations:
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    trainer = SFTTrainer(
        model=str(model),
        train_dataset=Dataset.from_list(rows["train"]),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
        args=SFTConfig(
            output_dir=str(folder), use_cpu=True, bf16=True, num_train_epochs=1, learning_rate=rate, seed=SEED,
            per_device_train_batch_size=8, report_to="none", save_strategy="no", disable_tqdm=True,
        ),
    )  # fmt: skip
    before = validation_loss(trainer.model, rows["validation"])
    began = time.perf_counter()
    trainer.train()
    return [
        (0.0, before),
        (
            time.perf_counter() - began,
            validation_loss(trainer.model, rows["validation"]),
        ),
    ]


if __name__ == "__main__":
    if sys.argv[1:] == ["--smoke"]:
        main(16, smoke=True)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else CHATS)
