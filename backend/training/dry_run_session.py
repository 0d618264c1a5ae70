"""The session of a dry run: which few steps it takes, what it tells about them, and how
long they took.
"""

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from backend.files.atomic import write_text
from backend.records.specs import TrainSettings
from backend.training.run import spread
from backend.training.sampler import epoch_batches, packs
from backend.training.schedule import Schedule
from backend.training.session import TrainingSession

FOLDER, TRYING = "dry_run", "trying.json"
LONGEST = 2  # the step on the longest rows; the first one warms up
_TIMED_STEPS = 4  # at most so many usual steps ...
_ENOUGH = 8.0  # ... until they, or the longest one, took so many seconds


class DryRun(TrainingSession):
    """A session of a few chosen steps that saves nothing. timed: (tokens, seconds) of
    each step but the first.
    """

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.batches = choose_batches(
            [row.longest for row in self.train], self.spec.settings
        )
        self.schedule = Schedule(len(self.batches), len(self.batches), frozenset())
        self.timed: list[tuple[int, float]] = []
        self._tried = 0

    def step_batches(self) -> Iterable[list[int]]:
        return self.batches

    def before_step(self) -> None:
        """Tells the run's process which rows are tried next, and the peak so far."""
        lengths, peak = (
            [self.train[row].longest for row in self.batches[self._tried]],
            self.device.peak_memory_mib(),
        )
        tried = {"examples": len(lengths), "tokens": max(lengths), "peak_mib": peak}
        write_text(self.work.folder / FOLDER / TRYING, json.dumps(tried))
        self._tried += 1
        self.device.wait()
        super().before_step()

    def after_step(self, step: int, control: Any) -> None:
        control.should_log = True
        self.device.wait()
        seconds = time.perf_counter() - self._step_began
        if step >= LONGEST:
            self.timed.append((self._step_tokens[0], seconds))
        longest, usual = (
            sum(seconds for _, seconds in part)
            for part in (self.timed[:1], self.timed[1:])
        )
        control.should_training_stop |= longest > _ENOUGH or usual > _ENOUGH

    def report_step(
        self, step: int, loss: float, grad_norm: float, learning_rate: float
    ) -> None: ...

    def save(self, trainer: Any, step: int) -> None: ...

    def seconds_per_token(self) -> float:
        """Seconds per token over the usual steps, or over the longest step if there was
        no time for others.
        """
        steps = self.timed[1:] or self.timed
        return sum(seconds for _, seconds in steps) / sum(tokens for tokens, _ in steps)


def choose_batches(lengths: Sequence[int], settings: TrainSettings) -> list[list[int]]:
    """The rows of each step: the shortest row, the longest rows, then those of the
    batches nearest to the mean size, each once, because a batch of a known shape is
    faster. Only two micro batches of a step are used: from the second on, memory stays
    the same. Packed, whole steps are used, and the step with the fullest pack instead
    of the longest rows.
    """
    parts = (
        settings.gradient_accumulation_steps
        if settings.packing
        else min(2, settings.gradient_accumulation_steps)
    )
    count = settings.per_device_train_batch_size * parts
    longest = sorted(range(len(lengths)), key=lambda row: -lengths[row])[:count]
    shortest = min(range(len(lengths)), key=lambda row: lengths[row])
    batches = epoch_batches(lengths, settings.effective_batch, settings.seed, 0)
    mean = sum(lengths) / len(batches)
    nearest = sorted(
        batches, key=lambda rows: abs(sum(lengths[row] for row in rows) - mean)
    )[:_TIMED_STEPS]
    usual = [
        spread(nearest[step % len(nearest)], count) for step in range(_TIMED_STEPS)
    ]
    if settings.packing:

        def fullest_pack(rows: Sequence[int]) -> int:
            return max(
                sum(lengths[row] for row in part)
                for part in packs(rows, lengths, settings.max_length)
            )

        longest = max(batches, key=fullest_pack)
    return [[shortest], longest, *usual]
