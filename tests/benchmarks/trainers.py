"""One timed training run by us, by TRL's SFTTrainer, by Unsloth or by LLaMA-Factory, on
the same rows and settings.

The last two run in the Pythons named by $UNSLOTH_PYTHON and $LLAMAFACTORY_PYTHON (pip
install unsloth; pip install llamafactory torchaudio), in other_trainers.py. Without the
variable this Python is used if it has the package; otherwise the peer is left out,
which is printed. They are called as their documentation has it. Neither has run on a
GPU here.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.hardware.process import show_one_gpu
from backend.records.encoded import Encoded
from backend.records.specs import ALL_LINEAR, Precision
from tests.benchmarks.measuring import in_fresh_process

PYTHONS = {"unsloth": "UNSLOTH_PYTHON", "llamafactory": "LLAMAFACTORY_PYTHON"}
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "DISABLE_VERSION_CHECK": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


@dataclass(frozen=True)
class Settings:
    """length: of the longest row, in tokens. half: the 16-bit precision. checkpointing:
    of the activations. fused: whether ours are the fused LoRA layers.
    """

    steps: int
    rank: int
    alpha: int
    rate: float
    batch: int = 8
    length: int = 1024
    seed: int = 0
    use_cpu: bool = True
    four_bit: bool = False
    half: Precision = "bf16"
    checkpointing: bool = False
    fused: bool = True


@dataclass(frozen=True)
class Trained:
    """steps: the wall clock, processor time, learned tokens and tokens at the start of
    each. peak_mib: as torch reserves them on a GPU, from us and TRL with the CUDA
    context. operations: of ours, a layer, in the first step.
    """

    steps: list[tuple[Any, ...]]
    losses: list[float]
    peak_mib: int
    operations: int = 0


def python_of(peer: str) -> str | None:
    """The Python that has the peer; None if there is none."""
    here = sys.executable if importlib.util.find_spec(peer) else None
    return os.environ.get(PYTHONS[peer]) or here


def available() -> list[str]:
    """The peers that can run. Prints which can't."""
    for peer, variable in PYTHONS.items():
        if python_of(peer) is None:
            print(
                f"{peer} is left out: it is not installed, and ${variable} names no Python that has it.",
                flush=True,
            )
    return [peer for peer in PYTHONS if python_of(peer)]


def trained(
    who: str, model: Path, rows: Sequence[Encoded], settings: Settings, folder: Path
) -> Trained:
    """who: "ours", "peer" (TRL), or one of PYTHONS. Raises RuntimeError with the end of
    such a one's error output.
    """
    if who not in PYTHONS:
        return in_fresh_process(
            ours if who == "ours" else peer, model, rows, settings, folder
        )
    folder.mkdir(parents=True)
    file, script = folder / "rows.jsonl", Path(__file__).with_name("other_trainers.py")
    lines = (
        {
            "input_ids": [*row.input_ids],
            "attention_mask": [1] * row.tokens,
            "labels": [*row.labels],
        }
        for row in rows
    )
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    show_one_gpu()  # in the variables that the program inherits
    command = [str(python_of(who)), str(script), who, str(model), str(file)]
    done = subprocess.run(
        [*command, str(folder / "out"), json.dumps(asdict(settings))],
        cwd=folder, env={**os.environ, **OFFLINE}, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-2000:])
    return Trained(**json.loads(done.stdout.splitlines()[-1]))


