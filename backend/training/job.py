"""The job "train": first a few steps on the person's longest examples, then the run itself, with what fits.

The steps are taken by backend/training/dry_run.py in a process of its own. What they took replaces what was
computed, and is kept in cache/preflight/ under all that it depends on, so that the plan of such a run, and its next
start, know it. When they do not fit, the guide's ladder is tried step by step (backend/training/oom.py), and told.
Shorter examples are tried too, but not taken: the run then ends, saying what would fit, since a person decides that.
A run that goes on from a checkpoint keeps its settings, and one process can't tell what several take: neither is
tried.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from backend import errors, hardware, training
from backend.errors import ApprenticeError, DoesNotFit, NotEnough
from backend.estimate.memory import available, nvidia_gpu
from backend.files.atomic import write_text
from backend.hardware import benchmark, child_process, format_gb
from backend.models.local import relocate
from backend.records.events import DryRunEvent, NoteEvent
from backend.records.specs import ModelRef, Record, RunSpec, TrainSettings
from backend.settings import Workspace
from backend.training import oom
from backend.training.dry_run import FOLDER, ORDER, OUTCOME, TRIED
from backend.training.session import SAVE_EVERY
from backend.training.state import checkpoints
from backend.training.work import Work as TrainingWork

log = logging.getLogger(__name__)

PHASE = "Measuring your longest examples"
_KEPT = "measured.json"
_RECIPE = 2  # raised when more is measured, so that older measurements are made again
_POLL = 0.2  # seconds
_MOST = 1800.0  # seconds for one rehearsal, after which the run begins without
_SHORT_OF_MEMORY = (-9, -6)  # exits by SIGKILL, of the system that has no more, and SIGABRT, of what got no memory
_ANSWER_SHARE = 0.1  # of the run's time (backend/training/samples.py)
_NOT_MEASURED = (
    "A few steps were to be tried on your longest examples first, but they ended without a result; the file log.txt "
    "of this run says more. The training begins all the same. Its memory and time are as computed, not measured."
)
_MATTERS = (
    "trainer", "method", "lora_rank", "lora_dropout", "use_rslora", "use_dora", "target_modules",
    "per_device_train_batch_size", "gradient_accumulation_steps", "packing", "gradient_checkpointing", "precision",
    "num_processes",
)  # fmt: skip


class Work(TrainingWork, Protocol):
    """What the job needs of the worker."""

    workspace: Workspace

    def reset_oom_count(self) -> None: ...


class Measured(Record):
    """What a run was measured to take, with `settings`.

    memory_mib: at the peak of the steps tried, then of the whole run. startup: seconds before the first step.
    tokens_per_second: of the practice, padding left out. test_seconds: one test on the rows kept back.
    answer_seconds: answering the held-out prompts once at full length, 0 where there was no time to try.
    reference_seconds: of DPO, weighing both answers of all pairs before the first step. save_seconds: one checkpoint.
    proof_seconds: comparing all weights with the base and the saved ones at the end.
    """

    settings: TrainSettings
    memory_mib: int
    startup: float
    seconds_per_step: float
    tokens_per_second: float
    test_seconds: float
    answer_seconds: float
    reference_seconds: float = 0.0
    save_seconds: float = 0.0
    proof_seconds: float = 0.0

    def event(self) -> DryRunEvent:
        return DryRunEvent(
            max_length=self.settings.max_length,
            memory_mib=self.memory_mib,
            tokens_per_second=self.tokens_per_second,
            startup=self.startup,
            seconds_per_step=self.seconds_per_step,
            test_seconds=self.test_seconds,
            answer_seconds=self.answer_seconds,
            reference_seconds=self.reference_seconds,
            save_seconds=self.save_seconds,
            proof_seconds=self.proof_seconds,
        )

    def seconds(self, steps: int, evaluations: int) -> float:
        """Of a whole run, should it not stop early. One test is made before the first step."""
        session = steps * self.seconds_per_step
        tests = evaluations + bool(evaluations)
        answers = min(tests, max(2.0, _ANSWER_SHARE * session / max(0.01, self.answer_seconds)))
        between = max(1, evaluations)  # after each test but the first it is saved, and as time passes between them
        saves = between * max(1, math.ceil(session / between / SAVE_EVERY))
        around = self.startup + self.reference_seconds + self.proof_seconds + saves * self.save_seconds
        return around + session + tests * self.test_seconds + answers * self.answer_seconds


def run(context: Work) -> dict[str, Any]:
    """The job "train": measures, then trains. Gives what `backend.training.run` gives, and `measured`.

    Raises NotEnough when not even the most sparing settings fit, and what `backend.training.run` raises.
    """
    measured, spec = _read(context.folder / FOLDER / _KEPT), RunSpec.model_validate(context.spec)
    if measured is None and _to_be_measured(context, spec):
        measured = settle(context, relocate(spec, context.folder))
        if context.should_stop():
            return {"state": "stopped", "steps": 0, "weights_changed": False}
    result = training.run(context)
    if measured is not None:
        _learn_from(context, measured, result)
    return {**result, "measured": measured.model_dump(mode="json", exclude={"settings"}) if measured else None}


def _to_be_measured(context: Work, spec: RunSpec) -> bool:
    begun = checkpoints.find(context.folder / "checkpoints", content=False).newest
    return not context.short_of_memory and spec.settings.num_processes == 1 and begun is None


def settle(context: Work, spec: RunSpec) -> Measured | None:
    """What the run takes with the first settings on the ladder that fit, which it then uses.

    None where the measuring was stopped or did not work. Raises DoesNotFit with a length that would fit, told as the
    event's max_length, and NotEnough where none does.
    """
    spec = spec.model_copy(update={"settings": oom.settings_used(context.folder, spec.settings)})
    free = available(hardware.probe(context.workspace.root).hardware)
    measured = recall(context.workspace, key_of(spec))
    if measured and measured.memory_mib <= free:
        measured = measured.model_copy(update={"settings": spec.settings})  # the key leaves some out
    else:
        measured = _first_that_fits(context, spec)
    if measured is None:
        return None
    length = measured.settings.max_length
    context.emit(measured.event())
    if length != spec.settings.max_length:
        raise DoesNotFit(
            "This training does not fit the memory that is free.",
            "Tried on your longest examples, it ran out of memory even with the most sparing settings.",
            f"Cut at {length} tokens (max_length) it fits, with {format_gb(measured.memory_mib)} measured. "
            "Or choose a smaller model, or close other programs.",
        )
    if measured.settings != spec.settings:
        oom.keep(context.folder, measured.settings)
    _write(context.folder / FOLDER / _KEPT, measured)
    keep(context.workspace, spec, measured)
    return measured


def ladder(settings: TrainSettings, longest: int) -> Iterator[tuple[TrainSettings, str]]:
    """`settings`, then ever more sparing ones, each with what is then done without; shorter examples last.

    longest: tokens of the longest row. Lengths that cut nothing are left out, unless they make packs smaller.
    """
    planned, step = settings, None
    yield settings, ""
    while step := oom.next_step(planned, settings, can_quantise=oom.can_quantise()):
        settings = settings.changed(**step.changes)
        yield settings, step.sentence
    length = settings.max_length if settings.packing else min(settings.max_length, longest)
    while (length := length // 2) >= oom.SHORTEST:
        yield settings.changed(max_length=length), ""


def key(model: ModelRef, settings: TrainSettings, sha256: str, train: int, validation: int, longest: int) -> str:
    """All that a measurement depends on: this machine, the model, the settings that matter, and the data.

    Of the length that is longest; only a pack is filled up to max_length.
    sha256: of the source file. train, validation: rows as trained. longest: tokens of the longest one.
    """
    chosen = settings.model_dump(mode="json", include={*_MATTERS, *(["max_length"] if settings.packing else [])})
    machine = f"{_RECIPE} {benchmark.fingerprint()}"
    return json.dumps([machine, model.id, model.revision, chosen, sha256, train, validation, longest])


def key_of(spec: RunSpec) -> str:
    """The key of a run."""
    data = spec.data
    return key(spec.model, spec.settings, data.sha256, data.train_rows, data.validation_rows, data.longest)


def recall(workspace: Workspace, wanted: str) -> Measured | None:
    """What was measured under this key on this machine; None where nothing was."""
    return _read(_cached(workspace, wanted))


def keep(workspace: Workspace, spec: RunSpec, measured: Measured) -> None:
    """Remembers what the run `spec`, with the settings that were measured, takes on this machine: of its memory the
    most that was ever seen."""
    place = _cached(workspace, key_of(spec.model_copy(update={"settings": measured.settings})))
    before = _read(place)
    peak = max(measured.memory_mib, before.memory_mib if before else 0)
    _write(place, measured.model_copy(update={"memory_mib": peak}))


def _learn_from(context: Work, measured: Measured, result: dict[str, Any]) -> None:
    """Remembers the peak of the whole run, which a few steps may not have reached."""
    spec = RunSpec.model_validate(context.spec)
    peak = result["peak_memory_mib"]
    if peak > measured.memory_mib and oom.settings_used(context.folder, spec.settings) == measured.settings:
        keep(context.workspace, spec, measured.model_copy(update={"memory_mib": peak}))


def _first_that_fits(context: Work, spec: RunSpec) -> Measured | None:
    for settings, told in ladder(spec.settings, spec.data.longest):
        context.progress(PHASE)
        if told:
            context.emit(NoteEvent("Memory would run short", told))
        found = _dry_run(context, spec.model_copy(update={"settings": settings}))
        context.reset_oom_count()
        if found is None:
            if not context.should_stop():
                context.emit(NoteEvent("Not measured", _NOT_MEASURED))
            return None
        if found.pop("fits"):
            return Measured(settings=settings, **found)
        log.info("out of memory with %s", settings)
    raise NotEnough(
        "This training does not fit the memory that is free.",
        "Tried on your longest examples, it ran out of memory even with the most sparing settings.",
        "Choose a smaller model, or close other programs.",
    )


def _dry_run(context: Work, spec: RunSpec) -> dict[str, Any] | None:
    """The outcome of a process of its own; None when it was stopped, took too long, or ended for another
    reason than memory."""
    place = context.folder / FOLDER
    place.mkdir(exist_ok=True)
    (place / OUTCOME).unlink(missing_ok=True)
    machine = hardware.probe(context.workspace.root).hardware
    limit = None if nvidia_gpu(machine) or machine.unified_memory else available(machine)
    order = {"spec": spec.model_dump(mode="json"), "limit_mib": limit}
    (place / ORDER).write_text(json.dumps(order), "utf-8")
    until = time.monotonic() + _MOST
    child = child_process.start(["-m", "backend.training.dry_run", str(context.folder)])
    try:
        while child.poll() is None:
            if context.should_stop():
                return None
            if time.monotonic() > until:
                log.warning("the measuring took more than %s seconds", _MOST)
                return None
            context.alive()
            time.sleep(_POLL)
    finally:
        child_process.kill(child)
        shutil.rmtree(place / TRIED, ignore_errors=True)  # what it saved for a try, where it was ended meanwhile
    return _outcome(place / OUTCOME, child.returncode)


def _outcome(file: Path, code: int) -> dict[str, Any] | None:
    """What the process wrote. Raises the error that it met, which the run would meet too."""
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        log.warning("the measuring ended with code %s", code)
        return {"fits": False} if code in _SHORT_OF_MEMORY else None
    if found["fits"] is None:
        kind = getattr(errors, found["error"], ApprenticeError)
        raise kind(found["what"], found["why"], found["next"])
    return found


def _cached(workspace: Workspace, wanted: str) -> Path:
    return workspace.cache / "preflight" / (hashlib.sha256(wanted.encode()).hexdigest()[:32] + ".json")


def _write(path: Path, measured: Measured) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, measured.model_dump_json())


def _read(path: Path) -> Measured | None:
    try:
        return Measured.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError):
        return None
