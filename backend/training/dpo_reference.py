"""The log-probabilities of each answer under a DPO run's reference model. They are computed once, before the first
step, and saved in the run's folder. The reference model is the same model with the adapter off or, where all weights
are trained or the run continues another one, before training."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.files.atomic import replace_file
from backend.files.disk_errors import disk_errors
from backend.runs import start
from backend.runs.token_rows import TokenRow, TokenRows
from backend.training.dpo_loss import reference_model

if TYPE_CHECKING:
    from backend.training.session import TrainingSession

REFERENCE = "reference.safetensors"
PHASE = "Comparing both answers with the base model"


def compute_reference_logprobs(session: TrainingSession, model: Any) -> bool:
    """Sets `reference_logprob` of the session's rows; False when the run is to stop. Must be called before trained
    weights are loaded. Raises NotEnough, OSError."""
    rows = [*session.train, *session.validation]
    logprobs = read(session.work.folder)
    if len(logprobs) != len(rows):
        computed = _compute(session, model, rows)
        if computed is None:
            session.stopping = True
            return False
        logprobs = computed
        _write(session.work.folder / REFERENCE, logprobs)
    count = len(session.train)
    session.train = session.train.with_reference(logprobs[:count])
    session.validation = TokenRows.of(session.validation).with_reference(logprobs[count:])
    return True


def _compute(session: TrainingSession, model: Any, rows: Sequence[TokenRow]) -> list[list[float]] | None:
    """The two log-probabilities of each of `rows`, computed longest first; None when the run is to stop."""
    order = sorted(range(len(rows)), key=lambda number: -rows[number].longest)
    done: dict[int, list[float]] = {}
    with nullcontext() if start.continues(session.spec) else reference_model(model):
        while len(done) < len(rows):
            if session.work.should_stop():
                return None
            session.work.progress(PHASE, len(done), len(rows))
            part = order[len(done) : len(done) + session.train_step.micro]
            done |= zip(part, session.train_step.answer_logprobs(model, [rows[number] for number in part]), strict=True)
    return [done[number] for number in range(len(rows))]


def read(run_folder: Path) -> list[list[float]]:
    """The two log-probabilities (nats) of each of a DPO run's rows under its reference model; [] without any."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        logprobs: list[list[float]] = load_file(run_folder / REFERENCE)["logprobs"].tolist()
    except (OSError, SafetensorError, KeyError):
        return []
    return logprobs


def _write(path: Path, logprobs: list[list[float]]) -> None:
    import torch
    from safetensors.torch import save_file

    unfinished = path.with_name(f".unfinished-{path.name}")
    with disk_errors():
        save_file({"logprobs": torch.tensor(logprobs)}, unfinished)
    replace_file(unfinished, path)
