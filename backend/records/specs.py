"""What defines a training run: its settings, its model, its data, and its place among the versions of a model."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from backend.errors import BadSetting
from backend.records.base import Record

Method = Literal["lora", "qlora", "full"]
Trainer = Literal["sft", "dpo"]
Precision = Literal["bf16", "fp16", "fp32"]
LongDocuments = Literal["windows", "truncate"]
Optim = Literal["adamw", "adamw_8bit", "paged_adamw_8bit"]

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
_REMOVED = ("num_processes", "sharding")  # a run has one process; the exported script can have more


class TrainSettings(Record):
    """All settings of a training run, under the names of transformers, trl and peft.

    The defaults are the guide's for a small dataset; `backend.advice.recommend` chooses for a machine and its data.
    """

    trainer: Trainer = "sft"  # supervised on answers, or DPO on pairs of a better and a worse one
    beta: float = Field(0.1, gt=0, le=10)  # DPO: how closely the model stays to its base model
    method: Method = "lora"
    lora_rank: int = Field(8, ge=1, le=256)
    lora_alpha: int = Field(16, ge=1, le=1024)
    lora_dropout: float = Field(0.0, ge=0, le=0.5)
    target_modules: tuple[str, ...] = ALL_LINEAR
    use_rslora: bool = False  # scales the update by alpha / sqrt(rank) (Kalajdzievski 2023, arXiv:2312.03732)
    use_dora: bool = False  # trains magnitude and direction separately (Liu et al. 2024, arXiv:2402.09353)
    learning_rate: float = Field(2e-4, gt=0, le=0.1)
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: float = Field(0.1, ge=0, le=0.5)
    optim: Optim = "adamw"  # in 8 bits: bitsandbytes (Dettmers et al. 2022, arXiv:2110.02861)
    weight_decay: float = Field(0.0, ge=0, le=1)
    max_grad_norm: float = Field(1.0, gt=0, le=100)
    num_train_epochs: float = Field(3.0, gt=0, le=100)
    max_steps: int = Field(-1, ge=-1, le=1_000_000)  # -1: num_train_epochs decides
    per_device_train_batch_size: int = Field(8, ge=1, le=512)
    gradient_accumulation_steps: int = Field(1, ge=1, le=512)
    max_length: int = Field(1024, ge=16, le=131_072)  # tokens
    long_documents: LongDocuments = "windows"
    window_overlap: int = Field(512, ge=0, le=65_536)  # tokens
    packing: bool = False
    gradient_checkpointing: bool = False
    precision: Precision | Literal["auto"] = "auto"
    seed: int = Field(0, ge=0, le=2**31 - 1)
    early_stopping: bool = True
    early_stopping_patience: int = Field(3, ge=1, le=100)  # evaluations
    validation_fraction: float = Field(0.1, ge=0, le=0.5)

    @model_validator(mode="before")
    @classmethod
    def _without_removed(cls, values: Any) -> Any:
        """Ignores settings of older files that no longer exist; `parse_settings` rejects them in new ones."""
        return {n: v for n, v in values.items() if n not in _REMOVED} if isinstance(values, dict) else values

    @property
    def effective_batch(self) -> int:
        """Rows per optimizer step."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def changed(self, **changes: Any) -> TrainSettings:
        """A validated copy with `changes`. Raises BadSetting like `parse_settings`."""
        return parse_settings({**self.model_dump(), **changes})


def parse_settings(values: dict[str, Any]) -> TrainSettings:
    """TrainSettings from names and values; converts text as typed on the command line.

    `target_modules` may be "all-linear", "attention" or a comma-separated list.
    Raises BadSetting naming the setting; for an unknown one also the closest match.
    """
    known = TrainSettings.model_fields
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise BadSetting(
                f"There is no setting {name[:60]!r}.",
                f"The closest match is {near[0]!r}." if near else "",
                "The settings are: " + ", ".join(known) + ".",
            )
    values = dict(values)
    targets = values.get("target_modules")
    if isinstance(targets, str):
        groups = {"all-linear": ALL_LINEAR, "attention": ATTENTION}
        values["target_modules"] = groups.get(targets) or tuple(t.strip() for t in targets.split(",") if t.strip())
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "a setting"
        why = allowed_values(name) if name in known else first["msg"]
        raise _invalid(name, first.get("input"), why) from error


