"""Answers two questions that transformers asks of each batch, so that nothing waits for the GPU.

Are its rows packed, and are they padded? transformers reads both from the GPU (5.24, masking_utils.py), for which the
program waits until the GPU has done all that it was given. The collator knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from backend.training.collate import Batch


@contextmanager
def answered(batch: Batch) -> Iterator[None]:
    """A context in which transformers builds the attention masks of `batch` without asking."""
    from transformers import masking_utils as asking

    before = asking.find_packed_sequence_indices, asking.fast_all
    packed = "position_ids" in batch.inputs and batch.rows > 1
    asking.find_packed_sequence_indices = _row_numbers if packed else lambda _: None
    asking.fast_all = lambda _: not batch.padded
    try:
        yield
    finally:
        asking.find_packed_sequence_indices, asking.fast_all = before


def _row_numbers(positions: torch.Tensor) -> torch.Tensor:
    """(1, length): the number of the row of each token in a pack; within a row, positions go up by one."""
    import torch

    first = positions[:, :1] - 1
    return (torch.diff(positions, prepend=first) != 1).cumsum(-1)
