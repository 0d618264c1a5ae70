"""Batches of rows of similar length, the same for the same seed. Pure. The rows of an
optimizer step do not depend on the size of its micro batches, so a smaller one (when
memory runs out) does not change the result.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import groupby


def epoch_batches(
    lengths: Sequence[int], batch: int, seed: int, epoch: int, general: int = 0
) -> list[list[int]]:
    """Every row once, as a list of row numbers for each optimizer step of an epoch.
    Rows are shuffled, pools of them sorted by length and cut into batches, and the
    batches shuffled again. General rows are dealt to the batches one by one instead: in
    batches of their own, which their length would give them, they cost the task.

    lengths: tokens of each row
    batch: rows per optimizer step
    epoch: counted from 0
    general: how many of the last rows are general
    """
    draw = random.Random(f"{seed}/{epoch}")  # noqa: S311 (no secret)
    examples = len(lengths) - general
    order = list(range(examples))
    draw.shuffle(order)
    count = -(-len(lengths) // batch)
    dealt: list[list[int]] = [[] for _ in range(count)]
    if general:
        rest, full = (
            list(range(examples, len(lengths))),
            max(1, len(lengths) // batch),
        )  # a short batch gets none
        draw.shuffle(rest)
        for number, row in enumerate(rest):
            dealt[number * full // general].append(row)
    # Batches whose rows are sorted together: enough for similar lengths, few enough to
    # stay random.
    pool = max(1, min(50, len(order) // (4 * batch)))
    batches: list[list[int]] = []
    start = 0
    for first in range(0, count, pool):
        sizes = [batch - len(rows) for rows in dealt[first : first + pool]]
        alike = sorted(order[start : start + sum(sizes)], key=lambda row: lengths[row])
        start += sum(sizes)
        for size, rows in zip(sizes, dealt[first : first + pool], strict=True):
            batches.append([*alike[:size], *rows])
            alike = alike[size:]
    draw.shuffle(batches)
    return batches


def micro_batches(
    rows: Sequence[int], lengths: Sequence[int], size: int
) -> list[list[int]]:
    """`rows` in parts of at most `size`, similar lengths together, the longest first,
    so the peak comes early.
    """
    ordered = sorted(rows, key=lambda row: -lengths[row])
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def packs(rows: Sequence[int], lengths: Sequence[int], limit: int) -> list[list[int]]:
    """`rows` in parts of at most `limit` tokens, by best-fit decreasing: the longest
    row first, each into the fullest part that still has room for it. A row longer than
    `limit` gets a part of its own.
    """
    parts: list[list[int]] = []
    room: list[int] = []
    for row in sorted(rows, key=lambda row: -lengths[row]):
        fitting = [number for number, left in enumerate(room) if left >= lengths[row]]
        if not fitting:
            parts.append([])
            room.append(limit)
            fitting = [len(parts) - 1]
        chosen = min(fitting, key=lambda number: room[number])
        parts[chosen].append(row)
        room[chosen] -= lengths[row]
    return parts


class StepBatches:
    """The batch sampler of a run: the row numbers of each of its `steps` (counted from
    0), epoch after epoch.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch: int,
        seed: int,
        steps: range,
        general: int = 0,
    ) -> None:
        self._lengths, self._batch, self._seed, self._steps = (
            lengths,
            batch,
            seed,
            steps,
        )
        self._general = general

    def __iter__(self) -> Iterator[list[int]]:
        per_epoch = -(-len(self._lengths) // self._batch)
        for epoch, steps in groupby(self._steps, lambda step: step // per_epoch):
            batches = epoch_batches(
                self._lengths, self._batch, self._seed, epoch, self._general
            )
            yield from (batches[step % per_epoch] for step in steps)

    def __len__(self) -> int:
        return len(self._steps)
