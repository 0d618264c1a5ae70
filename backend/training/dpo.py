"""Direct preference optimization (DPO): makes the better of two answers more likely
than the worse one.

The loss of a pair (`preference_loss` in loss.py) is -log sigmoid(beta * margin). The
margin is the gain in log- probability of the better answer over the reference model,
minus that of the worse answer (Rafailov et al. 2023, arXiv:2305.18290, equation 7;
TRL's loss type "sigmoid"). beta * margin is reported as the reward margin. The
reference model is the same model with the adapter off or, where all weights are trained
or the run continues another one, before training. Its log-probabilities are computed
once, before the first step, and saved in the run's folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.files.atomic import write_bytes
from backend.files.disk_errors import disk_errors
from backend.runs import start
from backend.runs.token_rows import TokenRow, TokenRows

if TYPE_CHECKING:
    from backend.training.session import TrainingSession

REFERENCE = "reference.safetensors"
PHASE = "Comparing both answers with the base model"


def reference_model(model: Any) -> AbstractContextManager[Any]:
    """A context in which `model` is its base model, as long as only an adapter is
    trained.
    """
    return model.disable_adapter() if hasattr(model, "peft_config") else nullcontext()


def compute_reference_logprobs(session: TrainingSession, model: Any) -> bool:
    """Sets `reference_logprob` of the session's rows; False when the run is to stop.
    Must be called before trained weights are loaded. Raises NotEnough, OSError.
    """
    import torch
    from safetensors.torch import save

    rows = [*session.train, *session.validation]
    logprobs = read(session.work.folder)
    if len(logprobs) != len(rows):
        computed = _compute(session, model, rows)
        if computed is None:
            session.stopping = True
            return False
        logprobs = computed
        with disk_errors():
            write_bytes(
                session.work.folder / REFERENCE,
                save({"logprobs": torch.tensor(logprobs)}),
            )
    count = len(session.train)
    session.train = session.train.with_reference(logprobs[:count])
    session.validation = TokenRows.of(session.validation).with_reference(
        logprobs[count:]
    )
    return True


def _compute(
    session: TrainingSession, model: Any, rows: Sequence[TokenRow]
) -> list[list[float]] | None:
    """The two log-probabilities of each of `rows`, computed longest first; None when
    the run is to stop.
    """
    order = sorted(range(len(rows)), key=lambda number: -rows[number].longest)
    done: dict[int, list[float]] = {}
    with nullcontext() if start.continues(session.spec) else reference_model(model):
        while len(done) < len(rows):
            if session.work.should_stop():
                return None
            session.work.progress(PHASE, len(done), len(rows))
            part = order[len(done) : len(done) + session.train_step.micro]
            done |= zip(
                part,
                session.train_step.answer_logprobs(
                    model, [rows[number] for number in part]
                ),
                strict=True,
            )
    return [done[number] for number in range(len(rows))]


def read(run_folder: Path) -> list[list[float]]:
    """The two log-probabilities (nats) of each of a DPO run's rows under its reference
    model; [] without any.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        logprobs: list[list[float]] = load_file(run_folder / REFERENCE)[
            "logprobs"
        ].tolist()
    except (OSError, SafetensorError, KeyError):
        return []
    return logprobs
