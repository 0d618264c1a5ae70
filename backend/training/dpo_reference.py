"""What the model that a DPO run began with holds of each answer: its log-probabilities.

They are computed once, before the first step, and kept in the run's folder: it is the same
weights with the adapter off, and where all weights are trained, the weights before they are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.files.disk_errors import disk_errors
from backend.runs.token_rows import TokenRow
from backend.training.dpo_loss import reference_model

if TYPE_CHECKING:
    from backend.training.session import TrainingSession

REFERENCE = "reference.safetensors"


def weigh(session: TrainingSession, model: Any) -> bool:
    """Gives the rows of `practice` the log-probabilities of the model that the run began with; False when stopped.

    Call it before trained weights are loaded. Raises NotEnough, OSError.
    """
    kept = session.work.folder / REFERENCE
    rows = [*session.train, *session.validation]
    known = _read(kept, len(rows))
    if known is None:
        known = _computed(session, model, rows)
        if known is None:
            session.stopping = True
            return False
        _write(kept, known)
    weighed = [
        replace(
            row, reference_logprob=better, rejected=row.rejected and replace(row.rejected, reference_logprob=worse)
        )
        for row, (better, worse) in zip(rows, known, strict=True)
    ]
    session.train, session.validation = weighed[: len(session.train)], weighed[len(session.train) :]
    return True


def _computed(session: TrainingSession, model: Any, rows: Sequence[TokenRow]) -> list[list[float]] | None:
    """For each of `rows` its two log-probabilities, the longest computed first; None when the run is to stop."""
    order = sorted(range(len(rows)), key=lambda number: -rows[number].longest)
    known: dict[int, list[float]] = {}
    with reference_model(model):
        while len(known) < len(rows):
            if session.work.should_stop():
                return None
            session.work.progress("Weighing both answers", len(known), len(rows))
            part = order[len(known) : len(known) + session.train_step.micro]
            known |= zip(part, session.train_step.likelihoods(model, [rows[number] for number in part]), strict=True)
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
