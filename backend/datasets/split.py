"""Which rows are for practice and which are kept back to test what was learned.

By conversation, seeded, and fair: rows that say the same are kept on one side, so that the test can't be passed
by remembering. A test file that the person brings is left as it is; practice rows that also stand in it go.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.datasets.checks import duplicates
from backend.datasets.checks.normalize import Groups
from backend.errors import BadSetting
from backend.records.rows import Row

FRACTION = 0.1  # of the rows for the test (the guide's number)


@dataclass(frozen=True, slots=True)
class Split:
    """train, validation: positions in the list of rows, in rising order (with a test file brought along, in the
    rows and then the brought ones). sentence: the split in plain words. leaked: practice rows that also stand in
    the test file and so are on neither side, each with the first test row that says the same."""

    train: list[int]
    validation: list[int]
    sentence: str
    leaked: dict[int, int] = field(default_factory=dict)


def split(rows: Sequence[Row], fraction: float = FRACTION, seed: int = 0, together: Groups | None = None) -> Split:
    """Keep about `fraction` of `rows` back: at least one of two or more, and never all.

    together: groups of positions to keep on one side; found here when not given. A group too big for the test
    stays in practice. Raises BadSetting unless 0 <= fraction <= 0.5.
    """
    if not 0 <= fraction <= 0.5:
        raise BadSetting(
            f"The share of rows kept back can't be {fraction}.", "", "Choose a number from 0 to 0.5, such as 0.1."
        )
    groups = _all_groups(len(rows), duplicates.find(rows).together if together is None else together)
    target = max(1, round(fraction * len(rows))) if fraction and len(groups) > 1 else 0
    random.Random(seed).shuffle(groups)  # noqa: S311 (a fair draw that can be repeated, no secret)
    kept: list[int] = []
    for group in groups:
        if len(kept) + len(group) <= target:
            kept += group
    if target and not kept:
        kept = min(groups, key=len)
    validation = sorted(kept)
    chosen = set(validation)
    train = [i for i in range(len(rows)) if i not in chosen]
    return Split(train, validation, _sentence(len(train), len(validation), fraction))


def split_with(rows: Sequence[Row], checked: Sequence[Row], together: Groups | None = None) -> Split:
    """Test with the `brought` rows, all of them. Practice rows that say the same as one of them are left out.

    Positions count through `rows` and then `brought`; together: groups of such positions, found here when not given.
    """
    everything = [*rows, *checked]
    groups = duplicates.find(everything).together if together is None else together
    leaked: dict[int, int] = {}
    for group in groups:
        twin = next((i for i in group if i >= len(rows)), None)
        if twin is not None:
            leaked.update(dict.fromkeys([i for i in group if i < len(rows)], twin))
    train = [i for i in range(len(rows)) if i not in leaked]
    sentence = _sentence(len(train), len(checked), 1.0)
    if leaked:
        stand = "1 row stands" if len(leaked) == 1 else f"{len(leaked):,} rows stand"
        sentence += f" {stand} in your test file too, or almost, and will not be practised."
    return Split(train, list(range(len(rows), len(everything))), sentence, leaked)


def _all_groups(count: int, together: Groups) -> Groups:
    """`together` and every other position as a group of its own, in the order of their first members."""
    grouped = {i for group in together for i in group}
    return sorted([*([i] for i in range(count) if i not in grouped), *together])


def _sentence(train: int, validation: int, fraction: float) -> str:
    training = f"{train:,} will be used for practice"
    if not validation:
        why = "as you chose" if not fraction else "there is too little to keep some back"
        return f"{training}, none is kept back to test it: {why}."
    kept = "1 is" if validation == 1 else f"{validation:,} are"
    sentence = f"{training}, {kept} kept back to test it."
    if train + validation < 10:
        sentence += " That is too few for a test to say much."
    return sentence
