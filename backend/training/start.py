"""The start of a run that continues another one: its weights, which must be the very ones that its spec names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.errors import TrainingFailed
from backend.records.specs import RunSpec
from backend.runs import start
from backend.training.state import result


def load_weights(model: Any, spec: RunSpec, run_folder: Path) -> None:
    """Loads into `model` what it starts from, where the run continues another one.

    Raises TrainingFailed when its copy of those weights is missing, has changed, or does not fit.
    """
    if not start.continues(spec):
        return
    if not start.is_intact(spec, run_folder):
        raise _failed("Its copy of the version that it continues is missing or has changed.")
    try:
        result.load(model, start.folder(run_folder))
    except (KeyError, RuntimeError) as error:
        raise _failed("The version that it continues has another shape, so that its weights do not fit.") from error


def _failed(why: str) -> TrainingFailed:
    return TrainingFailed(
        "This run can't start.", why, "Train again: continue that version, or start from the base model."
    )
