"""One timed run of LLaMA-Factory's command line, for training_speed.py. Run by the Python that it is installed in.

    python llamafactory_peer.py MODEL DATA.jsonl STEPS FOLDER SETTINGS

The last line is JSON: `steps`, a list of (wall clock, processor time, learned tokens) at the start of each step, and
`losses`. Imports nothing from this project.
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


def main(model: str, data: str, steps: int, folder: Path) -> None:
    replace_torchaudio()
    from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
    from llamafactory.train.tuner import run_exp
    from transformers import TrainerCallback

    folder.mkdir(parents=True)
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
        times.append((time.perf_counter(), time.process_time(), int((inputs["labels"] != -100).sum())))
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
        **json.loads(sys.argv[5]),
    }
    run_exp(chosen, callbacks=[Losses()])
    print(json.dumps({"steps": times, "losses": losses}))


if __name__ == "__main__":
    if sys.argv[1:] == ["--smoke"]:
        print(json.dumps({"name": "llamafactory_peer", "skipped": "needs LLaMA-Factory; started by training_speed"}))
    else:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
