"""What defines a training run: its settings, its model, its data, and its place among
the versions of a model.
"""

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from backend.records.base import Record
from backend.records.setting import Settings, setting

Method = Literal["lora", "qlora", "full"]
Trainer = Literal["sft", "dpo"]
Precision = Literal["bf16", "fp16", "fp32"]
LongDocuments = Literal["windows", "truncate"]
Optim = Literal["adamw", "adamw_8bit", "paged_adamw_8bit"]

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
TARGETS = {"all-linear": ALL_LINEAR, "attention": ATTENTION}
OTHER_TARGETS = "needed"  # chosen on the page: those that the recommendation names, as for Phi's own module names

GOAL = "What it learns"  # shown with the plan, where the examples are pairs
DURATION, EXAMPLES, METHOD = "Duration and learning rate", "Examples", "Method"
TECHNICAL = "Technical settings"

GENERAL_TOKENS = (
    60  # of a general row: about the mean of the bundled model's (static/general)
)
# To get a general row from a base model, at the speed of training: about a third of its
# answers can be used.
ASKING_TOKENS = 200

# Of older runs, by setting. They came within 1 to 2 % of plain LoRA once its rate was
# tuned (arXiv:2602.04998).
_VARIANTS = {"use_rslora": "rsLoRA", "use_dora": "DoRA"}
_REMOVED = (
    "num_processes",  # a run has one process; the exported script can have more
    "sharding",
    *_VARIANTS,
)


