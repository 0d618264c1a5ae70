"""The result of a training run, as its status stores it and `runs --json` prints it."""

from typing import Literal

from pydantic import Field

from backend.records.base import StoredRecord


class TrainingResult(StoredRecord):
    """What a run reports when it has ended. One that was stopped before its first step has only the first three."""

    state: Literal["completed", "stopped"] = "completed"
    steps: int = 0
    weights_changed: bool = False  # whether it saved a model
    train_loss: float | None = None  # mean of the last epoch
    eval_loss: float | None = None  # the last validation loss of the saved weights
    eval_step: int | None = None  # of that evaluation
    first_eval_loss: float | None = None  # before training
    best_step: int | None = None  # of the saved weights
    tokens_per_second: float = 0.0  # of the training steps, without padding
    learned_tokens_per_second: float = 0.0
    peak_memory_mib: int = 0
    seconds: float = 0.0
    base_unchanged: bool = True
    precision: str = ""  # such as "bf16"
    trainable_parameters: int = 0
    reward_accuracy: float | None = None  # DPO only, of the evaluation at `eval_step`
    reward_margin: float | None = None
    settings_changed: dict[str, object] = Field(default_factory=dict)  # from the plan, because memory ran out
    measured: dict[str, float] | None = None  # by the dry run, see `training.measured`
