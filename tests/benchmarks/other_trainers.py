"""One timed run of Unsloth or of LLaMA-Factory's command line, for trainers.py. Run by
the Python that has it.

    python other_trainers.py unsloth|llamafactory MODEL ROWS.jsonl FOLDER SETTINGS

ROWS.jsonl has `input_ids`, `attention_mask` and `labels`. The last line is JSON:
`steps`, a list of (wall clock, processor time, learned tokens, tokens) at the start of
each step, `losses`, and `peak_mib` as torch reserves them on a GPU. Imports nothing
from this project. LLaMA-Factory checkpoints by default.
"""

import importlib.machinery
import json
import sys
import time
import types
from pathlib import Path

LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def started(inputs) -> tuple:
    """The entry of a step in `steps`, once the card has done all that it was given."""
    import torch

    counts = int((inputs["labels"] != -100).sum()), int(inputs["attention_mask"].sum())
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time(), *counts


def dataset(rows: Path):
    from datasets import Dataset

    return Dataset.from_list(
        [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    )


def unsloth(model: str, rows: Path, folder: Path, settings: dict) -> tuple[list, list]:
    """The steps and the losses."""
    from unsloth import FastLanguageModel  # first: it changes the libraries below  # isort: skip

    from trl import SFTConfig, SFTTrainer

    times = []
    net, tokenizer = FastLanguageModel.from_pretrained(
        model_name=model,
        max_seq_length=settings["length"],
        dtype=None,
        load_in_4bit=settings["four_bit"],
    )
    net = FastLanguageModel.get_peft_model(
        net, r=settings["rank"], lora_alpha=settings["alpha"], target_modules=LAYERS, lora_dropout=0, bias="none",
        use_gradient_checkpointing="unsloth", random_state=settings["seed"],
    )  # fmt: skip

    class Timed(SFTTrainer):
        def training_step(self, net, inputs, *args, **options):
            times.append(started(inputs))
            return super().training_step(net, inputs, *args, **options)

    arguments = SFTConfig(
        output_dir=str(folder), max_steps=settings["steps"], learning_rate=settings["rate"],
        lr_scheduler_type="constant", per_device_train_batch_size=settings["batch"], seed=settings["seed"],
        use_cpu=settings["use_cpu"], logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
        **{settings["half"]: True},
    )  # fmt: skip
    trainer = Timed(
        model=net,
        processing_class=tokenizer,
        train_dataset=dataset(rows),
        args=arguments,
    )
    trainer.train()
    return times, [log["loss"] for log in trainer.state.log_history if "loss" in log]


def llamafactory(
    model: str, rows: Path, folder: Path, settings: dict
) -> tuple[list, list]:
    """The steps and the losses."""
    try:
        import torchaudio  # noqa: F401
    except (
        ImportError,
        OSError,
    ):  # it may have no build for this torch, and text does not need it
        stand_in = types.ModuleType("torchaudio")
        stand_in.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = stand_in
    from datasets import DatasetDict
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
    from llamafactory.train.tuner import run_exp
    from transformers import TrainerCallback

    folder.mkdir(parents=True)
    DatasetDict({"train": dataset(rows)}).save_to_disk(
        folder / "tokens"
    )  # as LLaMA-Factory stores them itself
    (folder / "dataset_info.json").write_text(
        json.dumps({"rows": {"file_name": str(rows)}})
    )
    times, losses = [], []
    training_step = CustomSeq2SeqTrainer.training_step

    def timed(self, net, inputs, *args, **options):
        times.append(started(inputs))
        return training_step(self, net, inputs, *args, **options)

    class Losses(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            if "loss" in logs:
                losses.append(float(logs["loss"]))

    CustomSeq2SeqTrainer.training_step = timed
    chosen = {
        "model_name_or_path": model, "stage": "sft", "do_train": True, "finetuning_type": "lora",
        "lora_target": "all", "dataset": "rows", "dataset_dir": str(folder), "tokenized_path": str(folder / "tokens"),
        "template": "default", "overwrite_cache": True, "output_dir": str(folder / "out"), "logging_steps": 1,
        "save_strategy": "no", "report_to": "none", "max_steps": settings["steps"], "lora_rank": settings["rank"],
        "lora_alpha": settings["alpha"], "per_device_train_batch_size": settings["batch"],
        "gradient_accumulation_steps": 1, "learning_rate": settings["rate"], "lr_scheduler_type": "constant",
        "warmup_steps": 0, "cutoff_len": settings["length"], "seed": settings["seed"],
        "bf16": settings["half"] == "bf16", "fp16": settings["half"] == "fp16", "use_cpu": settings["use_cpu"],
        **({"quantization_bit": 4, "double_quantization": True} if settings["four_bit"] else {}),
    }  # fmt: skip
    run_exp(chosen, callbacks=[Losses()])
    return times, losses


def main(who: str, model: str, rows: str, folder: str, settings: str) -> None:
    train = {"unsloth": unsloth, "llamafactory": llamafactory}[who]
    steps, losses = train(model, Path(rows), Path(folder), json.loads(settings))
    import torch

    peak = torch.cuda.max_memory_reserved() >> 20 if torch.cuda.is_available() else 0
    print(json.dumps({"steps": steps, "losses": losses, "peak_mib": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
