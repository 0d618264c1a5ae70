"""The result of a training run, as its status stores it and `runs --json` prints it."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from backend.files.json_file import read_json
from backend.records.base import StoredRecord


class TrainingResult(StoredRecord):
    """What a run reports when it has ended. One that was stopped before its first step
    has only the first three.
    """

    state: Literal["completed", "stopped"] = "completed"
    """How it ended."""
    steps: int = 0
    """Optimizer steps."""
    weights_changed: bool = False
    """Whether it saved a model."""
    train_loss: float | None = None
    """Mean training loss of the last epoch."""
    eval_loss: float | None = None
    """The last validation loss of the saved weights."""
    eval_step: int | None = None
    """The step of that loss."""
    first_eval_loss: float | None = None
    """The validation loss before training."""
    best_step: int | None = None
    """The step of the saved weights."""
    tokens_per_second: float = 0.0
    """Of the training steps, without padding."""
    learned_tokens_per_second: float = 0.0
    """Of those, the learned ones."""
    peak_memory_mib: int = 0
    """The most memory that it took."""
    seconds: float = 0.0
    """Of the whole run."""
    base_unchanged: bool = True
    """Whether the base model's weights stayed as they were."""
    precision: str = ""
    """Such as "bf16"."""
    trainable_parameters: int = 0
    """How many were trained."""
    reward_accuracy: float | None = None
    """DPO only: share of pairs ranked correctly at `eval_step`."""
    reward_margin: float | None = None
    """DPO only: mean difference of the rewards there."""
    settings_changed: dict[str, object] = Field(default_factory=dict)
    """From the plan, because memory ran out."""
    measured: dict[str, float] | None = None
    """By the dry run, see `training.measured`."""


def result_of(run_folder: Path) -> TrainingResult:
    """What a run reported when it ended; an empty result where it has reported none, or
    that is damaged.
    """
    try:
        return TrainingResult.model_validate(
            read_json(run_folder / "status.json").get("result") or {}
        )
    except (OSError, ValueError):
        return TrainingResult()
