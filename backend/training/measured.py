"""Measurements of runs on this machine, made by dry runs and by runs themselves, stored
in cache/dry_run/. Each is stored under everything it depends on, so that the plan of
such a run, and its next start, can use it.
"""

import hashlib
import json
import math
from pathlib import Path

from pydantic import ValidationError

from backend.files.atomic import write_text
from backend.hardware import benchmark
from backend.records.base import Record
from backend.records.events import DryRunEvent
from backend.records.specs import ModelRef, RunSpec, TrainSettings
from backend.settings import Workspace
from backend.training.samples import time_limit
from backend.training.session import SAVE_EVERY

_VERSION = 4  # raised when the measurement changes, so that stored ones are made again


class Measured(Record):
    """The measured memory and times of a run with `settings`. memory_mib: peak of the
    dry run, then of the whole run. startup: seconds before the first step.
    tokens_per_second: of training, without padding. Seconds: evaluation: on the
    validation rows, once; sample: answering the sample prompts once at full length, 0
    if there was no time to measure it; reference: DPO's reference log-probabilities;
    save: one checkpoint; verification: comparing all weights after training.
    """

    settings: TrainSettings
    memory_mib: int
    startup: float
    seconds_per_step: float
    tokens_per_second: float
    evaluation_seconds: float
    sample_seconds: float
    reference_seconds: float = 0.0
    save_seconds: float = 0.0
    verification_seconds: float = 0.0

    def event(self) -> DryRunEvent:
        return DryRunEvent(
            max_length=self.settings.max_length, **self.model_dump(exclude={"settings"})
        )

    def seconds(self, steps: int, evaluations: int) -> float:
        """Seconds for a whole run that does not stop early. evaluations: without the
        one before the first step.
        """
        training = steps * self.seconds_per_step
        evaluated = evaluations + bool(evaluations)
        sampling = min(self.sample_seconds, time_limit(training, evaluations))
        intervals = max(
            1, evaluations
        )  # each ends with a checkpoint; long ones have more
        saves = intervals * max(1, math.ceil(training / intervals / SAVE_EVERY))
        around = (
            self.startup
            + self.reference_seconds
            + self.verification_seconds
            + saves * self.save_seconds
        )
        return around + training + evaluated * (self.evaluation_seconds + sampling)


def key(
    model: ModelRef,
    settings: TrainSettings,
    sha256: str,
    train: int,
    validation: int,
    longest: int,
) -> str:
    """Everything that a measurement depends on: this machine, the model, the settings,
    and the data.

    settings: of the run; only those that cost memory or time are part of the key
    sha256: of the source file
    train: the number of training rows
    validation: the number of validation rows
    longest: tokens of the longest row
    """
    costs = {name for name, setting in settings.facts().items() if setting.costs}
    if settings.packing:
        costs.add(
            "max_length"
        )  # packs are filled up to it; otherwise the longest row counts
    chosen = settings.model_dump(mode="json", include=costs)
    machine = f"{_VERSION} {benchmark.fingerprint()}"
    return json.dumps(
        [machine, model.id, model.revision, chosen, sha256, train, validation, longest]
    )


def key_of(spec: RunSpec) -> str:
    """The key of a run."""
    data = spec.data
    return key(
        spec.model,
        spec.settings,
        data.sha256,
        data.train_rows,
        data.validation_rows,
        data.longest,
    )


def find(workspace: Workspace, key: str) -> Measured | None:
    """The measurement stored under `key`, if any."""
    return read(_path(workspace, key))


def store(workspace: Workspace, spec: RunSpec, measured: Measured) -> None:
    """Stores a measurement of the run `spec`, with the measured settings and the
    highest peak so far.
    """
    path = _path(
        workspace, key_of(spec.model_copy(update={"settings": measured.settings}))
    )
    before = read(path)
    peak = max(measured.memory_mib, before.memory_mib if before else 0)
    write(path, measured.model_copy(update={"memory_mib": peak}))


def write(path: Path, measured: Measured) -> None:
    """Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, measured.model_dump_json())


def read(path: Path) -> Measured | None:
    """The measurement in a file; None if it can't be read."""
    try:
        return Measured.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError):
        return None


def _path(workspace: Workspace, key: str) -> Path:
    return (
        workspace.cache
        / "dry_run"
        / (hashlib.sha256(key.encode()).hexdigest()[:32] + ".json")
    )