class TrainSettings(Settings):
    """All settings of a training run, under the names of transformers, trl and peft, in
    the order of the page. Each field has all its facts, and its help as its docstring:
    the page, the command line, the key of a measurement, versions and the exported
    script take them from here. The defaults are the guide's for a small dataset;
    `backend.advice.recommend` chooses for a machine and its data.
    """

    trainer: Trainer = setting(
        "sft",
        "What to learn from your pairs",
        GOAL,
        choices={
            "sft": "Learn from the good answers",
            "dpo": "Learn the difference between good and bad answers",
        },
    )
    """From the good answers (SFT), it learns to answer like them and never sees the bad ones. From the difference
    (DPO), it learns to prefer the good answer to the bad one. That suits a model that is almost right already and
    needs the right tone, length or manners."""

    num_train_epochs: float = setting(
        3.0, "Epochs", DURATION, gt=0, le=100, least=0.01, costs=False, script=False
    )
    """How many times training goes through all your examples. 3 suits about 500 examples. Fewer examples need more: at
    least 60 steps, or 120 at a learning rate below 5e-4, up to 20 epochs. With more than that, the model may memorize
    them."""

    max_steps: int = setting(
        -1, "Maximum steps", DURATION, ge=-1, le=1_000_000, costs=False, script=False
    )
    """Ends training after this many steps, whatever the epochs say. -1 means no limit. Useful for a quick try."""

    learning_rate: float = setting(
        2e-4,
        "Learning rate",
        DURATION,
        gt=0,
        le=0.1,
        least=1e-8,
        costs=False,
        argument=True,
    )
    """How far each step changes the model. Halve it when the loss jumps up; raise it by half when the loss hardly
    moves after 100 steps."""

    lr_scheduler_type: Literal["cosine", "linear", "constant"] = setting(
        "cosine",
        "Learning rate schedule",
        DURATION,
        choices={"cosine": "Cosine", "linear": "Linear", "constant": "Constant"},
        costs=False,
    )
    """Cosine and linear lower the learning rate toward the end, so that the model settles. Constant does not."""

    warmup_ratio: float = setting(
        0.1, "Warmup ratio", DURATION, ge=0, le=0.5, costs=False, script=False
    )
    """The share of steps over which the learning rate rises from zero. 0.1 is a tenth. Raise it when the loss jumps
    at the very beginning."""

    early_stopping: bool = setting(
        True, "Early stopping", DURATION, costs=False, script=False
    )
    """Checks the model on the validation examples. When it stops improving, training ends and the best version is
    saved. With fewer than 24 examples set aside, the last version is saved."""

    early_stopping_patience: int = setting(
        3, "Early stopping patience", DURATION, ge=1, le=100, costs=False, script=False
    )
    """How many checks in a row may pass without improvement before training stops. Raise it for a bumpy curve."""

    per_device_train_batch_size: int = setting(
        8, "Batch size", EXAMPLES, ge=1, le=512, script=False
    )
    """How many examples are read at once. More is faster and needs more memory. When memory runs out, halve it and
    double the gradient accumulation."""

    gradient_accumulation_steps: int = setting(
        1, "Gradient accumulation", EXAMPLES, ge=1, le=512, script=False
    )
    """How many batches are read for one step. Multiplied by the batch size, this gives the effective batch size. 8 to
    16 is right for most; above 32 the model learns less from each example."""

    max_length: int = setting(
        1024, "Maximum length", EXAMPLES, ge=16, le=131_072, costs=False, script=False
    )
    """The longest example in tokens; anything beyond it is cut off. A token is about three quarters of an English
    word. Longer needs more memory."""

    long_documents: LongDocuments = setting(
        "windows",
        "Long documents",
        EXAMPLES,
        choices={
            "windows": "In overlapping pieces",
            "truncate": "Only their beginning",
        },
        costs=False,
        script=False,
    )
    """Windows divide a long plain text into overlapping pieces, so that all of it is learned. Truncate keeps only the
    beginning. Conversations are never divided."""

    window_overlap: int = setting(
        512, "Window overlap", EXAMPLES, ge=0, le=65_536, costs=False, script=False
    )
    """How many tokens each piece of a long document repeats from the one before. More keeps long trains of thought
    together and takes longer. A number above half the maximum length counts as that half. Conversations, and texts
    that fit into one piece, are not affected."""

    packing: bool = setting(False, "Packing", EXAMPLES, script=False)
    """Joins short examples into rows of the maximum length, so that no time is lost on empty space. They can't see
    each other. Worth it on a GPU; a processor is faster with examples of similar length together."""

    validation_fraction: float = setting(
        0.1, "Validation fraction", EXAMPLES, ge=0, le=0.5, costs=False, script=False
    )
    """The share of your examples set aside for validation. They are never trained on and show whether it really
    learned. 0.1 is a tenth. Whatever the share, at least 24 examples are set aside, or a quarter where there are
    fewer than 96, because fewer would show little. 0 sets none aside. It has no effect with a validation file of your
    own."""

    keep_general: float = setting(
        0.0, "Share of general answers", EXAMPLES, ge=0, le=0.5, script=False
    )
    """The share of what is trained that are everyday questions with the answers of the base model itself, so that the
    model still answers other things as before. 0.2 is one in five: training takes about a quarter longer. With 0 it
    answers everything as if it were the task. It has no effect when learning the difference (DPO)."""

    method: Method = setting(
        "lora",
        "Training method",
        METHOD,
        choices={"lora": "LoRA", "qlora": "QLoRA, 4-bit", "full": "Full"},
    )
    """LoRA trains a small addition, an adapter, and leaves the model itself unchanged. QLoRA does the same with the
    model compressed to 4 bits: a quarter of the memory, a little slower. Full trains the whole model and needs far
    more memory."""

    lora_rank: int = setting(8, "LoRA rank", METHOD, ge=1, le=256, shape=True)
    """The size of the adapter. 8 suits up to about 1,000 examples, 16 suits more. A higher rank learns finer detail,
    but with few examples it memorizes them."""

    lora_alpha: int = setting(
        16, "LoRA alpha", METHOD, ge=1, le=1024, shape=True, costs=False
    )
    """How strongly the adapter counts. Usually twice the rank; raise both together."""

    lora_dropout: float = setting(0.0, "Dropout", METHOD, ge=0, le=0.5)
    """The share of the adapter that is switched off at random during training. Raise it to 0.05 when the model
    memorizes your examples; 0 is right for most."""

    target_modules: tuple[str, ...] = setting(
        ALL_LINEAR,
        "Target modules",
        METHOD,
        choices={
            "all-linear": "All layers",
            "attention": "Attention only",
            OTHER_TARGETS: "The ones this model needs",
        },
        shape=True,
    )
    """The layers that get an adapter. All layers learn more at the same rank; attention only is smaller and a little
    faster."""

    precision: Precision | Literal["auto"] = setting(
        "auto",
        "Precision",
        TECHNICAL,
        choices={"auto": "Auto", "bf16": "bf16", "fp16": "fp16", "fp32": "fp32"},
    )
    """Auto picks what is fastest and safe on this computer: bf16 where the hardware has it, otherwise fp16 or
    fp32."""

    gradient_checkpointing: bool = setting(False, "Gradient checkpointing", TECHNICAL)
    """Uses a third less memory and takes about a fifth longer. Turn it on when memory is short."""

    # in 8 bits: bitsandbytes (Dettmers et al. 2022, arXiv:2110.02861)
    optim: Optim = setting(
        "adamw",
        "Optimizer",
        TECHNICAL,
        choices={
            "adamw": "AdamW",
            "adamw_8bit": "AdamW in 8 bits",
            "paged_adamw_8bit": "AdamW in 8 bits, paged",
        },
    )
    """AdamW keeps two more numbers for every trained one. In 8 bits these take a quarter of the memory, which counts
    when all weights are trained; paged, they can move to the computer's memory while a GPU is short of its own. Needs
    the package bitsandbytes. Tested on a processor, not yet on a GPU."""

    weight_decay: float = setting(
        0.0, "Weight decay", TECHNICAL, ge=0, le=1, costs=False, argument=True
    )
    """Keeps the trained numbers small. Raise it to 0.01 when the model memorizes your examples; 0 is right for
    most."""

    max_grad_norm: float = setting(
        1.0,
        "Gradient clipping",
        TECHNICAL,
        gt=0,
        le=100,
        least=0.001,
        costs=False,
        argument=True,
    )
    """Limits how far one step can change the model, so that a single odd example can't throw it off. Lower is
    steadier."""

    beta: float = setting(0.1, "Beta", TECHNICAL, gt=0, le=10, least=0.001, costs=False)
    """Only for DPO: how closely the model stays to the base model. Lower it to 0.05 when its answers hardly change;
    raise it to 0.3 when they go off track."""

    seed: int = setting(
        0, "Random seed", TECHNICAL, ge=0, le=2**31 - 1, costs=False, argument=True
    )
    """The same seed gives the same run. Another one shuffles the examples differently."""

    @model_validator(mode="before")
    @classmethod
    def _without_removed(cls, values: Any) -> Any:
        """Ignores settings of older files that no longer exist; `parse` rejects them in
        new ones.
        """
        return (
            {n: v for n, v in values.items() if n not in _REMOVED}
            if isinstance(values, dict)
            else values
        )

    @field_validator("target_modules", mode="before")
    @classmethod
    def _named_targets(cls, value: Any) -> Any:
        """Also accepts "all-linear", "attention", and names with commas between them."""
        if not isinstance(value, str):
            return value
        return TARGETS.get(value) or tuple(
            name.strip() for name in value.split(",") if name.strip()
        )

    @property
    def effective_batch(self) -> int:
        """Rows per optimizer step."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def planned_steps(self, rows: int) -> int:
        """The optimizer steps of all epochs over `rows`, whatever the maximum."""
        return math.ceil(math.ceil(rows / self.effective_batch) * self.num_train_epochs)

    def general_rows(self, rows: int) -> int:
        """How many general rows are trained besides `rows` examples; none for DPO,
        whose reference model keeps the rest.
        """
        share = 0.0 if self.trainer == "dpo" else self.keep_general
        return round(rows * share / (1 - share))


class ModelRef(Record):
    """A base model: its id, the folder with its weights and tokenizer, and its commit
    on the hub ("" if unknown).
    """

    id: str
    path: Path
    revision: str = ""


class DataRef(Record):
    """The data of a run: its name, the SHA-256 of the examples, and the row counts as
    trained. data_id: of the dataset, "" where it is not known. edits: how many its
    examples had. general_language: ISO 639-1, of the general rows' questions.
    validation_chooses: whether the validation rows choose the checkpoint; if not, they
    also judge the result.
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
    general_language: str = "en"
    held_out_prompts: tuple[
        tuple[dict[str, str], ...], ...
    ] = ()  # validation messages up to the answer, for samples
    held_out_answers: tuple[
        str, ...
    ] = ()  # the answers in the data, in the same order; optional


