"""What the longest rows will need, found on short parts of them, so that nobody's memory fills up without a word.

Memory grows at least in proportion to the length of the rows, and at most with its square (attention without a fused
kernel).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from backend.records.encoded import IGNORED
from backend.runs.token_rows import TokenRow
from backend.training.device import Device
from backend.training.train_step import TrainStep

LONG = 1024  # tokens; below, the rows themselves are soon tried
_LINEAR, _QUADRATIC = 6, 20  # from a quarter to all, in units of what the step from an eighth to a quarter took


class Expected(NamedTuple):
    """MiB at the peak: at the least and at the most."""

    least: float
    most: float


def expected(train_step: TrainStep, device: Device, model: Any, rows: Sequence[TokenRow]) -> Expected:
    """What a forward and backward pass over `rows` needs, from passes over the last eighth and quarter of each."""
    eighth, quarter = (_peak(train_step, device, model, [_end(row, part) for row in rows]) for part in (8, 4))
    grown = quarter - eighth
    return Expected(quarter + _LINEAR * grown, quarter + _QUADRATIC * grown)


def _peak(train_step: TrainStep, device: Device, model: Any, rows: Sequence[TokenRow]) -> int:
    import torch

    model.train()
    torch.autograd.backward(train_step.loss(model, rows, len(rows)))
    model.zero_grad(set_to_none=True)
    return device.peak_memory_mib()


def _end(row: TokenRow, part: int) -> TokenRow:
    """The last `part`-th of a row, where its answer is."""
    start = row.tokens - max(2, row.tokens // part)
    labels = row.labels[start:]
    rejected = row.rejected and _end(row.rejected, part)
    learned = int((labels != IGNORED).sum())
    return replace(row, input_ids=row.input_ids[start:], labels=labels, learned=learned, rejected=rejected)
