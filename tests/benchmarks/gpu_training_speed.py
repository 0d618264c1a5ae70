"""On an NVIDIA card: tokens per second and peak memory, against a plain TRL script in the same run.

Unsloth and LLaMA-Factory are two more peers where they are installed (gpu_peers.py, which starts unsloth_peer.py and
llamafactory_peer.py).

The models have the shapes of Llama-3.2-1B and 3B and random weights, so that nothing is downloaded; how fast a model
trains does not depend on its weights. All train LoRA and QLoRA (r 16, all linear layers) in the card's 16-bit
precision with gradient checkpointing, which is TRL's default, on the same rows of 200 to 1,024 random tokens with the
same batch of 8. Each run has a process of its own; the clock waits for the card; the first steps and padding do not
count; the memory is what torch reserves, with the CUDA context (Unsloth and LLaMA-Factory: without). The losses are
printed: other work for the same tokens would show there. What does not fit is printed and left out. The last line is
JSON, with the tokens per second of 1B with QLoRA as `ours` and `peer`, which is TRL.

It has not run on a card yet.

    python -m tests.benchmarks.gpu_training_speed [--smoke]       smoke: tiny, on the processor
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backend.records.encoded import Encoded
from backend.records.specs import ALL_LINEAR, Precision
from tests.benchmarks import gpu_peers
from tests.benchmarks.measuring import in_fresh_process, print_result
from tests.gpu.place import TINY, random_llama, random_rows

_HEADS = {"num_key_value_heads": 8, "vocab_size": 128_256, "max_position_embeddings": 8192, "intermediate_size": 8192}
SHAPES = {  # the config.json of meta-llama/Llama-3.2-1B and -3B
    "1B": {**_HEADS, "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32},
    "3B": {**_HEADS, "hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 24, "head_dim": 128},
}
BATCH, LENGTHS, STEPS, WARM_UP = 8, (200, 1024), 20, 4
RATE, RANK, ALPHA, SEED = 1e-4, 16, 32, 0
FAILED: dict[str, Any] = {"tokens_per_second": None}
Step = tuple[float, int]  # its start, and its tokens


def main(*, smoke: bool) -> None:
    shapes = {"tiny": TINY.shape} if smoke else SHAPES
    results: dict[str, dict[str, Any]] = {}
    others = gpu_peers.available()
    with tempfile.TemporaryDirectory() as temporary:
        for size, shape in shapes.items():
            try:
                model = in_fresh_process(random_llama, Path(temporary) / size, kind(smoke), shape)
            except Exception as error:
                print(f"{size} is left out: {error}", flush=True)
                continue
            for method in ("lora",) if smoke else ("qlora", "lora"):
                name = f"{size} {method}"
                folder = Path(temporary) / f"{size}-{method}"
                results[name] = compared(name, model, shape["vocab_size"], method, folder, others, smoke)
    first = next(iter(results.values()), dict.fromkeys(("ours", "peer"), FAILED))
    both = {who: first[who]["tokens_per_second"] for who in ("ours", "peer")}
    ratio = round(both["ours"] / both["peer"], 2) if all(both.values()) else None
    device = in_fresh_process(device_name, smoke)
    print_result("gpu_training_speed", "tokens/s", **both, ratio=ratio, device=device, runs=results)


def kind(smoke: bool) -> str:
    return "cpu" if smoke else "cuda"


def device_name(smoke: bool) -> str:
    import torch

    return "processor" if smoke else torch.cuda.get_device_name()


def compared(
    name: str, model: Path, vocabulary: int, method: str, folder: Path, others: Sequence[str], smoke: bool
) -> dict[str, Any]:
    """The result of `ours`, `peer` and `others`; nothing but "failed" in it for one that did not end."""
    found = {}
    for who in ("ours", "peer", *others):
        try:
            if who in others:
                found[who] = other(who, model, vocabulary, method, folder / who, smoke)
            else:
                train = ours if who == "ours" else peer
                found[who] = in_fresh_process(train, model, vocabulary, method, folder / who, smoke)
        except Exception as error:  # above all a card that is too small
            found[who] = {**FAILED, "failed": f"{type(error).__name__}: {str(error)[-200:]}"}
        print(f"{name}, {who}: {found[who]}", flush=True)
    return found


def other(who: str, model: Path, vocabulary: int, method: str, folder: Path, smoke: bool) -> dict[str, Any]:
    """The result of a peer of gpu_peers.py."""
    made, steps = rows(vocabulary, smoke)
    chosen = {
        "steps": steps, "rank": RANK, "alpha": ALPHA, "rate": RATE, "batch": BATCH, "length": LENGTHS[1],
        "seed": SEED, "use_cpu": smoke, "four_bit": method == "qlora",
        "half": in_fresh_process(half_precision, smoke),
    }  # fmt: skip
    done = gpu_peers.run(who, model, made, chosen, folder)
    return summary([(step[0], step[-1]) for step in done["steps"]], done["losses"], done["peak_mib"])


def half_precision(smoke: bool) -> Precision:
    """The 16-bit precision of this card; older ones only emulate bf16."""
    import torch

    return "fp16" if not smoke and torch.cuda.get_device_capability() < (8, 0) else "bf16"


def rows(vocabulary: int, smoke: bool) -> tuple[list[Encoded], int]:
    """The rows, and the number of steps."""
    steps = 3 if smoke else STEPS
    return random_rows(BATCH * steps, *((4, 8) if smoke else LENGTHS), vocabulary), steps


def ours(model: Path, vocabulary: int, method: str, folder: Path, smoke: bool) -> dict[str, Any]:
    from backend import training
    from backend.training.session import TrainingSession
    from tests.backend.tiny_run import run_of

    made, steps = rows(vocabulary, smoke)
    work = run_of(
        folder, model, made, [],
        method=method, max_steps=steps, learning_rate=RATE, per_device_train_batch_size=BATCH, lora_rank=RANK,
        lora_alpha=ALPHA, lora_dropout=0.0, lr_scheduler_type="constant", warmup_ratio=0.0, seed=SEED,
        precision="auto", gradient_checkpointing=True, max_length=LENGTHS[1],
    )  # fmt: skip
    work.spec["data"]["held_out_prompts"] = work.spec["data"]["held_out_answers"] = []
    times: list[Step] = []
    compute_gradients = TrainingSession.compute_gradients

    def timed(self: Any, net: Any, some: Any, learn: Any) -> Any:
        times.append((now(smoke), sum(row.tokens for row in some)))
        return compute_gradients(self, net, some, learn)

    TrainingSession.compute_gradients = timed  # type: ignore[method-assign]
    result = training.run(work)
    return summary(times, list(work.losses().values()), result.peak_memory_mib)


def peer(model: Path, vocabulary: int, method: str, folder: Path, smoke: bool) -> dict[str, Any]:
    """TRL's SFTTrainer with a PEFT config, as its documentation has it."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from backend.training.device import Device

    made, steps = rows(vocabulary, smoke)
    half = half_precision(smoke)
    times: list[Step] = []

    class Timed(SFTTrainer):  # type: ignore[misc]
        def training_step(self, net: Any, inputs: Any, *args: Any, **options: Any) -> Any:
            times.append((now(smoke), int(inputs["attention_mask"].sum())))
            return super().training_step(net, inputs, *args, **options)

    trainer = Timed(
        model=str(model),
        train_dataset=Dataset.from_list([{"input_ids": row.input_ids, "labels": row.labels} for row in made]),
        peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(ALL_LINEAR), task_type="CAUSAL_LM"),
        args=SFTConfig(
            output_dir=str(folder), use_cpu=smoke, max_steps=steps, learning_rate=RATE, seed=SEED,
            per_device_train_batch_size=BATCH, lr_scheduler_type="constant", logging_steps=1, report_to="none",
            save_strategy="no", disable_tqdm=True, gradient_checkpointing=True, max_length=LENGTHS[1],
            model_init_kwargs=stored_as(method, half), **{half: True},
        ),
    )  # fmt: skip
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    return summary(times, losses, Device(kind(smoke), half).peak_memory_mib())


