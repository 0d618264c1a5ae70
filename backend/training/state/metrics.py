"""What a run has reached so far: kept in every checkpoint, so that a resumed run goes on counting."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class History:
    """Losses are means over learned tokens (of DPO: over pairs); seconds are those of training steps only."""

    first_eval_loss: float | None = None
    eval_loss: float | None = None  # the latest
    eval_step: int | None = None  # its step
    best_loss: float | None = None
    best_step: int | None = None
    best_figures: dict[str, float] = field(default_factory=dict)  # what was told beside the best loss
    stale: int = 0  # evaluations since the best one
    round_loss: float = 0.0  # sum over the steps of the current epoch
    round_steps: int = 0
    tokens: int = 0
    learned_tokens: int = 0
    seconds: float = 0.0
    answers: int = 0  # times that held-out prompts were answered
    answer_seconds: float = 0.0
    last_answer_seconds: float = 0.0
    elapsed: float = 0.0  # seconds of the whole run up to the checkpoint, all attempts, pauses not counted

    def stepped(self, loss: float, first_of_epoch: bool) -> None:
        """Counts a step with its `loss`."""
        if first_of_epoch:
            self.round_loss, self.round_steps = 0.0, 0
        self.round_loss += loss
        self.round_steps += 1

    def evaluated(self, step: int, loss: float, figures: dict[str, float] | None = None) -> bool:
        """Counts a validation loss, and the figures beside it; gives whether it is the best of a trained model."""
        self.eval_loss, self.eval_step = loss, step
        if step == 0:
            self.first_eval_loss = loss
            return False
        if self.best_loss is not None and not loss < self.best_loss:
            self.stale += 1
            return False
        self.best_loss, self.best_step, self.stale = loss, step, 0
        self.best_figures = dict(figures or {})
        return True

    @property
    def train_loss(self) -> float | None:
        """The mean over the steps of the current (at the end: the last) epoch."""
        return self.round_loss / self.round_steps if self.round_steps else None

    def per_second(self, count: int) -> float:
        return count / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
