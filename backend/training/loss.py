"""The loss: cross-entropy on the learned positions, and on nothing else.

Scoring every position, as stock trainers do off CUDA, multiplies the read-only ones by the whole vocabulary too: with
a third of the positions learned and 49,152 tokens that took ten times as long as scoring the learned ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backend.training.collate import Batch

if TYPE_CHECKING:
    import torch

_VALUES_AT_ONCE = {"cpu": 1 << 20}  # logits taken to float32 at a time: on a processor as many as its cache holds
_VALUES_ON_CARD = 1 << 26


def summed_loss(model: Any, batch: Batch) -> torch.Tensor:
    """The sum of the losses of `batch`'s learned tokens (nats), a float32 scalar that can be differentiated."""
    return token_losses(model, batch).sum()


def token_losses(model: Any, batch: Batch) -> torch.Tensor:
    """(learned positions,): the loss of each of `batch`'s learned tokens (nats, float32)."""
    losses: torch.Tensor = _cross_entropy().apply(learned_logits(model, batch), batch.targets)
    return losses


def learned_logits(model: Any, batch: Batch) -> torch.Tensor:
    """(learned positions, vocabulary): what the model predicts where a token is learned.

    A hook hands only those positions to the output layer, so that whatever a family does around it (scaling,
    capping) stays as it is. A common beginning is read once; the rows go on from its keys and values, and its
    gradient is the sum of theirs, as if each had read it.
    """
    if batch.prefix is None:
        return _logits(model, batch.scored, **batch.inputs, use_cache=False)
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    nowhere = batch.scored.new_zeros(batch.prefix.shape)
    _logits(model, nowhere, input_ids=batch.prefix, cache=cache, use_cache=True)
    cache.batch_repeat_interleave(len(batch.scored))
    return _logits(model, batch.scored, **batch.inputs, cache=cache, use_cache=True)


def _logits(model: Any, scored: torch.Tensor, **inputs: Any) -> torch.Tensor:
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: (given[0][scored][None],))
    try:
        logits: torch.Tensor = model(**inputs).logits
    finally:
        hook.remove()
    return logits[0]


@lru_cache(maxsize=1)
def _cross_entropy() -> Any:
    import torch

    class CrossEntropy(torch.autograd.Function):
        """In float32 a few rows at a time: keeps the logits as they are and one number a row, instead of three
        float32 copies of them."""

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

    values = _VALUES_AT_ONCE.get(logits.device.type, _VALUES_ON_CARD)
    return torch.split(logits, max(1, values // logits.shape[-1]))