def stored_as(method: str, half: str) -> dict[str, Any]:
    """How TRL loads the weights: in 16 bits, or in 4 (NF4, twice quantized) as QLoRA's paper has it."""
    import torch
    from transformers import BitsAndBytesConfig

    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[half]
    if method != "qlora":
        return {"dtype": dtype}
    packed = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"dtype": dtype, "quantization_config": packed}


def now(smoke: bool) -> float:
    """Seconds, once the card has done all that it was given."""
    import torch

    wait: Callable[[], None] = torch.cuda.synchronize if not smoke else lambda: None
    wait()
    return time.perf_counter()


def summary(times: list[Step], losses: list[float], peak_mib: int) -> dict[str, Any]:
    """The tokens of the steps from the WARM_UP-th on (of few: the second) but the last, whose end is unknown."""
    first = min(WARM_UP, len(times) - 2)
    tokens = sum(step[1] for step in times[first:-1])
    speed = tokens / (times[-1][0] - times[first][0])
    first_loss, last_loss = round(losses[0], 3), round(losses[-1], 3)
    return {
        "tokens_per_second": round(speed, 1), "peak_mib": peak_mib, "first_loss": first_loss, "last_loss": last_loss
    }  # fmt: skip


if __name__ == "__main__":
    main(smoke=sys.argv[1:] == ["--smoke"])
