"""The one training loss that the whole app reports: a median of the last steps, how a
loss is written, and why one is not a number.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from backend.records.units import format_decimal

RECENT = 10  # steps in the median, at most


def window(steps: int) -> int:
    """How many of `steps` steps the median covers: a third, RECENT at most. The loss of
    a single step is noisy, and in a short run the first steps are long out of date.
    """
    return min(RECENT, max(1, steps // 3))


def current_loss(losses: Sequence[float], at: int | None = None) -> float:
    """The median of the last `window` of `at` losses (default: all); NaN if there is
    none or the last one is not finite.
    """
    at = len(losses) if at is None else at
    latest = losses[at - window(at) : at]
    finite = [loss for loss in latest if math.isfinite(loss)]
    return median(finite) if finite and math.isfinite(latest[-1]) else math.nan


def format_loss(loss: float) -> str:
    """A loss with two significant digits."""
    return f"{loss:.2f}" if loss >= 0.095 else f"{loss:.3f}"


class Cause(NamedTuple):
    """retry: the settings to change for another try; None if no change would help."""

    why: str
    next: str
    retry: dict[str, Any] | None


def why_not_finite(learned: bool, precision: str, rate: float) -> Cause:
    """Why a loss is no longer a finite number. learned: whether any weight was changed
    before. precision: of the arithmetic. rate: the learning rate.
    """
    half = Cause(
        f"The learning rate of {format_decimal(rate)} is probably too high for this data.",
        f"Train again with half the learning rate ({format_decimal(rate / 2)}).",
        {"learning_rate": rate / 2},
    )
    if precision == "fp16":
        overflow = "This GPU computes in fp16, in which a number above 65,504 overflows"
        other = "choose a model of another family, such as Qwen or Llama, or set precision to fp32, if memory allows."
        if not learned:
            return Cause(
                f"{overflow}; this model's numbers grow larger.",
                f"Instead, {other}",
                {"precision": "fp32"},
            )
        also = "A learning rate that is too high leads there too."
        return Cause(
            f"{overflow}. {also}", f"{half.next} If that fails too, {other}", half.retry
        )
    if not learned:
        return Cause(
            "It was not a number before anything was learned: the model is at fault, not the learning rate.",
            "Download the model again, or choose another one.",
            None,
        )
    return half
