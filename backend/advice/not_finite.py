"""Why a loss is no longer a finite number, and what to do about it."""

from typing import Any, NamedTuple

from backend.records.units import format_decimal


class Cause(NamedTuple):
    """retry: the settings to change for another try; None if no change would help."""

    why: str
    next: str
    retry: dict[str, Any] | None


def cause(learned: bool, precision: str, rate: float) -> Cause:
    """learned: whether any weight was changed before. precision: of the arithmetic. rate: the learning rate."""
    half = Cause(
        f"The learning rate of {format_decimal(rate)} is probably too high for this data.",
        f"Train again with half the learning rate ({format_decimal(rate / 2)}).",
        {"learning_rate": rate / 2},
    )
    if precision == "fp16":
        overflow = "This GPU computes in fp16, in which a number above 65,504 overflows"
        other = "choose a model of another family, such as Qwen or Llama, or set precision to fp32, if memory allows."
        if not learned:
            return Cause(f"{overflow}; this model's numbers grow larger.", f"Instead, {other}", {"precision": "fp32"})
        also = "A learning rate that is too high leads there too."
        return Cause(f"{overflow}. {also}", f"{half.next} If that fails too, {other}", half.retry)
    if not learned:
        return Cause(
            "It was not a number before anything was learned: the model is at fault, not the learning rate.",
            "Download the model again, or choose another one.",
            None,
        )
    return half
