"""How close the memory estimate comes to real training, for each model type in the catalogue.

Ours: `backend.estimate`, against the peak resident memory of real runs on the processor (three optimizer steps each,
in a process of its own) of models with random weights: fewer and narrower layers than the real ones, but of the same
types. Nothing was fitted to them. Peer: nobody publishes numbers for the processor, so the rule of thumb of
memory_on_processor.py takes their place.

    python -m tests.benchmarks.memory_of_families [MODEL_TYPE ...] [--smoke]

All types take about ten minutes on two cores. The last line is JSON: mean absolute errors in percent; ratio is
peer / ours. --smoke: one small model and one short run.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from backend.models import catalogue
from tests.benchmarks.fresh_process import in_fresh_process
from tests.benchmarks.peak_memory import estimated, measured, rule_of_thumb, settings_of, summary

SHAPE: dict[str, Any] = {
    "vocab_size": 16384, "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8,
    "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64, "max_position_embeddings": 4096,
    "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
SMALL: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2}
FULL_EVERY_FOURTH = [kind for _ in range(2) for kind in (*["sliding_attention"] * 3, "full_attention")]
MODEL_TYPES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen3": {},
    "olmo2": {},
    "olmo3": {"layer_types": FULL_EVERY_FOURTH, "sliding_window": 256},
    "exaone4": {"layer_types": FULL_EVERY_FOURTH, "sliding_window": 256},
    "hunyuan_v1_dense": {},
    "ernie4_5": {},
    "glm4": {"num_key_value_heads": 2},
    "qwen3_5_text": {"head_dim": 128, "linear_num_key_heads": 8, "linear_num_value_heads": 8},
}
CONFIGURATIONS: tuple[dict[str, Any], ...] = (
    {"per_device_train_batch_size": 4, "max_length": 512},
    {"per_device_train_batch_size": 8, "max_length": 192},
    {"per_device_train_batch_size": 8, "max_length": 768, "gradient_checkpointing": True},
    {"per_device_train_batch_size": 2, "max_length": 512, "method": "full"},
    {"per_device_train_batch_size": 2, "max_length": 640, "precision": "fp32"},
)
SHORT: dict[str, Any] = {"per_device_train_batch_size": 2, "max_length": 64}


def make(model_type: str, folder: Path, changes: dict[str, Any]) -> int:
    """Saves a model with random weights, and a tokenizer; imports torch. Returns the number of parameters.

    changes: to SHAPE.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from tests.backend.tiny_run import make_model

    make_model(folder)
    config = CONFIG_MAPPING[model_type](**{**SHAPE, **MODEL_TYPES[model_type], **changes})
    config.save_pretrained(folder)
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    return int(model.num_parameters())


def main(model_types: list[str], smoke: bool) -> None:
    ours, peer = [], []
    for model_type in model_types:
        with tempfile.TemporaryDirectory() as home:
            folder = Path(home) / "model"
            parameters = in_fresh_process(make, model_type, folder, SMALL if smoke else {})
            entry = catalogue.from_folder(folder)
            for configuration in (SHORT,) if smoke else CONFIGURATIONS:
                settings = settings_of(**configuration, target_modules=entry.all_linear_targets)
                expected = estimated(entry.architecture, settings)
                found = measured(folder, settings)["mib"]
                ours.append(100 * (expected / found - 1))
                peer.append(100 * (rule_of_thumb(parameters) / found - 1))
                print(
                    f"{model_type} {configuration}: measured {found:.0f} MiB, expected {expected:.0f} "
                    f"({ours[-1]:+.1f} %)",
                    flush=True,
                )
    print(summary("memory_of_families", ours, peer))


if __name__ == "__main__":
    options = {"--smoke"} & {*sys.argv[1:]}
    chosen = [argument for argument in sys.argv[1:] if argument not in options]
    main(chosen or list(MODEL_TYPES)[: 1 if options else None], smoke=bool(options))
