"""How many epochs to recommend: the guide's three, and enough optimizer steps for few examples.

docs/recipes.md has what the answers of the bundled model scored after the guide's epochs and after more steps.
"""

import math

from backend.datasets.split import split_sizes

GUIDE = 3  # epochs for about 500 examples
GUIDE_MOST = 5  # epochs; more risk overfitting, says the guide
STEPS = 60  # optimizer steps that a small model needs at least (docs/recipes.md)
MOST = 20  # epochs of a handful of examples


def epochs(rows: int | None, train: int | None, batch: int, *, measured: bool) -> tuple[float, str]:
    """The number of epochs, with its reason. rows: how many examples there are, if known. train: rows as trained, of
    which a document has many; None for the examples that are not set aside. batch: rows for each step. measured:
    whether docs/recipes.md was measured on a model of this size and kind of training."""
    if rows is None:
        return GUIDE, "Three passes over the examples (epochs), the guide's number, until the examples are known."
    if rows > 10_000:
        return 1.0, f"One pass (epoch) is enough with {rows:,} examples."
    if rows > 2000:
        return 2.0, f"Two passes (epochs) are enough with {rows:,} examples."
    if train is None:
        train, _ = split_sizes(rows)
    steps = math.ceil(max(1, train) / batch)
    wanted = max(GUIDE, math.ceil(STEPS / steps))
    if wanted == GUIDE:
        return GUIDE, "Three passes over the examples (epochs), the guide's number."
    guide = f"The guide's {GUIDE} passes (epochs) would be only {GUIDE * steps} steps"
    if not measured:
        most = min(GUIDE_MOST, wanted)
        return most, f"{guide}; {most} are its most. More was not measured on a run like this one."
    passes = min(MOST, wanted)
    return passes, (
        f"{guide}. In our tests with a model of 135 million parameters that was too few; {passes} passes "
        f"({passes * steps} steps) come nearer to the {STEPS} steps that gave good answers."
        if passes * steps < STEPS
        else f"{guide}. In our tests with a model of 135 million parameters that was too few, and {STEPS} steps "
        f"gave better answers: {passes} passes are {passes * steps} steps."
    )
