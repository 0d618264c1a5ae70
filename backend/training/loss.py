"""The loss: cross-entropy on the learned positions only. Scoring every position, as
stock trainers do off CUDA, multiplies positions that are not learned by the whole
vocabulary too. With a third of the positions learned and 49,152 tokens that took ten
times as long.

Nearly all datasets repeat a system message. Reading it once per batch gives the same
result as reading it for each row, as long as the model uses plain attention through a
cache of keys and values. So each run compares both ways before it relies on this.

Training on pairs (DPO) has another loss of the same log-probabilities: see
`preference_loss` and dpo.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow
from backend.training.collate import (
    MIN_SHARED_PREFIX,
    Batch,
    Collator,
    common_prefix,
    to_device,
)
from backend.training.device import Device

if TYPE_CHECKING:
    import torch

_CHUNK = {
    "cpu": 1 << 20
}  # logits converted to float32 at a time: on a processor as many as its cache holds
_CHUNK_ON_GPU = 1 << 26
_TOLERANCE = {
    "fp32": 1e-4,
    "bf16": 1e-2,
    "fp16": 1e-2,
}  # relative difference of losses due to rounding
_TEST_ROWS = 2

log = logging.getLogger(__name__)


def token_losses(model: Any, batch: Batch) -> torch.Tensor:
    """(learned positions,): the loss of each of `batch`'s learned tokens (nats,
    float32, differentiable).
    """
    losses: torch.Tensor = _cross_entropy().apply(
        learned_logits(model, batch), batch.targets
    )
    return losses


def preference_loss(
    model: Any, batch: Batch, rows: Sequence[TokenRow], beta: float
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The sum of the losses of the pairs `rows`, and the sums of two reward metrics.
    `reward_accuracy` counts the pairs whose better answer has gained more than the
    worse one; `reward_margin` says by how much (times beta).

    batch: the better sides of `rows`, then the worse ones
    rows: the pairs, with their reference log-probabilities
    beta: how closely the model stays to the reference model
    """
    import torch

    logprobs = answer_logprobs(model, batch)
    reference = [row.reference_logprob for row in rows]
    reference += [row.rejected.reference_logprob for row in rows if row.rejected]
    better, worse = (
        logprobs - to_device(torch.tensor(reference), logprobs.device.type)
    ).chunk(2)
    margins = beta * (better - worse)
    rewards = {
        "reward_accuracy": (margins > 0).sum(),
        "reward_margin": margins.detach().sum(),
    }
    return -torch.nn.functional.logsigmoid(margins).sum(), rewards


def answer_logprobs(model: Any, batch: Batch) -> torch.Tensor:
    """(rows,): the log-probability (nats) of the learned tokens of each row of `batch`."""
    losses = token_losses(model, batch)
    return losses.new_zeros(batch.rows).index_add(0, batch.owners, -losses)


def learned_logits(model: Any, batch: Batch) -> torch.Tensor:
    """(learned positions, vocabulary): the model's predictions where a token is
    learned. A hook passes only those positions to the output layer, so that whatever a
    family does around it (scaling, capping) stays as it is. A shared prefix is read
    once; the rows continue from its keys and values, and its gradient is the sum of
    theirs, as if each had read it.
    """
    if batch.prefix is None:
        with _mask_questions_answered(batch):
            return _logits(model, batch.scored, **batch.inputs, use_cache=False)
    from transformers import DynamicCache

    cache = DynamicCache(config=model.config)
    nothing = batch.targets[:0]
    _logits(
        model, (nothing, nothing), input_ids=batch.prefix, cache=cache, use_cache=True
    )
    cache.batch_repeat_interleave(batch.rows)
    return _logits(model, batch.scored, **batch.inputs, cache=cache, use_cache=True)


@contextmanager
def _mask_questions_answered(batch: Batch) -> Iterator[None]:
    """A context in which transformers builds the attention masks of `batch` without
    waiting for the GPU. It asks of each batch whether its rows are packed and whether
    they are padded, and reads both from the GPU (5.24, masking_utils.py), for which the
    program waits until the GPU has done all that it was given. The collator knows.
    """
    import torch
    from transformers import masking_utils as asking

    def row_numbers(
        positions: torch.Tensor,
    ) -> torch.Tensor:  # within a row of a pack, positions go up by one
        return (torch.diff(positions, prepend=positions[:, :1] - 1) != 1).cumsum(-1)

    before = asking.find_packed_sequence_indices, asking.fast_all
    packed = "position_ids" in batch.inputs and batch.rows > 1
    asking.find_packed_sequence_indices = row_numbers if packed else lambda _: None
    asking.fast_all = lambda _: not batch.padded
    try:
        yield
    finally:
        asking.find_packed_sequence_indices, asking.fast_all = before


def _logits(
    model: Any, scored: tuple[torch.Tensor, ...], **inputs: Any
) -> torch.Tensor:
    hook = model.get_output_embeddings().register_forward_pre_hook(
        lambda _, inputs: (inputs[0][scored][None],)
    )
    try:
        logits: torch.Tensor = model(**inputs).logits
    finally:
        hook.remove()
    return logits[0]


@lru_cache(maxsize=1)
def _cross_entropy() -> Any:
    import torch

    class CrossEntropy(torch.autograd.Function):
        """Cross-entropy in float32, a chunk of rows at a time: stores the logits as
        they are and one number per row, instead of three float32 copies.
        """

        @staticmethod
        def forward(
            ctx: Any, logits: torch.Tensor, targets: torch.Tensor
        ) -> torch.Tensor:
            normaliser = torch.cat(
                [part.float().logsumexp(-1) for part in _parts(logits)]
            )
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
                share.scatter_add_(
                    1, targets[rows, None], share.new_full((len(part), 1), -1.0)
                )
                gradient[rows] = share.mul_(upstream[0][rows, None])
                start += len(part)
            return gradient, None

    return CrossEntropy


def _parts(logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
    import torch

    return torch.split(
        logits,
        max(1, _CHUNK.get(logits.device.type, _CHUNK_ON_GPU) // logits.shape[-1]),
    )


def with_prefix_sharing(
    collator: Collator,
    model: Any,
    rows: Sequence[TokenRow],
    settings: TrainSettings,
    device: Device,
) -> Collator:
    """`collator`, sharing prefixes if `model` then gives the same loss. Not with
    dropout (each row has its own), nor with gradient checkpointing (which allows no
    cache).

    rows: the training rows, the first of which are tried
    device: whose precision decides what counts as the same loss
    """
    import torch

    dropout = settings.lora_dropout or getattr(model.config, "attention_dropout", 0)
    if collator.packed or collator.masked or dropout or settings.gradient_checkpointing:
        return collator
    tried, sharing = rows[:_TEST_ROWS], replace(collator, share_prefix=True)
    if common_prefix(tried) < MIN_SHARED_PREFIX:
        return collator
    model.eval()
    try:
        with torch.no_grad(), device.autocast():
            separate = token_losses(model, collator(tried)).sum().item()
            shared = token_losses(model, sharing(tried)).sum().item()
    except (
        Exception
    ):  # a family may fail in any way on a cache that it does not support
        log.info("prefixes are not shared: the model failed", exc_info=True)
        return collator
    same = abs(separate - shared) <= _TOLERANCE[device.precision] * abs(separate)
    log.info(
        "prefixes are %s: loss %s separate, %s shared",
        "shared" if same else "not shared",
        separate,
        shared,
    )
    return sharing if same else collator
