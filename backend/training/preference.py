"""Direct preference optimisation: to make the better of two answers likelier than the worse one.

The loss of a pair is -log sigmoid(beta * margin); margin: how much likelier the better answer has become than it was
to the model that the run began with, less the same of the worse one (Rafailov et al. 2023, arXiv:2305.18290,
equation 7; TRL's loss type "sigmoid"). Times beta it is what is told as the reward margin.

That model's log-probabilities are computed once, before the first step, and kept in the run's folder: it is the same
weights with the adapter off, and where all weights are trained, the weights before they are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.rows_on_disk import TokenRow
from backend.saving import disk_errors
from backend.training.collate import Batch
from backend.training.loss import token_losses

if TYPE_CHECKING:
    import torch

    from backend.training.practice import Practice

REFERENCE = "reference.safetensors"


def preference_loss(
    model: Any, batch: Batch, rows: Sequence[TokenRow], beta: float
) -> tuple[torch.Tensor, dict[str, float]]:
    """The sum of the losses of the pairs `rows`, and the sums of what is told beside it.

    batch: the better sides of `rows`, then the worse ones. Figures: `reward_accuracy`, pairs whose better answer has
    gained more than the worse one; `reward_margin`, by how much (times beta).
    """
    import torch

    found = likelihoods(model, batch)
    reference = [row.reference for row in rows] + [row.rejected.reference for row in rows if row.rejected]
    better, worse = (found - torch.tensor(reference, device=found.device)).chunk(2)
    margins = beta * (better - worse)
    figures = {"reward_accuracy": float((margins > 0).sum()), "reward_margin": float(margins.detach().sum())}
    return -torch.nn.functional.logsigmoid(margins).sum(), figures


def likelihoods(model: Any, batch: Batch) -> torch.Tensor:
    """(rows,): the log-probability (nats) of all that is learned of each row of `batch`."""
    losses = token_losses(model, batch)
    return losses.new_zeros(batch.rows).index_add(0, batch.owners, -losses)


def untrained(model: Any) -> AbstractContextManager[Any]:
    """Within it, `model` is the one that the run began with, as long as only an adapter is trained."""
    return model.disable_adapter() if hasattr(model, "peft_config") else nullcontext()


def weigh(practice: Practice, model: Any) -> bool:
    """Gives the rows of `practice` the log-probabilities of the model that the run began with; False when stopped.

    Call it before trained weights are loaded. Raises NotEnough, OSError.
    """
    kept = practice.work.folder / REFERENCE
    rows = [*practice.train, *practice.validation]
    known = _read(kept, len(rows))
    if known is None:
        known = _computed(practice, model, rows)
        if known is None:
            practice.stopping = True
            return False
        _write(kept, known)
    weighed = [
        replace(row, reference=better, rejected=row.rejected and replace(row.rejected, reference=worse))
        for row, (better, worse) in zip(rows, known, strict=True)
    ]
    practice.train, practice.validation = weighed[: len(practice.train)], weighed[len(practice.train) :]
    return True


def _computed(practice: Practice, model: Any, rows: Sequence[TokenRow]) -> list[list[float]] | None:
    """For each of `rows` its two log-probabilities, the longest computed first; None when the run is to stop."""
    order = sorted(range(len(rows)), key=lambda number: -rows[number].longest)
    known: dict[int, list[float]] = {}
    with untrained(model):
        while len(known) < len(rows):
            if practice.work.should_stop():
                return None
            practice.work.progress("Weighing both answers", len(known), len(rows))
            part = order[len(known) : len(known) + practice.learner.micro]
            known |= zip(part, practice.learner.likelihoods(model, [rows[number] for number in part]), strict=True)
    return [known[number] for number in range(len(rows))]


def _read(path: Path, count: int) -> list[list[float]] | None:
    """What `_write` kept; None when there is nothing that can be used."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        known: list[list[float]] = load_file(path)["likelihoods"].tolist()
    except (OSError, SafetensorError, KeyError):
        return None
    return known if len(known) == count else None


def _write(path: Path, known: list[list[float]]) -> None:
    import torch
    from safetensors.torch import save_file

    unfinished = path.with_name(f".unfinished-{path.name}")
    with disk_errors():
        save_file({"likelihoods": torch.tensor(known)}, unfinished)
    os.replace(unfinished, path)
