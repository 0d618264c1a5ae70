"""Direct preference optimization (DPO): makes the better of two answers more likely than the worse one.

The loss of a pair is -log sigmoid(beta * margin). The margin is the gain in log-probability of the better answer over
the reference model (the model before training), minus that of the worse answer (Rafailov et al. 2023,
arXiv:2305.18290, equation 7; TRL's loss type "sigmoid"). beta * margin is reported as the reward margin."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from backend.runs.token_rows import TokenRow
from backend.training.collate import Batch, to_device
from backend.training.loss import token_losses

if TYPE_CHECKING:
    import torch


def preference_loss(
    model: Any, batch: Batch, rows: Sequence[TokenRow], beta: float
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The sum of the losses of the pairs `rows`, and the sums of two reward metrics. `reward_accuracy` counts the
    pairs whose better answer has gained more than the worse one; `reward_margin` says by how much (times beta).
    model: the model in training. batch: the better sides of `rows`, then the worse ones. rows: the pairs, with their
    reference log-probabilities. beta: how closely the model stays to the reference model."""
    import torch

    logprobs = answer_logprobs(model, batch)
    reference = [row.reference_logprob for row in rows] + [
        row.rejected.reference_logprob for row in rows if row.rejected
    ]
    better, worse = (logprobs - to_device(torch.tensor(reference), logprobs.device.type)).chunk(2)
    margins = beta * (better - worse)
    rewards = {"reward_accuracy": (margins > 0).sum(), "reward_margin": margins.detach().sum()}
    return -torch.nn.functional.logsigmoid(margins).sum(), rewards


def answer_logprobs(model: Any, batch: Batch) -> torch.Tensor:
    """(rows,): the log-probability (nats) of the learned tokens of each row of `batch`."""
    losses = token_losses(model, batch)
    return losses.new_zeros(batch.rows).index_add(0, batch.owners, -losses)


def reference_model(model: Any) -> AbstractContextManager[Any]:
    """A context in which `model` is its base model, as long as only an adapter is trained."""
    return model.disable_adapter() if hasattr(model, "peft_config") else nullcontext()