# With less than this a training learns nothing in any reasonable time.
_MINIMUM = {"learning_rate": 1e-8, "max_grad_norm": 0.001, "num_train_epochs": 0.01, "beta": 0.001}


def parse_new_settings(values: dict[str, Any]) -> TrainSettings:
    """Like `parse_settings`, but for new runs: also rejects values too small to learn anything."""
    settings = parse_settings(values)
    for name, minimum in _MINIMUM.items():
        if getattr(settings, name) < minimum:
            raise _invalid(name, getattr(settings, name), allowed_values(name))
    return settings


def _invalid(name: str, value: Any, expected: str) -> BadSetting:
    return BadSetting(f"The setting {name} can't be {str(value)[:60]}.", f"It must be {expected}.", "Change it.")


def allowed_values(name: str) -> str:
    """The values that a setting of `TrainSettings` may have: "a whole number from 1 to 256"."""
    field = TrainSettings.model_fields[name]
    if field.annotation is bool:
        return "true or false"
    if field.annotation not in (int, float):
        options = [option for part in (field.annotation, *get_args(field.annotation)) for option in get_args(part)]
        words = [option for option in options if isinstance(option, str)]
        return f"one of {', '.join(words)}" if words else "a list of names"
    limits = {kind: getattr(mark, kind) for mark in field.metadata for kind in ("ge", "le") if hasattr(mark, kind)}
    minimum = format_decimal(_MINIMUM[name] if name in _MINIMUM else limits["ge"])
    return f"{'a whole number' if field.annotation is int else 'a number'} from {minimum} to {limits['le']:,}"


def format_decimal(value: float) -> str:
    """A small number, such as a learning rate, without an exponent: 5e-05 -> "0.00005"."""
    return f"{value:.12f}".rstrip("0").rstrip(".")


class ModelRef(Record):
    """A base model: its id, the folder with its weights and tokenizer, and its commit on the hub ("" if unknown)."""

    id: str
    path: Path
    revision: str = ""


class DataRef(Record):
    """The data of a run: its name, the SHA-256 of the examples, and the row counts as trained.

    data_id: of the dataset, "" where it is not known. edits: how many its examples had.
    validation_chooses: whether the validation rows choose the checkpoint; if not, they also judge the result.
    """

    name: str
    sha256: str
    data_id: str = ""
    edits: int = 0
    train_rows: int
    validation_rows: int
    train_tokens: int
    learned_tokens: int
    longest: int  # tokens
    validation_chooses: bool = True
    held_out_prompts: tuple[tuple[dict[str, str], ...], ...] = ()  # validation messages up to the answer, for samples
    held_out_answers: tuple[str, ...] = ()  # the answers in the data, in the same order; optional


class Descent(Record):
    """The place of a run among the versions of one model.

    first: the id of the first version; parent: of the version before. version: from 2. weights: the SHA-256 of the
    parent's weights that training starts from (`backend.runs.start.digest`), "" when it starts from the base model.
    """

    first: str
    parent: str
    version: int = Field(ge=2)
    weights: str = ""


class RunSpec(Record):
    """Everything that defines a training run; written to `spec.json` in its folder and never changed."""

    name: str
    model: ModelRef
    data: DataRef
    settings: TrainSettings
    versions: dict[str, str] = Field(default_factory=dict)
    retry_of: str = ""  # the run that this one repeats with other settings
    descent: Descent | None = None  # None for the first version of a model
    evaluate: bool = True  # evaluate it automatically when it has completed, if that is quick

    @property
    def version(self) -> int:
        """Which version of its model this is, from 1."""
        return self.descent.version if self.descent else 1
