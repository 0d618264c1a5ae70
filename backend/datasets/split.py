"""The split into rows to train on, rows that choose the checkpoint, and rows that judge the result.

Seeded, by whole conversations, and fair: duplicates stay on one side, so that memorizing does not pass the check, and
the rows that choose are not the rows that judge. Rows set aside are divided between the two when at least DIVIDED of
them are different; fewer all judge, and then nothing chooses. A validation file stays as it is; training rows that
also appear in it are left out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.datasets.checks import duplicates
from backend.datasets.checks.normalize import Groups
from backend.errors import BadSetting
from backend.records.rows import Row

FRACTION = 0.1  # of the rows set aside (the guide's number)
AT_LEAST = 24  # rows set aside, but of few rows at most a quarter
DIVIDED = 24  # different rows set aside from which on half choose: 12 that judge can show a gain of one half
FEWEST = 6  # that can judge: with fewer, not even all answers right instead of none is significant


@dataclass(frozen=True, slots=True)
class Split:
    """Rising positions in the rows, or in the rows followed by those of a validation file.

    validation: evaluated during training; they choose the checkpoint if `chooses`. judging: they judge the result;
    those of `validation` when nothing chooses. sentence: the split in plain words. leaked: training rows on no side
    because they also appear in the validation file, each with the first validation row like it.
    """

    train: list[int]
    validation: list[int]
    judging: list[int]
    chooses: bool
    sentence: str
    leaked: dict[int, int] = field(default_factory=dict)

    @property
    def set_aside(self) -> int:
        """How many rows are not trained on, apart from the leaked ones."""
        return len({*self.validation, *self.judging})


def split(rows: Sequence[Row], fraction: float = FRACTION, seed: int = 0, together: Groups | None = None) -> Split:
    """Sets about `fraction` of `rows` aside, and at least AT_LEAST, but not more than a quarter for that: at least
    one of two or more, and never all.

    together: groups of positions that stay on one side; computed here when None. A group too big to be set aside
    stays in training. Raises BadSetting unless 0 <= fraction <= 0.5.
    """
    if not 0 <= fraction <= 0.5:
        raise BadSetting(
            f"The validation share can't be {fraction}.", "", "Choose a number from 0 to 0.5, such as 0.1."
        )
    groups = _all_groups(len(rows), duplicates.find(rows).together if together is None else together)
    target = split_sizes(len(rows), fraction)[1] if len(groups) > 1 else 0
    random.Random(seed).shuffle(groups)  # noqa: S311 (repeatable, not secret)
    chosen: Groups = []
    for group in groups:
        if sum(map(len, chosen)) + len(group) <= target:
            chosen.append(group)
    if target and not chosen:
        chosen = [min(groups, key=len)]
    aside = {position for group in chosen for position in group}
    train = [i for i in range(len(rows)) if i not in aside]
    return _divided(train, chosen, {}, "as you chose" if not fraction else "there are too few")


def split_sizes(rows: int, fraction: float = FRACTION) -> tuple[int, int]:
    """How many of `rows` different rows are trained on, and how many set aside."""
    aside = max(1, min(AT_LEAST, rows // 4), round(fraction * rows)) if fraction and rows > 1 else 0
    return rows - aside, aside


def split_with(rows: Sequence[Row], validation: Sequence[Row], together: Groups | None = None) -> Split:
    """Sets all rows of a validation file aside and leaves out training rows that repeat one of them.

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
    own = [[i for i in group if i >= len(rows)] for group in _all_groups(len(everything), groups)]
    return _divided(train, list(filter(None, own)), leaked, "the validation file has none")


def _divided(train: list[int], aside: Groups, leaked: dict[int, int], none_because: str) -> Split:
    """aside: groups of rows that count once each; they go in turn to the side that has fewer of them."""
    groups: tuple[Groups, Groups] = (aside[::2], aside[1::2])
    judging, choosing = (sorted(i for group in side for i in group) for side in groups)
    chooses = len(aside) >= DIVIDED
    if not chooses:
        judging = choosing = sorted([*judging, *choosing])
    few = len(aside) < FEWEST
    sentence = _sentence(len(train), len(choosing), len(judging), chooses, few, none_because)
    if leaked:
        also = "1 example also appears" if len(leaked) == 1 else f"{len(leaked):,} examples also appear"
        sentence += f" {also} in your validation file, exactly or almost, and will be left out of training."
    return Split(train, choosing, judging, chooses, sentence, leaked)


def _all_groups(count: int, together: Groups) -> Groups:
    """`together` and every other position as a group of its own, ordered by first member."""
    grouped = {i for group in together for i in group}
    return sorted([*([i] for i in range(count) if i not in grouped), *together])


def _sentence(train: int, choosing: int, judging: int, chooses: bool, few: bool, none_because: str) -> str:
    training = f"{train:,} {'example' if train == 1 else 'examples'} for training"
    if not judging:
        return f"{training}, none set aside to check the result: {none_because}."
    if chooses:
        return (
            f"{training}, {choosing + judging:,} set aside: {choosing:,} to pick the best point in training, "
            f"{judging:,} to judge the result."
        )
    too_few = " These are too few for a reliable check." if few else ""
    return f"{training}, {judging:,} set aside to judge the result.{too_few}"
