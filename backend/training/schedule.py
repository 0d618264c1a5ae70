"""How many steps a run has, and after which of them it is evaluated. Pure."""

import math
from dataclasses import dataclass

from backend.errors import TrainingFailed
from backend.records.specs import TrainSettings

# Evaluations in a run, not counting the one before the first step; more if there are
# more epochs.
MIN_EVALUATIONS, MAX_EVALUATIONS = 5, 20
# Training rows between two evaluations, within those limits. Evaluating 200 rows costs
# a third of training on them, so it then takes about 3% of the time.
ROWS_PER_EVALUATION = 2000


@dataclass(frozen=True)
class Schedule:
    """steps_per_epoch, total: optimizer steps. evaluations: the steps after which to
    evaluate, including the last.
    """

    steps_per_epoch: int
    total: int
    evaluations: frozenset[int]

    @property
    def epochs(self) -> float:
        return self.total / self.steps_per_epoch

    def warmup(self, settings: TrainSettings) -> int:
        """Steps during which the learning rate rises."""
        return int(settings.warmup_ratio * self.total)


def schedule(rows: int, validation_rows: int, settings: TrainSettings) -> Schedule:
    """The schedule for `rows` training rows. Every epoch ends with an evaluation. If
    those are too few, epochs are divided into equal parts: as many as needed for
    MIN_EVALUATIONS in the whole run, and for one every ROWS_PER_EVALUATION rows of a
    large dataset, up to MAX_EVALUATIONS. Raises TrainingFailed when there would be no
    step.
    """
    steps_per_epoch = math.ceil(rows / settings.effective_batch)
    total = (
        settings.max_steps if settings.max_steps >= 0 else settings.planned_steps(rows)
    )
    if total < 1 or steps_per_epoch < 1:
        raise TrainingFailed(
            "This run has nothing to do.",
            f"It has {rows} examples and {max(total, 0)} steps.",
            "Add examples, raise the epochs, or set the maximum steps to -1, which means no limit.",
        )
    if not validation_rows:
        return Schedule(steps_per_epoch, total, frozenset())
    wanted = min(
        MAX_EVALUATIONS,
        max(MIN_EVALUATIONS, total * settings.effective_batch // ROWS_PER_EVALUATION),
    )
    parts = math.ceil(wanted * steps_per_epoch / max(total, steps_per_epoch))
    every = max(1.0, min(steps_per_epoch, total) / parts)
    points = {round(every * k) for k in range(1, math.ceil(total / every) + 1)}
    return Schedule(
        steps_per_epoch, total, frozenset(p for p in points if 1 <= p < total) | {total}
    )
