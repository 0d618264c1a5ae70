"""One timed run of LLaMA-Factory's command line, for training_speed.py and gpu_training_speed.py. Run by the Python
that it is installed in.

    python llamafactory_peer.py MODEL DATA.jsonl STEPS FOLDER SETTINGS

With `tokenized_path` in the settings, DATA.jsonl has `input_ids`, `attention_mask` and `labels`, else `messages`. The
last line is JSON: `steps`, a list of (wall clock, processor time, learned tokens, tokens) at the start of each step,
`losses`, and `peak_mib` as torch reserves them on a GPU. Imports nothing from this project.
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


def save_tokens(data: Path, target: str) -> None:
    """As LLaMA-Factory stores rows that are tokenized already."""
    from datasets import Dataset, DatasetDict

    rows = Dataset.from_list([json.loads(line) for line in data.read_text("utf-8").splitlines()])
    DatasetDict({"train": rows}).save_to_disk(target)


def main(model: str, data: str, steps: int, folder: Path, settings: dict) -> None:
    replace_torchaudio()
    import torch
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
    from llamafactory.train.tuner import run_exp
    from transformers import TrainerCallback

    folder.mkdir(parents=True)
    on_gpu = torch.cuda.is_available()
    if "tokenized_path" in settings:
        save_tokens(Path(data), settings["tokenized_path"])
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    dataset = {
        "file_name": data,
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {**tags, "system_tag": "system"},
    }
    (folder / "dataset_info.json").write_text(json.dumps({"orders": dataset}))
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
        "model_name_or_path": model,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_target": "all",
        "dataset": "orders",
        "dataset_dir": str(folder),
        "template": "smollm2",
        "overwrite_cache": True,
        "output_dir": str(folder / "out"),
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "max_steps": steps + 1,
        "bf16": True,
        "use_cpu": True,
        **settings,
    }
    run_exp(chosen, callbacks=[Losses()])
    peak = torch.cuda.max_memory_reserved() >> 20 if on_gpu else 0
    print(json.dumps({"steps": times, "losses": losses, "peak_mib": peak}))


if __name__ == "__main__":
    if sys.argv[1:] == ["--smoke"]:
        print(json.dumps({"name": "llamafactory_peer", "skipped": "needs LLaMA-Factory; started by training_speed"}))
    else:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), json.loads(sys.argv[5]))
