"""A lower bound for the memory of the longest rows, measured on short parts, so that they never fill the memory.

For processors. Memory grows at least in proportion to the length of the rows (attention without a fused kernel: with
its square) and to the number of learned tokens, so a part has its share of both. Loading the model may have taken
more than a short part does: then the figure is too small."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backend.records.encoded import IGNORED
from backend.runs.token_rows import TokenRow
from backend.training.device import Device
from backend.training.train_step import TrainStep

LONG = 1024  # tokens; below, the rows themselves are soon tried
# Eighths that are added to a quarter. There are six, but a short part's peak also has what the allocator kept of the
# one before: with six, the bundled model (bf16, 1,536 tokens, 300 of them learned) would have needed 2,212 MiB "at
# least", and its peak was 2,073.
_REST = 4


def least_mib(train_step: TrainStep, device: Device, model: Any, rows: Sequence[TokenRow]) -> float:
    """A lower bound for the peak of `rows` in MiB, forward and backward: from their last eighth and quarter.
    train_step: computes their loss. device: whose peak is read. model: the model in training; its gradients are
    removed. rows: the longest rows, as many as are trained at a time."""
    eighth, quarter = (_peak(train_step, device, model, [_end(row, part) for row in rows]) for part in (8, 4))
    return quarter + _REST * (quarter - eighth)


def _peak(train_step: TrainStep, device: Device, model: Any, rows: Sequence[TokenRow]) -> int:
    import torch

    model.train()
    torch.autograd.backward(train_step.loss(model, rows, len(rows)))
    model.zero_grad(set_to_none=True)
    return device.peak_memory_mib()


def _end(row: TokenRow, part: int) -> TokenRow:
    """The last `part`-th of a row, of which at most the same share of its learned tokens is learned."""
    start = row.tokens - max(2, row.tokens // part)
    labels = row.labels[start:].copy()
    learned = (labels != IGNORED).nonzero()[0]
    share = max(1, row.learned // part)
    labels[learned[:-share]] = IGNORED
    rejected = row.rejected and _end(row.rejected, part)
    return replace(
        row, input_ids=row.input_ids[start:], labels=labels, learned=min(share, len(learned)), rejected=rejected
    )
