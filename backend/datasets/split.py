"""The split into training rows and validation rows.

Seeded, by whole conversations, and fair: duplicates stay on one side, so that memorizing does not pass the check.
A validation file stays as it is; training rows that also appear in it are left out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.datasets.checks import duplicates
from backend.datasets.checks.normalize import Groups
from backend.errors import BadSetting
from backend.records.rows import Row

FRACTION = 0.1  # of the rows for validation (the guide's number)


@dataclass(frozen=True, slots=True)
class Split:
    """train, validation: rising positions in the rows, or in the rows followed by those of a validation file.
    sentence: the split in plain words. leaked: training rows on neither side because they also appear in the
    validation file, each with the first validation row like it."""

    train: list[int]
    validation: list[int]
    sentence: str
    leaked: dict[int, int] = field(default_factory=dict)


def split(rows: Sequence[Row], fraction: float = FRACTION, seed: int = 0, together: Groups | None = None) -> Split:
    """Sets about `fraction` of `rows` aside for validation: at least one of two or more, and never all.

    together: groups of positions that stay on one side; computed here when None. A group too big for validation
    stays in training. Raises BadSetting unless 0 <= fraction <= 0.5.
    """
    if not 0 <= fraction <= 0.5:
        raise BadSetting(
            f"The validation share can't be {fraction}.", "", "Choose a number from 0 to 0.5, such as 0.1."
        )
    groups = _all_groups(len(rows), duplicates.find(rows).together if together is None else together)
    target = max(1, round(fraction * len(rows))) if fraction and len(groups) > 1 else 0
    random.Random(seed).shuffle(groups)  # noqa: S311 (repeatable, not secret)
    chosen: list[int] = []
    for group in groups:
        if len(chosen) + len(group) <= target:
            chosen += group
    if target and not chosen:
        chosen = min(groups, key=len)
    validation = sorted(chosen)
    aside = set(validation)
    train = [i for i in range(len(rows)) if i not in aside]
    return Split(train, validation, _sentence(len(train), len(validation), fraction))


def split_with(rows: Sequence[Row], validation: Sequence[Row], together: Groups | None = None) -> Split:
    """Validates with all rows of a validation file and leaves out training rows that repeat one of them.

    Positions count through `rows`, then `validation`; together: groups of such positions, computed here when None.
    """
    everything = [*rows, *validation]
    groups = duplicates.find(everything).together if together is None else together
    leaked: dict[int, int] = {}
    for group in groups:
        twin = next((i for i in group if i >= len(rows)), None)
        if twin is not None:
            leaked.update(dict.fromkeys([i for i in group if i < len(rows)], twin))
    train = [i for i in range(len(rows)) if i not in leaked]
    sentence = _sentence(len(train), len(validation), 1.0)
    if leaked:
        also = "1 example also appears" if len(leaked) == 1 else f"{len(leaked):,} examples also appear"
        sentence += f" {also} in your validation file, exactly or almost, and will be left out of training."
    return Split(train, list(range(len(rows), len(everything))), sentence, leaked)


def _all_groups(count: int, together: Groups) -> Groups:
    """`together` and every other position as a group of its own, ordered by first member."""
    grouped = {i for group in together for i in group}
    return sorted([*([i] for i in range(count) if i not in grouped), *together])


def _sentence(train: int, validation: int, fraction: float) -> str:
    training = f"{train:,} {'example' if train == 1 else 'examples'} for training"
    if not validation:
        why = "as you chose" if not fraction else "there are too few"
        return f"{training}, none set aside for validation: {why}."
    sentence = f"{training}, {validation:,} set aside for validation (to check what was learned)."
    if train + validation < 10:
        sentence += " These are too few for a reliable check."
    return sentence
