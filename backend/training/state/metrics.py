"""The metrics of a run so far, saved in every checkpoint so that a resumed run continues them."""

from dataclasses import dataclass, field


@dataclass
class Metrics:
    """Losses are means over learned tokens (DPO: over pairs); seconds are those of training steps only."""

    first_eval_loss: float | None = None
    eval_loss: float | None = None  # the latest
    eval_step: int | None = None  # its step
    best_loss: float | None = None
    best_step: int | None = None
    rewards: dict[str, float] = field(default_factory=dict)  # DPO's reward metrics at the latest loss
    best_rewards: dict[str, float] = field(default_factory=dict)  # and at the best
    stale: int = 0  # evaluations since the best loss
    epoch_loss: float = 0.0  # sum over the steps of the current epoch
    epoch_steps: int = 0
    tokens: int = 0
    learned_tokens: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0  # seconds of the whole run up to the checkpoint, all attempts, without pauses

    def add_step(self, loss: float, first_of_epoch: bool) -> None:
        """Adds the loss of a step."""
        if first_of_epoch:
            self.epoch_loss, self.epoch_steps = 0.0, 0
        self.epoch_loss += loss
        self.epoch_steps += 1

    def add_evaluation(
        self, step: int, loss: float, rewards: dict[str, float] | None = None, *, chooses: bool = True
    ) -> None:
        """Adds a validation loss, with DPO's reward metrics. chooses: whether the best step may be chosen by it."""
        self.eval_loss, self.eval_step, self.rewards = loss, step, dict(rewards or {})
        if step == 0:
            self.first_eval_loss = loss
        elif chooses and self.best_loss is not None and not loss < self.best_loss:
            self.stale += 1
        elif chooses:
            self.best_loss, self.best_step, self.best_rewards, self.stale = loss, step, self.rewards, 0

    @property
    def train_loss(self) -> float | None:
        """The mean over the steps of the current epoch (after training: the last)."""
        return self.epoch_loss / self.epoch_steps if self.epoch_steps else None

    def per_second(self, count: int) -> float:
        return count / self.seconds if self.seconds else 0.0
