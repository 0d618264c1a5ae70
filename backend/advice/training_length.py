"""How many epochs to recommend: the guide's three, and enough optimizer steps for few examples.

docs/recipes.md has what the answers of the bundled model scored after the guide's epochs and after more steps.
"""

from __future__ import annotations

import math

from backend.datasets.split import split_sizes

GUIDE = 3  # epochs for about 500 examples
GUIDE_MOST = 5  # epochs; more risk overfitting, says the guide
STEPS = 60  # optimizer steps that a small model needs at least (docs/recipes.md)
MOST = 20  # epochs of a handful of examples


def epochs(rows: int | None, batch: int, *, measured: bool) -> tuple[float, str]:
    """The number of epochs for `rows` examples, with its reason. batch: rows for each step.

    measured: whether the model is of the size that docs/recipes.md was measured on.
    """
    if rows is None:
        return GUIDE, "Three passes over the examples (epochs), the guide's number, until the examples are known."
    if rows > 10_000:
        return 1.0, f"One pass (epoch) is enough with {rows:,} examples."
    if rows > 2000:
        return 2.0, f"Two passes (epochs) are enough with {rows:,} examples."
    train, _ = split_sizes(rows)
    steps = math.ceil(max(1, train) / batch)
    wanted = max(GUIDE, math.ceil(STEPS / steps))
    if wanted == GUIDE:
        return GUIDE, "Three passes over the examples (epochs), the guide's number."
    guide = f"The guide's {GUIDE} passes (epochs) over {rows:,} examples are only {GUIDE * steps} steps"
    if not measured:
        found = min(GUIDE_MOST, wanted)
        return found, f"{guide}: {found} are its most. This was not measured on models of this size."
    found = min(MOST, wanted)
    return found, (
        f"{guide}: too few, as measured on a model of this size. {found} passes ({found * steps} steps) answered "
        "better."
    )
