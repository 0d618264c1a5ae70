"""The frozen records that cross between rooms: what a run is made of and what a machine has.

Every record refuses unknown keys, so that a misspelt setting is an error and never a silent default.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import BadSetting

Method = Literal["lora", "qlora", "full"]
Trainer = Literal["sft", "dpo"]
Precision = Literal["bf16", "fp16", "fp32"]
LongDocuments = Literal["windows", "truncate"]
Sharding = Literal["none", "fsdp", "zero2"]

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")


class Record(BaseModel):
    """A frozen pydantic record that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Gpu(Record):
    """One graphics card. Memory in MiB; compute_capability as NVIDIA states it, None elsewhere."""

    name: str
    vendor: Literal["nvidia", "apple", "amd", "other"] = "nvidia"
    memory_total_mib: int
    memory_free_mib: int
    compute_capability: tuple[int, int] | None = None


class Cpu(Record):
    """The processor: cores this process may use; bf16 when its bf16 arithmetic is native (not emulated)."""

    cores: int = 1
    bf16: bool = False


class Hardware(Record):
    """A machine as `doctor --json` prints it and `--hardware FILE` reads it. Memory and disk in MiB."""

    platform: str = "linux"
    gpus: tuple[Gpu, ...] = ()
    cpu: Cpu = Cpu()
    memory_total_mib: int = 8192
    memory_available_mib: int = 6144
    unified_memory: bool = False
    disk_free_mib: int = 50_000
    hosted: Literal["space", "zero_gpu", "colab"] | None = None


class MachineProblem(Record):
    """What is wrong with a machine, why, and what to do about it, in plain words."""

    what: str
    why: str = ""
    next: str = ""


class TrainSettings(Record):
    """Every number of a training run. Names are those of transformers, trl and peft.

    The defaults are the guide's for a small data set; `backend.advice.recommend` chooses per machine and data.
    """

    trainer: Trainer = "sft"  # supervised on answers, or DPO on pairs of a better and a worse one
    beta: float = Field(0.1, gt=0, le=10)  # DPO: how strongly the model is held to the one it came from
    method: Method = "lora"
    lora_rank: int = Field(8, ge=1, le=256)
    lora_alpha: int = Field(16, ge=1, le=1024)
    lora_dropout: float = Field(0.0, ge=0, le=0.5)
    target_modules: tuple[str, ...] = ALL_LINEAR
    use_rslora: bool = False  # the addition is scaled by alpha / sqrt(rank) (Kalajdzievski 2023, arXiv:2312.03732)
    use_dora: bool = False  # length and direction learn apart (DoRA, Liu et al. 2024, arXiv:2402.09353)
    learning_rate: float = Field(2e-4, gt=0, le=0.1)
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: float = Field(0.1, ge=0, le=0.5)
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
    num_processes: int = Field(1, ge=1, le=16)  # that train together, each on its card
    sharding: Sharding = "none"  # how the model is divided over them (backend/training/distributed/sharding.py)
    seed: int = Field(0, ge=0, le=2**31 - 1)
    early_stopping: bool = True
    early_stopping_patience: int = Field(3, ge=1, le=100)  # evaluations
    validation_fraction: float = Field(0.1, ge=0, le=0.5)

    @property
    def effective_batch(self) -> int:
        """Rows that one optimizer step learns from."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def changed(self, **changes: Any) -> TrainSettings:
        """A copy with `changes`, checked. Raises BadSetting like `settings_from`."""
        return parse_settings({**self.model_dump(), **changes})


def parse_settings(values: dict[str, Any]) -> TrainSettings:
    """TrainSettings from names and values (texts as typed on the command line are converted).

    `target_modules` may be "all-linear", "attention" or a comma-separated list.
    Raises BadSetting naming the setting, and for an unknown one the nearest known name.
    """
    known = TrainSettings.model_fields
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise BadSetting(
                f"There is no setting {name[:60]!r}.",
                f"The nearest one is {near[0]!r}." if near else "",
                "The settings are: " + ", ".join(known) + ".",
            )
    values = dict(values)
    targets = values.get("target_modules")
    if isinstance(targets, str):
        named = {"all-linear": ALL_LINEAR, "attention": ATTENTION}
        values["target_modules"] = named.get(targets) or tuple(t.strip() for t in targets.split(",") if t.strip())
    try:
        return TrainSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "a setting"
        why = allowed_values(name) if name in known else first["msg"]
        raise _refused(name, first.get("input"), why) from error


# Below these nothing is learned in a person's time.
_LEAST = {"learning_rate": 1e-8, "max_grad_norm": 0.001, "num_train_epochs": 0.01, "beta": 0.001}


def parse_new_settings(values: dict[str, Any]) -> TrainSettings:
    """As `settings_from`, held to the least that learns: for what a person chooses now. A kept run may have less."""
    settings = parse_settings(values)
    for name, least in _LEAST.items():
        if getattr(settings, name) < least:
            raise _refused(name, getattr(settings, name), allowed_values(name))
    return settings


def _refused(name: str, value: Any, why: str) -> BadSetting:
    return BadSetting(f"The setting {name} can't be {str(value)[:60]}.", f"It must be {why}.", "Change it.")


def allowed_values(name: str) -> str:
    """The values that a setting of `TrainSettings` may have: "a whole number from 1 to 256"."""
    field = TrainSettings.model_fields[name]
    if field.annotation is bool:
        return "true or false"
    if field.annotation not in (int, float):
        named = [word for part in (field.annotation, *get_args(field.annotation)) for word in get_args(part)]
        words = [word for word in named if isinstance(word, str)]
        return f"one of {', '.join(words)}" if words else "a list of names"
    ends = {kind: getattr(mark, kind) for mark in field.metadata for kind in ("ge", "le") if hasattr(mark, kind)}
    least = format_decimal(_LEAST[name] if name in _LEAST else ends["ge"])
    return f"{'a whole number' if field.annotation is int else 'a number'} from {least} to {ends['le']:,}"


def format_decimal(value: float) -> str:
    """A small number without an exponent, such as a learning rate: 5e-05 -> "0.00005"."""
    return f"{value:.12f}".rstrip("0").rstrip(".")


class ModelRef(Record):
    """A base model: catalogue id, the folder with its safetensors and tokenizer, and where it came from."""

    id: str
    path: Path
    revision: str = ""


class DataRef(Record):
    """The data of a run: a name for people, the SHA-256 of the source file, and row counts as trained."""

    name: str
    sha256: str
    train_rows: int
    validation_rows: int
    train_tokens: int
    learned_tokens: int
    longest: int  # tokens
    held_out_prompts: tuple[tuple[dict[str, str], ...], ...] = ()  # messages up to the answer, for watching it learn
    held_out_answers: tuple[str, ...] = ()  # what the data answers to them, in the same order; may be left out


class RunSpec(Record):
    """All that defines a training run; written to `spec.json` in its folder and never changed."""

    name: str
    model: ModelRef
    data: DataRef
    settings: TrainSettings
    versions: dict[str, str] = {}
    retry_of: str = ""  # the run that this one repeats with a change, "" for none
