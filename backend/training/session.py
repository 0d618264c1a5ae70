"""A training session: what happens in each step, and after it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.advice.loss import why_not_finite
from backend.errors import TrainingFailed, is_out_of_memory
from backend.hardware import gpu_memory
from backend.records.events import CheckpointEvent, EvalEvent, NoteEvent, StepEvent
from backend.records.specs import RunSpec
from backend.runs.token_rows import TokenRow, TokenRows, sides
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.device import Device
from backend.training.sampler import StepBatches
from backend.training.samples import sample_answers, time_limit
from backend.training.schedule import Schedule
from backend.training.state import checkpoints
from backend.training.state import save as saved_state
from backend.training.state.save import Metrics
from backend.training.train_step import TrainStep
from backend.work import Work

if TYPE_CHECKING:
    import torch

STEP_PHASES = TRAINING, VALIDATING = (
    "Training",
    "Validating",
)  # phases whose progress counts steps
VALIDATION_ROWS = 200  # rows in an evaluation, evenly spread, so that evaluating stays a small part of the run
SAVE_EVERY = 300.0  # seconds between checkpoints where evaluations are further apart
_NO_SAMPLES = (
    "There was not enough memory to answer the sample questions during training. This does not affect the training; "
    "you can ask the model once it is finished."
)
_MAX_OVERFLOWS = 20  # fp16 steps in a row with an infinite gradient; the scaler needs a few to find its scale


@dataclass
class TrainingSession:
    """The parts of a run and its state. validation: the rows for evaluation, at most
    VALIDATION_ROWS.
    checkpoint: where this attempt starts from, None at the start of the run.
    """

    work: Work
    spec: RunSpec
    device: Device
    tokenizer: ChatTokenizer
    train: TokenRows
    validation: Sequence[TokenRow]
    schedule: Schedule
    train_step: TrainStep
    metrics: Metrics = field(default_factory=Metrics)
    checkpoint: Path | None = None
    stopping: bool = False
    _random_state: Path | None = (
        None  # the checkpoint whose random state the next step begins with
    )
    _step_tokens: tuple[int, int] = (0, 0)
    _general_tokens: int = 0  # learned tokens of general rows in the step
    _step_began: float = 0.0
    _free_since: float | None = (
        None  # when the work after a step ended, so that the next one could begin
    )
    _waited: float = 0.0
    _saved: float = field(default_factory=time.monotonic)
    _began: float = field(default_factory=time.monotonic)
    _overflows: int = 0
    _sampling: bool = True

    @property
    def checkpoints(self) -> Path:
        return self.work.folder / "checkpoints"

    @property
    def steps_before(self) -> int:
        """Steps of the run before this attempt; the trainer counts its own from 0."""
        return checkpoints.step_of(self.checkpoint) if self.checkpoint else 0

    @property
    def out_of_patience(self) -> bool:
        """Whether the validation loss has not improved for `early_stopping_patience`
        evaluations.
        """
        settings = self.spec.settings
        return (
            settings.early_stopping
            and self.metrics.stale >= settings.early_stopping_patience
        )

    @property
    def elapsed(self) -> float:
        """Seconds of the run so far, in all attempts."""
        return self.metrics.elapsed + time.monotonic() - self._began

    def step_batches(self) -> Iterable[list[int]]:
        """The row numbers of each optimizer step that is left."""
        settings = self.spec.settings
        lengths = [row.longest for row in self.train]
        steps = range(self.steps_before, self.schedule.total)
        return StepBatches(
            lengths, settings.effective_batch, settings.seed, steps, self.train.general
        )

    def compute_gradients(
        self,
        model: Any,
        rows: Sequence[TokenRow],
        learn: Callable[[list[TokenRow], float], torch.Tensor],
    ) -> torch.Tensor:
        """Computes the gradients of one optimizer step; returns its loss. learn: see
        `TrainStep`.
        """
        sequences = sides(rows)
        self._step_tokens = (
            sum(row.tokens for row in sequences),
            sum(row.learned for row in sequences),
        )
        self._general_tokens = sum(row.learned for row in rows if row.general)
        return self.train_step.compute_gradients(model, rows, learn)

    def restore(self, trainer: Any) -> None:
        """Loads the optimizer's and the schedule's state of the checkpoint, if there is
        one.
        """
        if self.checkpoint:
            saved_state.load_optimizer(self.checkpoint, trainer)
            self._random_state = self.checkpoint

    def before_step(self) -> None:
        if self._random_state:  # only now: starting an epoch draws a random number too
            saved_state.load_random_state(self._random_state)
            self._random_state = None
        self._step_began = time.perf_counter()
        self._waited = self._step_began - (self._free_since or self._step_began)

    def after_step(self, step: int, control: Any) -> None:
        """Decides whether the trainer ends after `step`."""
        self.stopping = self.work.should_stop()
        control.should_log = True
        control.should_training_stop |= self.stopping or step >= self.schedule.total

    def evaluate_and_save(self, step: int, trainer: Any) -> None:
        """Evaluates and saves where that is due after `step`. When stopping, it saves
        without an evaluation.
        """
        evaluates = step in self.schedule.evaluations and not self.stopping
        if evaluates:
            self.evaluate(trainer.model, step)
        waited = time.monotonic() - self._saved > SAVE_EVERY
        if evaluates or waited or self.stopping or step == self.schedule.total:
            self.save(trainer, step)

    def report_step(
        self, step: int, loss: float, grad_norm: float, learning_rate: float
    ) -> None:
        """Reports and checks a step. Raises TrainingFailed when its loss or gradient
        norm is not finite. The loss that is reported is that of the examples; the one
        of general rows stands beside it.
        """
        seconds = time.perf_counter() - self._step_began
        tokens, learned = self._step_tokens
        general, general_loss, mean_loss = (
            self._general_tokens,
            self.train_step.general_loss,
            loss,
        )
        if general_loss is not None and learned > general:
            loss = (loss * learned - general_loss * general) / (learned - general)
        self.work.emit(
            StepEvent(
                step=step,
                epoch=round(step / self.schedule.steps_per_epoch, 4),
                loss=loss,
                general_loss=general_loss,
                mean_loss=mean_loss if general_loss is not None else None,
                learning_rate=learning_rate,
                grad_norm=grad_norm,
                seconds=round(seconds, 4),
                waited=round(self._waited, 4),
                tokens_per_second=round(tokens / seconds, 1),
                memory_mib=self.device.memory_mib(),
                reward_accuracy=self.train_step.rewards.get("reward_accuracy"),
                reward_margin=self.train_step.rewards.get("reward_margin"),
            )
        )
        self._check(step, loss, grad_norm)
        self.metrics.add_step(
            loss, first_of_epoch=(step - 1) % self.schedule.steps_per_epoch == 0
        )
        self.metrics.tokens += tokens
        self.metrics.learned_tokens += learned
        self.metrics.seconds += seconds
        self.report_progress(step)
        self._free_since = time.perf_counter()

    def report_progress(self, step: int) -> None:
        """Reports the progress, and the time left at the mean pace so far."""
        left = (self.schedule.total - step) * (self.elapsed / step) if step else None
        self.work.progress(TRAINING, step, self.schedule.total, left)

    def evaluate(self, model: Any, step: int) -> None:
        """Computes and reports the validation loss after `step`; generates samples too."""
        self.work.progress(VALIDATING, step, self.schedule.total)
        loss = self.train_step.mean_loss(model, self.validation)
        rewards = self.train_step.rewards
        self.work.emit(
            EvalEvent(
                step, loss, rewards.get("reward_accuracy"), rewards.get("reward_margin")
            )
        )
        if not math.isfinite(loss):
            raise self._not_finite(step, learned=step > self._overflows)
        self.metrics.add_evaluation(
            step, loss, rewards, chooses=self.spec.data.validation_chooses
        )
        if self._sampling and not self.work.should_stop():
            self._sample(model, step)
        self.report_progress(step)
        self._free_since = time.perf_counter()

    def save(self, trainer: Any, step: int) -> None:
        """Writes a checkpoint and deletes those no longer needed. Raises OSError."""
        self._saved = time.monotonic()
        self.metrics.elapsed, self._began = self.elapsed, time.monotonic()
        with checkpoints.writing(self.checkpoints, step) as folder:
            saved_state.write(folder, trainer, self.metrics)
        checkpoints.prune(self.checkpoints, self.metrics.best_step)
        self.work.emit(CheckpointEvent(step))
        self._free_since = time.perf_counter()

    def _sample(self, model: Any, step: int) -> None:
        """Reports the answers to the sample prompts after `step`."""
        training = self.metrics.seconds * self.schedule.total / max(1, step)
        longest = time_limit(training, len(self.schedule.evaluations))
        try:
            samples = sample_answers(
                model,
                self.tokenizer,
                self.device,
                self.spec.data,
                step,
                longest=longest,
            )
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            self._sampling, samples = False, []
            self.work.emit(NoteEvent("No more sample answers", _NO_SAMPLES))
            gpu_memory.release(self.device.kind)
        for sample in samples:
            self.work.emit(sample)

    def _check(self, step: int, loss: float, grad_norm: float) -> None:
        overflowed = (
            self.device.precision == "fp16"
            and math.isfinite(loss)
            and not math.isfinite(grad_norm)
        )
        if overflowed:
            self._overflows += (
                1  # the scaler skips such a step and tries a smaller scale
            )
            if self._overflows < _MAX_OVERFLOWS:
                return
        elif math.isfinite(loss) and math.isfinite(grad_norm):
            self._overflows = 0
            return
        raise self._not_finite(step, learned=step - (not overflowed) > self._overflows)

    def _not_finite(self, step: int, learned: bool) -> TrainingFailed:
        """learned: whether any weight has changed; an fp16 step that overflows changes
        nothing.
        """
        cause = why_not_finite(
            learned, self.device.precision, self.spec.settings.learning_rate
        )
        return TrainingFailed(
            f"Training failed at step {step}: the loss is no longer a finite number.",
            cause.why,
            cause.next,
        )
