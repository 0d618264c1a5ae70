"""What the longest rows need at least, found on short parts of them, so that nobody's memory fills up without a word.

Memory grows at least in proportion to the length of the rows (attention without a fused kernel: with its square). The
loading of the model may have taken more than a short part does: then the figure is too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backend.records.encoded import IGNORED
from backend.runs.token_rows import TokenRow
from backend.training.device import Device
from backend.training.train_step import TrainStep

LONG = 1024  # tokens; below, the rows themselves are soon tried
_REST = 6  # eighths from a quarter to the whole


def least_mib(train_step: TrainStep, device: Device, model: Any, rows: Sequence[TokenRow]) -> float:
    """MiB at the peak that `rows` need at least, forward and backward: from their last eighth and quarter."""
    eighth, quarter = (_peak(train_step, device, model, [_end(row, part) for row in rows]) for part in (8, 4))
    return quarter + _REST * (quarter - eighth)


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
