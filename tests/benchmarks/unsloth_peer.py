"""One timed run of Unsloth, for trainers.py. Run by the Python that it is installed in.

    python unsloth_peer.py MODEL ROWS.jsonl FOLDER SETTINGS

ROWS.jsonl has `input_ids`, `attention_mask` and `labels`, which Unsloth's trainer takes as they are. The last line is
JSON: `steps`, a list of (wall clock, tokens) at the start of each step, `losses`, and `peak_mib` as torch reserves
them. Imports nothing from this project.
"""

import json
import sys
import time
from pathlib import Path

LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main(model: str, rows: Path, folder: str, settings: dict) -> None:
    from unsloth import FastLanguageModel  # first: it changes the libraries below  # isort: skip

    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    on_gpu, times = torch.cuda.is_available(), []
    net, tokenizer = FastLanguageModel.from_pretrained(
        model_name=model, max_seq_length=settings["length"], dtype=None, load_in_4bit=settings["four_bit"]
    )
    net = FastLanguageModel.get_peft_model(
        net, r=settings["rank"], lora_alpha=settings["alpha"], target_modules=LAYERS, lora_dropout=0, bias="none",
        use_gradient_checkpointing="unsloth", random_state=settings["seed"],
    )  # fmt: skip

    class Timed(SFTTrainer):
        def training_step(self, net, inputs, *args, **options):
            tokens = int(inputs["attention_mask"].sum())
            if on_gpu:
                torch.cuda.synchronize()
            times.append((time.perf_counter(), tokens))
            return super().training_step(net, inputs, *args, **options)

    trainer = Timed(
        model=net,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([json.loads(line) for line in rows.read_text("utf-8").splitlines()]),
        args=SFTConfig(
            output_dir=folder, max_steps=settings["steps"], learning_rate=settings["rate"],
            lr_scheduler_type="constant", per_device_train_batch_size=settings["batch"], seed=settings["seed"],
            use_cpu=settings["use_cpu"], logging_steps=1, save_strategy="no", report_to="none", disable_tqdm=True,
            **{settings["half"]: True},
        ),
    )  # fmt: skip
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    peak = torch.cuda.max_memory_reserved() >> 20 if on_gpu else 0
    print(json.dumps({"steps": times, "losses": losses, "peak_mib": peak}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4]))