def ours(
    model: Path, rows: Sequence[Encoded], settings: Settings, folder: Path
) -> Trained:
    from torch.utils._python_dispatch import TorchDispatchMode

    from backend import training
    from backend.training import device, fused_lora
    from backend.training.session import TrainingSession
    from tests.backend.tiny_run import run_of

    class Operations(TorchDispatchMode):
        """Counts what makes a tensor; a view is none."""

        count = 0

        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            self.count += not function.is_view
            return function(*args, **(kwargs or {}))

    work = run_of(
        folder, model, list(rows), [],
        method="qlora" if settings.four_bit else "lora", max_steps=settings.steps, learning_rate=settings.rate,
        per_device_train_batch_size=settings.batch, lora_rank=settings.rank, lora_alpha=settings.alpha,
        lora_dropout=0.0, lr_scheduler_type="constant", warmup_ratio=0.0, seed=settings.seed,
        precision=settings.half if settings.four_bit else "auto", max_length=settings.length,
        **({"gradient_checkpointing": True} if settings.checkpointing else {}),
    )  # fmt: skip
    work.spec["data"]["held_out_prompts"] = work.spec["data"]["held_out_answers"] = []
    steps: list[tuple[Any, ...]] = []
    compute_gradients, counted = TrainingSession.compute_gradients, Operations()

    def timed(self: Any, net: Any, some: Any, learn: Any) -> Any:
        steps.append(
            (
                *_now(settings),
                sum(row.learned for row in some),
                sum(row.tokens for row in some),
            )
        )
        with nullcontext() if steps[1:] else counted:
            return compute_gradients(self, net, some, learn)

    TrainingSession.compute_gradients = timed  # type: ignore[method-assign]
    device._four_bit = lambda precision: (
        precision
    )  # else each run measures it, and a busy processor varies
    if not settings.fused:
        fused_lora.fuse = lambda _: 0
    result = training.run(work)
    layers = json.loads((model / "config.json").read_text("utf-8"))["num_hidden_layers"]
    return Trained(
        steps,
        list(work.losses().values()),
        result.peak_memory_mib,
        counted.count // layers,
    )


def peer(
    model: Path, rows: Sequence[Encoded], settings: Settings, folder: Path
) -> Trained:
    """TRL's SFTTrainer with a PEFT config, as its documentation has it."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    from backend.training.device import Device

    steps: list[tuple[Any, ...]] = []

    class Timed(SFTTrainer):  # type: ignore[misc]
        def training_step(
            self, net: Any, inputs: Any, *args: Any, **options: Any
        ) -> Any:
            learned, tokens = (
                int((inputs["labels"] != -100).sum()),
                int(inputs["attention_mask"].sum()),
            )
            steps.append((*_now(settings), learned, tokens))
            return super().training_step(net, inputs, *args, **options)

    trainer = Timed(
        model=str(model),
        train_dataset=Dataset.from_list([{"input_ids": [*row.input_ids], "labels": [*row.labels]} for row in rows]),
        peft_config=LoraConfig(
            r=settings.rank, lora_alpha=settings.alpha, target_modules=list(ALL_LINEAR), task_type="CAUSAL_LM"
        ),
        args=SFTConfig(
            output_dir=str(folder), use_cpu=settings.use_cpu, max_steps=settings.steps, learning_rate=settings.rate,
            seed=settings.seed, per_device_train_batch_size=settings.batch, lr_scheduler_type="constant",
            logging_steps=1, report_to="none", save_strategy="no", disable_tqdm=True, max_length=settings.length,
            **{settings.half: True}, **(_on_a_card(settings) if settings.checkpointing else {}),
        ),
    )  # fmt: skip
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    return Trained(
        steps,
        losses,
        Device("cpu" if settings.use_cpu else "cuda", settings.half).peak_memory_mib(),
    )


def _on_a_card(settings: Settings) -> dict[str, Any]:
    """The weights in 16 bits, or in 4 (NF4, twice quantized) as QLoRA's paper has it,
    and checkpointing.
    """
    import torch
    from transformers import BitsAndBytesConfig

    load: dict[str, Any] = {
        "dtype": {"bf16": torch.bfloat16, "fp16": torch.float16}[settings.half]
    }
    if settings.four_bit:
        load["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=load["dtype"],
        )  # fmt: skip
    return {"gradient_checkpointing": True, "model_init_kwargs": load}


def _now(settings: Settings) -> tuple[float, float]:
    """Both clocks in seconds, once the card has done all that it was given."""
    import torch

    if not settings.use_cpu:
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()
