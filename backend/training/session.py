"""One run while it practises: what is done with each step, and after it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import TrainingFailed
from backend.records.events import CheckpointEvent, EvalEvent, NoteEvent, StepEvent
from backend.records.specs import RunSpec, format_decimal
from backend.runs.token_rows import TokenRow, sides
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.device import Device
from backend.training.distributed.sharding import reshard
from backend.training.oom import is_out_of_memory
from backend.training.sampler import EpochBatches
from backend.training.samples import answers, worth_the_time
from backend.training.schedule import Schedule
from backend.training.state import checkpoints
from backend.training.state import save as state_saving
from backend.training.state.metrics import History
from backend.training.train_step import TrainStep
from backend.training.work import Work

if TYPE_CHECKING:
    import torch

TESTED_ROWS = 200  # validation rows in one test, evenly spread, so that testing stays a small part of the run
SAVE_EVERY = 300.0  # seconds between checkpoints where tests are further apart
_NO_ANSWERS = (
    "There was not enough memory to answer the held-back questions while it learns. What it learns is not touched by "
    "that; you can ask it when it is done."
)
_OVERFLOWS = 20  # fp16 steps in a row with an infinite gradient; the scaler needs a few to find its scale


@dataclass
class TrainingSession:
    """The parts of a run and its state. validation: the rows tested on, at most TESTED_ROWS."""

    work: Work
    spec: RunSpec
    device: Device
    tokenizer: ChatTokenizer
    train: Sequence[TokenRow]
    validation: Sequence[TokenRow]
    schedule: Schedule
    train_step: TrainStep
    history: History = field(default_factory=History)
    stopping: bool = False
    _step_tokens: tuple[int, int] = (0, 0)
    _step_began: float = 0.0
    _free_since: float | None = None  # when what follows a step was done, so that the next one could begin
    _waited: float = 0.0
    _saved: float = field(default_factory=time.monotonic)
    _began: float = field(default_factory=time.monotonic)
    _overflows: int = 0
    _answering: bool = True

    @property
    def checkpoints(self) -> Path:
        return self.work.folder / "checkpoints"

    @property
    def exhausted(self) -> bool:
        """Whether the validation loss has not improved for as many tests as the person allows."""
        settings = self.spec.settings
        return settings.early_stopping and self.history.stale >= settings.early_stopping_patience

    @property
    def elapsed(self) -> float:
        """Seconds of the run so far, all attempts."""
        return self.history.elapsed + time.monotonic() - self._began

    def should_stop(self) -> bool:
        """Whether a stop is asked for; the same answer in every process that trains this run."""
        return self.train_step.group.any_true(self.work.should_stop())

    def loader(self) -> Any:
        """The DataLoader of the rows' numbers, one list for each optimizer step."""
        from torch.utils.data import DataLoader

        settings = self.spec.settings
        batches = EpochBatches([row.longest for row in self.train], settings.effective_batch, settings.seed)
        return DataLoader(range(len(self.train)), batch_sampler=batches, collate_fn=list)  # type: ignore[arg-type]

    def learn(self, model: Any, numbers: Sequence[int], backward: Callable[[torch.Tensor], None]) -> torch.Tensor:
        """The gradients of one optimizer step; gives its loss."""
        rows = [self.train[number] for number in numbers]
        read = sides(rows)
        self._step_tokens = (sum(row.tokens for row in read), sum(row.learned for row in read))
        return self.train_step.learn(model, rows, backward)

    def step_begins(self) -> None:
        self._step_began = time.perf_counter()
        self._waited = self._step_began - (self._free_since or self._step_began)

    def after_step(self, step: int, control: Any) -> None:
        """Decides what the trainer does after `step`: when stopping it saves and ends, and tests nothing."""
        self.stopping = self.should_stop()
        control.should_log = True
        control.should_evaluate = step in self.schedule.evaluations and not self.stopping
        due = (
            self.train_step.group.any_true(time.monotonic() - self._saved > SAVE_EVERY) or step == self.schedule.total
        )
        control.should_save = control.should_evaluate or self.stopping or due
        control.should_training_stop = control.should_training_stop or self.stopping

    def tell_step(self, step: int, epoch: float, loss: float, grad_norm: float, learning_rate: float) -> None:
        """Tells and checks a step. Raises TrainingFailed when its numbers are no numbers."""
        seconds = time.perf_counter() - self._step_began
        tokens, learned = self._step_tokens
        self.work.emit(
            StepEvent(
                step=step,
                epoch=round(epoch, 4),
                loss=loss,
                learning_rate=learning_rate,
                grad_norm=grad_norm,
                seconds=round(seconds, 4),
                waited=round(self._waited, 4),
                tokens_per_second=round(tokens / seconds, 1),
                memory_mib=self.device.memory_mib(),
                reward_accuracy=self.train_step.figures.get("reward_accuracy"),
                reward_margin=self.train_step.figures.get("reward_margin"),
            )
        )
        self._check(step, loss, grad_norm)
        self.history.stepped(loss, first_of_epoch=(step - 1) % self.schedule.steps_per_epoch == 0)
        self.history.tokens += tokens
        self.history.learned_tokens += learned
        self.history.seconds += seconds
        self.tell_progress(step)
        self._free_since = time.perf_counter()

    def tell_progress(self, step: int) -> None:
        """Says how far the practice is, and how long it takes at the mean pace so far."""
        left = (self.schedule.total - step) * (self.elapsed / step) if step else None
        self.work.progress("Training", step, self.schedule.total, left)

    def test(self, model: Any, step: int) -> float:
        """The validation loss after `step`, told and counted; answers held-out prompts too."""
        self.work.progress("Validating", step, self.schedule.total)
        loss = self.validation_loss(model)
        figures = self.train_step.figures
        self.work.emit(EvalEvent(step, loss, figures.get("reward_accuracy"), figures.get("reward_margin")))
        if not math.isfinite(loss):
            raise _no_number(step, self.spec)
        self.history.evaluated(step, loss, figures)
        group = self.train_step.group
        wanted = group.is_main and self._answering and worth_the_time(self.history, step, self.schedule.total)
        wanted = wanted and not self.work.should_stop()
        if group.any_true(wanted) if group.sharded else wanted:
            self._answer(model, step)
        self.tell_progress(step)
        self._free_since = time.perf_counter()
        return loss

    def validation_loss(self, model: Any) -> float:
        """The mean loss of the validation rows, per learned token (of DPO: per pair)."""
        return self.train_step.mean_loss(model, self.validation)

    def save(self, trainer: Any) -> None:
        """Writes a checkpoint and removes the ones that are no longer needed; called by all of a team together.

        Raises OSError.
        """
        step = trainer.state.global_step
        self._saved = time.monotonic()
        group = self.train_step.group
        if not group.is_main:
            state_saving.write(None, trainer, self.history, group)
            return
        self.history.elapsed, self._began = self.elapsed, time.monotonic()
        with checkpoints.writing(self.checkpoints, step) as folder:
            state_saving.write(folder, trainer, self.history, group)
        checkpoints.prune(self.checkpoints, self.history.best_step)
        self.work.emit(CheckpointEvent(step))
        self._free_since = time.perf_counter()

    def _answer(self, model: Any, step: int) -> None:
        began = time.perf_counter()
        try:
            given = answers(model, self.tokenizer, self.device, self.spec.data, step)
            reshard(model)
        except Exception as error:
            if not is_out_of_memory(error) or self.train_step.group.sharded:
                raise
            self._answering, given = False, []
            self.work.emit(NoteEvent("No more answers on the way", _NO_ANSWERS))
            self.device.release()
        for answer in given:
            self.work.emit(answer)
        self.history.answers += 1
        self.history.last_answer_seconds = time.perf_counter() - began
        self.history.answer_seconds += self.history.last_answer_seconds

    def _check(self, step: int, loss: float, grad_norm: float) -> None:
        if self.device.precision == "fp16" and math.isfinite(loss) and not math.isfinite(grad_norm):
            self._overflows += 1  # the scaler leaves such a step out and tries a smaller scale
            if self._overflows < _OVERFLOWS:
                return
        elif math.isfinite(loss) and math.isfinite(grad_norm):
            self._overflows = 0
            return
        raise _no_number(step, self.spec)


def _no_number(step: int, spec: RunSpec) -> TrainingFailed:
    rate = spec.settings.learning_rate
    return TrainingFailed(
        f"The training broke down at step {step}: its numbers ran out of bounds.",
        f"The learning rate of {format_decimal(rate)} is probably too high for this data.",
        f"Train again with half the learning rate ({format_decimal(rate / 2)}).",
    )
