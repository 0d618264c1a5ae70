"""The one training loss that the whole app reports: a median of the last steps, and how a loss is written."""

import math
from collections.abc import Sequence
from statistics import median

RECENT = 10  # steps in the median, at most


def window(steps: int) -> int:
    """How many of `steps` steps the median covers: a third, RECENT at most. The loss of a single step is noisy, and
    in a short run the first steps are long out of date."""
    return min(RECENT, max(1, steps // 3))


def current_loss(losses: Sequence[float], at: int | None = None) -> float:
    """The median of the last `window` of `at` losses (default: all); NaN if there is none or the last one is not
    finite."""
    at = len(losses) if at is None else at
    latest = losses[at - window(at) : at]
    finite = [loss for loss in latest if math.isfinite(loss)]
    return median(finite) if finite and math.isfinite(latest[-1]) else math.nan


def format_loss(loss: float) -> str:
    """A loss with two significant digits."""
    return f"{loss:.2f}" if loss >= 0.095 else f"{loss:.3f}"
