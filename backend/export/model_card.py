"""The README.md in an export: what the model is, how it was trained, how to use it,
what it scored, its limits.

The examples are described and not quoted, except for the instruction, without which the
model can't be used.
"""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from backend.errors import BadInput
from backend.export import snippets
from backend.models import catalogue, causal_lm
from backend.records.exports import Check
from backend.records.specs import RunSpec
from backend.records.units import format_decimal

FILE = "README.md"
_NOTE = "Its examples start with the instruction (system message) below; so should every question.\n\n"
_RELATION = {"adapter": "adapter", "merged": "finetune", "gguf": "quantized"}
_LIBRARY = {"adapter": "peft", "merged": "transformers", "gguf": "gguf"}
_WHAT = {
    "adapter": "A LoRA adapter for",
    "merged": "A fine-tuned copy of",
    "gguf": "GGUF files of a fine-tuned copy of",
}
_ON_HUB = {
    "Apache-2.0": "apache-2.0",
    "MIT": "mit",
}  # licenses that the hub knows by name


@dataclass(frozen=True)
class Evaluation:
    """An evaluation's result on `items` held-out examples, in words. systems: (name,
    score, its 95% interval).
    """

    verdict: str
    measure: str
    items: int
    systems: Sequence[tuple[str, str, str]]


def card(
    run: RunSpec,
    form: str,
    name: str,
    instruction: str = "",
    evaluation: Evaluation | None = None,
    checks: Sequence[Check] = (),
) -> str:
    """The model card of an "adapter", a "merged" model or "gguf" files: Markdown with
    the header that the Hugging Face Hub reads. The run's name, which a person typed, is
    escaped to a single line; `name` is a plain file name.
    """
    licence = _licence(run.model.id)
    header = {
        "base_model": run.model.id,
        "base_model_relation": _RELATION[form],
        "library_name": _LIBRARY[form],
        "pipeline_tag": "text-generation",
        "tags": [
            "full" if run.settings.method == "full" else "lora",
            run.settings.trainer,
            "apprentice",
        ],
    }
    if licence:
        header["license"] = _ON_HUB.get(licence, "other")
        if licence not in _ON_HUB:
            header["license_name"] = licence
    lines = [f"{key}: {json.dumps(value)}" for key, value in header.items()]
    settings, data = run.settings, run.data
    goal = (
        "answers (SFT)"
        if settings.trainer == "sft"
        else f"better and worse answers (DPO, beta {settings.beta:g})"
    )
    note = _NOTE if instruction else ""
    rows = settings.general_rows(data.train_rows)
    general = "everyday questions with the base model's own answers"
    general = f"| To keep what it knew | up to {rows} {general} |\n" if rows else ""
    use = _use(run, form, instruction)
    licensed = licence or "not known to Apprentice; that of the base model applies"
    return f"""---
{chr(10).join(lines)}
---

# {name}

{_WHAT[form]} {run.model.id}, trained with Apprentice.

| | |
|---|---|
| Run | {_one_line(run.name)} |
| Examples | {data.train_rows} for training, {data.validation_rows} for validation |
| Longest example | {data.longest} tokens |
| Trained on | {goal} |
{general}| Method | {_method(run)} |
| Learning rate | {format_decimal(settings.learning_rate)}, {settings.lr_scheduler_type} |
| Epochs | {settings.num_train_epochs:g} |
| Seed | {settings.seed} |

## How to use it

{note}{use}
{scores(evaluation)}{_checks(checks)}## Limits

- It is a small model. Its answers can be wrong or made up, also where they sound certain: check what matters.
- It learned from these examples and was judged on others of the same kind, if at all. Beyond the results above,
  nothing is known about other tasks and languages, nor about what people could make it say.
- It may repeat what is in its training examples.

## License

That of the base model: {licensed}.
"""


def _licence(model_id: str) -> str:
    """The license of the base model in words, "" if it is not known."""
    try:
        licence = catalogue.find(model_id).licence
    except BadInput:
        return ""
    return "" if licence.startswith("unknown") else licence


def _use(run: RunSpec, form: str, instruction: str) -> str:
    if form == "gguf":
        shown = textwrap.indent(f"{instruction}\n", "    ") if instruction else ""
        return f"{shown}The steps for LM Studio, Ollama, llama.cpp and Jan are in the text file next to the model.\n"
    renamed = (
        {} if run.settings.method == "full" else causal_lm.key_mapping(run.model.path)
    )
    code = textwrap.indent(
        snippets.with_transformers(form, run.model.id, instruction, renamed=renamed),
        "    ",
    )
    return (
        f"{code}\nThe tokenizer files in this folder contain the chat template and the end token that the model was "
        "trained with.\n"
    )


def scores(evaluation: Evaluation | None) -> str:
    """The result of an evaluation as a section in Markdown; "" without one."""
    if evaluation is None:
        return ""
    rows = "\n".join(
        f"| {name} | {score} | {interval} |"
        for name, score, interval in evaluation.systems
    )
    measure = (
        f"; right means that it {evaluation.measure}" if evaluation.measure else ""
    )
    return (
        f"## Scores\n\nOn {evaluation.items} examples that it had not seen{measure}.\n\n"
        f"| | Score | 95% interval |\n|---|---|---|\n{rows}\n\n{evaluation.verdict}\n\n"
    )


def _checks(checks: Sequence[Check]) -> str:
    if not checks:
        return ""
    marks = {True: "passed", None: "no verdict", False: "failed"}
    lines = "".join(
        f"- {marks[check.ok]}: {_one_line(check.sentence, 400)}\n" for check in checks
    )
    return f"## Checks of these files\n\n{lines}\n"


def _method(run: RunSpec) -> str:
    settings = run.settings
    if settings.method == "full":
        return "all weights"
    targets = ", ".join(settings.target_modules)
    method = " with ".join(filter(None, (settings.method, run.variant)))
    return f"{method}, rank {settings.lora_rank}, alpha {settings.lora_alpha}, on {targets}"


def _one_line(text: str, longest: int = 100) -> str:
    return " ".join(text.replace("|", "/").split())[:longest]
