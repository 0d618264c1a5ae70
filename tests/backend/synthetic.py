"""A random LoRA adapter for any Llama folder, and a finished run, as training would
leave them; no torch.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from backend.models.model_folder import TOKENIZER_FILES
from backend.records.specs import DataRef, ModelRef, RunSpec, TrainSettings
from backend.runs.token_rows import write_rows
from backend.tokens.tokenizer import ChatTokenizer

QUESTIONS = [
    "Where is order 4711?",
    "Please change 2 lamps to 3.",
    "Hi! I never got my rug.",
]
ANSWER = '{"intent":"track","order_id":"4711"}'


def make_adapter(
    folder: Path, model: Path, strength: float = 0.05, rank: int = 4, seed: int = 0
) -> Path:
    """An adapter on q_proj and v_proj of `model`. strength: standard deviation of B (0:
    no effect).
    """
    config = json.loads((model / "config.json").read_text("utf-8"))
    config = config.get("text_config", config)
    width, heads = config["hidden_size"], config["num_attention_heads"]
    out = {"q_proj": width, "v_proj": width // heads * config["num_key_value_heads"]}
    draw = np.random.default_rng(seed)
    weights = {}
    for layer in range(config["num_hidden_layers"]):
        for name, size in out.items():
            module = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            weights[f"{module}.lora_A.weight"] = draw.normal(
                0, width**-0.5, (rank, width)
            ).astype(np.float32)
            weights[f"{module}.lora_B.weight"] = draw.normal(
                0, strength, (size, rank)
            ).astype(np.float32)
    folder.mkdir(parents=True)
    save_file(weights, folder / "adapter_model.safetensors")
    config_values = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": rank, "target_modules": list(out),
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(
        json.dumps({**config_values, "base_model_name_or_path": "tests/base"}), "utf-8"
    )
    for name in TOKENIZER_FILES:
        if (model / name).is_file():
            shutil.copyfile(model / name, folder / name)
    return folder


def make_finished_run(
    folder: Path, model: Path, model_id: str, **settings: object
) -> Path:
    """A run folder as training leaves it, without the adapter: spec.json and a few
    rows. Returns result/adapter.
    """
    tokenizer = ChatTokenizer.load(model)
    chats = [
        [{"role": "user", "content": q}, {"role": "assistant", "content": ANSWER}]
        for q in QUESTIONS
    ]
    rows = [tokenizer.encode(chat) for chat in chats]
    write_rows(folder, rows, rows)
    spec = RunSpec(
        name="Orders, näturally",
        model=ModelRef(id=model_id, path=model),
        data=DataRef(
            name="orders.jsonl", sha256="", train_rows=3, validation_rows=3,
            train_tokens=sum(row.tokens for row in rows), learned_tokens=sum(row.learned for row in rows),
            longest=max(row.tokens for row in rows), held_out_prompts=tuple((chat[0],) for chat in chats),
        ),
        settings=TrainSettings.model_validate(settings),
    )  # fmt: skip
    (folder / "spec.json").write_text(spec.model_dump_json(), "utf-8")
    return folder / "result" / "adapter"
