"""A kind of job for testing the runner: counts steps, saves its counter, and continues
from there.

`python -m tests.jobs.noop JOB_ID` is the worker that knows this kind; `register` makes
a process submit and start it.
"""

import os
import runpy
import sys
import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import BadSetting, OutOfMemory, TrainingFailed
from backend.files.json_file import read_json, write_json
from backend.records.events import (
    CheckpointEvent,
    DownloadedEvent,
    NoteEvent,
    StepEvent,
)
from jobs import process
from jobs.context import Context
from jobs.registry import JOB_TYPES, JobType

NOOP = JobType("tests.jobs.noop:run", "training", can_use_less_memory=True)
WORKER = (sys.executable, "-m", "tests.jobs.noop")
_SECONDS_PER_PART = 0.05  # of a slow save


def register() -> None:
    """Teach the kind "noop" to this process and to the workers that it starts, for as
    long as it lives.
    """
    JOB_TYPES["noop"] = NOOP
    process.WORKER = WORKER


class Spec(BaseModel):
    """checkpoint_every: steps between two saves. seconds_to_save: time of the last save
    after a stop, with events.

    In the first attempt only: fail_at, break_at and crash_at are the step at which it
    raises an ApprenticeError, has a bug, or its process dies; deaf makes it ignore a
    stop. At exhaust_at it runs out of memory, in each of the first exhausted_attempts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(3, ge=0)
    seconds_per_step: float = Field(0.0, ge=0)
    checkpoint_every: int = Field(1, ge=1)
    seconds_to_save: float = Field(0.0, ge=0)
    fail_at: int | None = None
    break_at: int | None = None
    crash_at: int | None = None
    deaf: bool = False
    exhaust_at: int | None = None
    exhausted_attempts: int = 1


def run(context: Context) -> dict[str, Any]:
    """Count to `steps`; returns {"steps": the last one}. Raises BadSetting for a wrong
    spec.
    """
    try:
        spec = Spec.model_validate(context.spec)
    except ValidationError as error:
        raise BadSetting(
            "The noop job's settings are invalid.", str(error.errors()[0]["msg"])
        ) from error
    counter = context.folder / "counter.json"
    step = saved = read_json(counter)["step"] if counter.exists() else 0
    first = context.status.attempt == 1
    if context.short_of_memory:
        context.emit(NoteEvent("Less memory"))
    while step < spec.steps:
        if context.should_stop() and not (spec.deaf and first):
            for part in range(parts := int(spec.seconds_to_save / _SECONDS_PER_PART)):
                time.sleep(_SECONDS_PER_PART)
                context.emit(DownloadedEvent(part, parts))
            break
        time.sleep(spec.seconds_per_step)
        step += 1
        if first:
            _misbehave(spec, step)
        if (
            step == spec.exhaust_at
            and context.status.attempt <= spec.exhausted_attempts
        ):
            raise OutOfMemory(
                "The noop job ran out of memory.",
                f"It was asked to at step {step}.",
                "Resume it.",
            )
        context.emit(StepEvent(step, 1 / step))
        context.progress(
            "Counting", step, spec.steps, (spec.steps - step) * spec.seconds_per_step
        )
        if step % spec.checkpoint_every == 0:
            write_json(counter, {"step": step})
            context.emit(CheckpointEvent(step))
            saved = step
    if saved < step:
        write_json(counter, {"step": step})
        context.emit(CheckpointEvent(step))
    return {"steps": step}


def _misbehave(spec: Spec, step: int) -> None:
    if step == spec.fail_at:
        raise TrainingFailed(
            "The noop job failed.",
            f"It was asked to fail at step {step}.",
            "Resume it.",
        )
    if step == spec.break_at:
        raise ZeroDivisionError(f"asked to break at step {step}")
    if step == spec.crash_at:
        os._exit(1)


if __name__ == "__main__":
    register()
    runpy.run_module("jobs.worker", run_name="__main__")
