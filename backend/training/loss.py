"""The loss: cross-entropy on the learned positions only. Scoring every position, as stock trainers do off CUDA,
multiplies positions that are not learned by the whole vocabulary too. With a third of the positions learned and
49,152 tokens that took ten times as long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backend.training.collate import Batch

if TYPE_CHECKING:
    import torch

_CHUNK = {"cpu": 1 << 20}  # logits converted to float32 at a time: on a processor as many as its cache holds
_CHUNK_ON_GPU = 1 << 26


def summed_loss(model: Any, batch: Batch) -> torch.Tensor:
    """The sum of the losses of `batch`'s learned tokens (nats), a differentiable float32 scalar."""
    return token_losses(model, batch).sum()


def token_losses(model: Any, batch: Batch) -> torch.Tensor:
    """(learned positions,): the loss of each of `batch`'s learned tokens (nats, float32)."""
    losses: torch.Tensor = _cross_entropy().apply(learned_logits(model, batch), batch.targets)
    return losses


def learned_logits(model: Any, batch: Batch) -> torch.Tensor:
    """(learned positions, vocabulary): the model's predictions where a token is learned. A hook passes only those
    positions to the output layer, so that whatever a family does around it (scaling, capping) stays as it is. A
    shared prefix is read once; the rows continue from its keys and values, and its gradient is the sum of theirs, as
    if each had read it."""
    if batch.prefix is None:
        with _mask_questions_answered(batch):
            return _logits(model, batch.scored, **batch.inputs, use_cache=False)
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    nothing = batch.targets[:0]
    _logits(model, (nothing, nothing), input_ids=batch.prefix, cache=cache, use_cache=True)
    cache.batch_repeat_interleave(batch.rows)
    return _logits(model, batch.scored, **batch.inputs, cache=cache, use_cache=True)


@contextmanager
def _mask_questions_answered(batch: Batch) -> Iterator[None]:
    """A context in which transformers builds the attention masks of `batch` without waiting for the GPU. It asks of
    each batch whether its rows are packed and whether they are padded, and reads both from the GPU (5.24,
    masking_utils.py), for which the program waits until the GPU has done all that it was given. The collator knows."""
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

    return (torch.diff(positions, prepend=positions[:, :1] - 1) != 1).cumsum(-1)


def _logits(model: Any, scored: tuple[torch.Tensor, ...], **inputs: Any) -> torch.Tensor:
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: (inputs[0][scored][None],))
    try:
        logits: torch.Tensor = model(**inputs).logits
    finally:
        hook.remove()
    return logits[0]


@lru_cache(maxsize=1)
def _cross_entropy() -> Any:
    import torch

    class CrossEntropy(torch.autograd.Function):
        """Cross-entropy in float32, a chunk of rows at a time: stores the logits as they are and one number per row,
        instead of three float32 copies."""

        @staticmethod
        def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            normaliser = torch.cat([part.float().logsumexp(-1) for part in _parts(logits)])
            ctx.save_for_backward(logits, targets, normaliser)
            return normaliser - logits.gather(1, targets[:, None])[:, 0].float()

        @staticmethod
        def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None]:
            logits, targets, normaliser = ctx.saved_tensors
            gradient = torch.empty_like(logits)
            start = 0
            for part in _parts(logits):
                rows = slice(start, start + len(part))
                share = part.float().sub_(normaliser[rows, None]).exp_()
                share.scatter_add_(1, targets[rows, None], share.new_full((len(part), 1), -1.0))
                gradient[rows] = share.mul_(upstream[0][rows, None])
                start += len(part)
            return gradient, None

    return CrossEntropy


def _parts(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
    import torch

    return torch.split(logits, max(1, _CHUNK.get(logits.device.type, _CHUNK_ON_GPU) // logits.shape[-1]))
