"""One timed run of LLaMA-Factory's command line, for trainers.py. Run by the Python
that it is installed in.

    python llamafactory_peer.py MODEL ROWS.jsonl FOLDER SETTINGS

ROWS.jsonl has `input_ids`, `attention_mask` and `labels`. The last line is JSON: `steps`, a list of (wall clock,
processor time, learned tokens, tokens) at the start of each step, `losses`, and `peak_mib` as torch reserves them on
a GPU. Imports nothing from this project. LLaMA-Factory checkpoints by default.
"""

import importlib.machinery
import json
import sys
import time
import types
from pathlib import Path


def replace_torchaudio() -> None:
    """LLaMA-Factory imports torchaudio, which may have no build for this torch; text does not need it."""
    try:
        import torchaudio  # noqa: F401
    except (ImportError, OSError):
        stand_in = types.ModuleType("torchaudio")
        stand_in.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = stand_in


def main(model: str, rows: Path, folder: Path, settings: dict) -> None:
    replace_torchaudio()
    import torch
    from datasets import Dataset, DatasetDict
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
    from llamafactory.train.tuner import run_exp
    from transformers import TrainerCallback

    folder.mkdir(parents=True)
    on_gpu = torch.cuda.is_available()
    tokenized = Dataset.from_list([json.loads(line) for line in rows.read_text("utf-8").splitlines()])
    DatasetDict({"train": tokenized}).save_to_disk(folder / "tokens")  # as LLaMA-Factory stores them itself
    (folder / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": str(rows)}}))
    times, losses = [], []
    training_step = CustomSeq2SeqTrainer.training_step

    def timed(self, net, inputs, *args, **options):
        counts = int((inputs["labels"] != -100).sum()), int(inputs["attention_mask"].sum())
        if on_gpu:
            torch.cuda.synchronize()
        times.append((time.perf_counter(), time.process_time(), *counts))
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
    peak = torch.cuda.max_memory_reserved() >> 20 if on_gpu else 0
    print(json.dumps({"steps": times, "losses": losses, "peak_mib": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