class Descent(Record):
    """The place of a run among the versions of one model. first: the id of the first
    version; parent: of the version before. version: from 2. weights: the SHA-256 of the
    parent's weights that training starts from (`backend.runs.start.digest`), "" when it
    starts from the base model.
    """

    first: str
    parent: str
    version: int = Field(ge=2)
    weights: str = ""


class RunSpec(Record):
    """Everything that defines a training run; written to `spec.json` in its folder and
    never changed.
    """

    name: str
    model: ModelRef
    data: DataRef
    settings: TrainSettings
    versions: dict[str, str] = Field(default_factory=dict)
    retry_of: str = ""  # the run that this one repeats with other settings
    descent: Descent | None = None  # None for the first version of a model
    evaluate: bool = (
        True  # evaluate it automatically when it has completed, if that is quick
    )
    variant: Literal["", "rsLoRA", "DoRA", "rsLoRA and DoRA"] = ""
    """The variant of LoRA that an older run trained; new runs have none."""

    @model_validator(mode="before")
    @classmethod
    def _with_variant(cls, values: Any) -> Any:
        settings = values.get("settings") if isinstance(values, dict) else None
        if not isinstance(settings, dict):
            return values
        used = [name for key, name in _VARIANTS.items() if settings.get(key)]
        return {**values, "variant": " and ".join(used)} if used else values

    @property
    def version(self) -> int:
        """Which version of its model this is, from 1."""
        return self.descent.version if self.descent else 1
