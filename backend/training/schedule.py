"""How many steps a run has, and after which of them it is tested. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from backend.errors import TrainingFailed
from backend.records.specs import TrainSettings

FEWEST, MOST = 5, 20  # tests in a run, the one before the first step not counted; more where there are more epochs
ROWS_BETWEEN = 2000  # rows learned from between two tests, where that gives no fewer and no more: a test on 200 rows,
# which costs a third of learning from them, then takes about 3 % of the time


@dataclass(frozen=True)
class Schedule:
    """steps_per_epoch and total: optimizer steps. evaluations: the steps after which to test, the last included."""

    steps_per_epoch: int
    total: int
    evaluations: frozenset[int]

    @property
    def epochs(self) -> float:
        return self.total / self.steps_per_epoch

    def warmup(self, settings: TrainSettings) -> int:
        """Steps in which the learning rate rises."""
        return int(settings.warmup_ratio * self.total)


def schedule(rows: int, validation_rows: int, settings: TrainSettings) -> Schedule:
    """The schedule for `rows` training rows.

    Every epoch ends with a test. Where that gives too few, epochs are cut into equal parts: as many as are needed for
    FEWEST tests in the whole run, and for one every ROWS_BETWEEN rows of a large data set, up to MOST.
    Raises TrainingFailed when there would be no step.
    """
    steps_per_epoch = math.ceil(rows / settings.effective_batch)
    total = settings.max_steps if settings.max_steps >= 0 else math.ceil(steps_per_epoch * settings.num_train_epochs)
    if total < 1 or steps_per_epoch < 1:
        raise TrainingFailed(
            "There is nothing to do in this run.",
            f"It has {rows} examples and {max(total, 0)} steps.",
            "Add examples, more rounds (num_train_epochs), or take the limit of steps away (max_steps -1).",
        )
    if not validation_rows:
        return Schedule(steps_per_epoch, total, frozenset())
    wanted = min(MOST, max(FEWEST, total * settings.effective_batch // ROWS_BETWEEN))
    parts = math.ceil(wanted * steps_per_epoch / max(total, steps_per_epoch))
    every = max(1.0, min(steps_per_epoch, total) / parts)
    points = {round(every * k) for k in range(1, math.ceil(total / every) + 1)}
    return Schedule(steps_per_epoch, total, frozenset(p for p in points if 1 <= p < total) | {total})
