"""The README.md in an export: what the model is, how it was trained, how to use it."""

from __future__ import annotations

import json
import textwrap

from backend.export import snippets
from backend.models import bundled
from backend.records.specs import RunSpec, TrainSettings, format_decimal

_NOTE = """\
Its examples start with the instruction (system message) below; so should every question.

"""


def card(run: RunSpec, form: str, name: str, instruction: str = "") -> str:
    """The model card of an "adapter" or a "merged" model: Markdown with the header that the Hugging Face Hub reads.

    name: a plain file name. The run's name, which a person typed, is escaped to a single line. instruction: that of
    the examples, if any.
    """
    header = {
        "base_model": run.model.id,
        "library_name": "peft" if form == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["full" if run.settings.method == "full" else "lora", run.settings.trainer, "apprentice"],
    }
    if run.model.id == bundled.MODEL_ID:
        header["license"] = bundled.LICENSE.lower()
    lines = [f"{key}: {json.dumps(value)}" for key, value in header.items()]
    what = "A LoRA adapter for" if form == "adapter" else "A fine-tuned copy of"
    settings, data = run.settings, run.data
    note = _NOTE if instruction else ""
    use = textwrap.indent(snippets.with_transformers(form, run.model.id, instruction), "    ")
    return f"""---
{chr(10).join(lines)}
---

# {name}

{what} {run.model.id}, trained with Apprentice.

| | |
|---|---|
| Run | {_one_line(run.name)} |
| Examples | {data.train_rows} for training, {data.validation_rows} for validation |
| Trained on | {_goal(settings)} |
| Method | {_method(settings)} |
| Learning rate | {format_decimal(settings.learning_rate)}, {settings.lr_scheduler_type} |
| Epochs | {settings.num_train_epochs:g} |
| Seed | {settings.seed} |

## How to use it

{note}{use}
The tokenizer files in this folder contain the chat template and the end token that the model was trained with.
"""


def _goal(settings: TrainSettings) -> str:
    return "answers (SFT)" if settings.trainer == "sft" else f"better and worse answers (DPO, beta {settings.beta:g})"


def _method(settings: TrainSettings) -> str:
    if settings.method == "full":
        return "all weights"
    targets = ", ".join(settings.target_modules)
    variants = [name for name, used in (("rsLoRA", settings.use_rslora), ("DoRA", settings.use_dora)) if used]
    method = " with ".join([settings.method, *variants])
    return f"{method}, rank {settings.lora_rank}, alpha {settings.lora_alpha}, on {targets}"


def _one_line(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:100]
