"""The job "train": first a dry run on the longest examples, then the run itself, with
settings that fit.

The dry run (dry_run.py) is a process of its own. If it runs out of memory, the
out-of-memory ladder (oom.py) is tried rung by rung, with a note for each. Shorter
examples are tried too but not used: the run then fails with the length that would fit.
There is no dry run for a run that resumes from a checkpoint, which keeps its settings.
"""

import json
import logging
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from backend import child_process, errors, hardware, training
from backend.errors import ApprenticeError, DoesNotFit, NotEnough
from backend.files.json_file import read_if_json
from backend.hardware.gpu_choice import require_usable_gpu
from backend.hardware.keep_awake import keep_awake
from backend.hardware.process import OtherPrograms, show_one_gpu
from backend.models import four_bit
from backend.models.local import relocate
from backend.records.events import AwakeEvent, NoteEvent
from backend.records.machine import available, nvidia_gpu
from backend.records.specs import RunSpec, TrainSettings
from backend.records.training import TrainingResult
from backend.records.units import MIB, format_size
from backend.runs import own_answers
from backend.training import measured as measurements
from backend.training import oom
from backend.training.dry_run import CHECKPOINTS, ORDER, OUTCOME
from backend.training.dry_run_session import FOLDER, TRYING
from backend.training.measured import Measured
from backend.training.preconditions import check_variant
from backend.training.schedule import schedule
from backend.training.state import checkpoints
from backend.work import JobContext

log = logging.getLogger(__name__)

PHASE = "Measuring your longest examples"
_MEASURED = "measured.json"
_POLL = 0.2  # seconds
_TIMEOUT = 1800.0  # seconds for one dry run
_OUT_OF_MEMORY_EXITS = (
    -9,
    -6,
)  # SIGKILL, by a system without memory, and SIGABRT, after a failed allocation
_BUSY, _BUSY_AFTER = (
    0.2,
    5.0,
)  # of the processor, which others use; seconds until that is known
_NOT_MEASURED = (
    "The dry run on your longest examples ended without a result; see the file log.txt of this run. Training starts "
    "all the same, with memory and time computed instead of measured."
)
_DOES_NOT_FIT = (
    "This training does not fit into the free memory.",
    "It ran out of memory on your longest examples, even with the settings that need the least.",
)


def run(context: JobContext) -> dict[str, Any]:
    """The job "train": measures, then trains, while the computer is kept awake. Raises
    NotEnough when not even the settings that need the least fit, and the errors of
    `backend.training.run`.
    """
    with keep_awake() as awake:
        context.emit(AwakeEvent(awake))
        return _measure_and_train(context).to_json()


def _measure_and_train(context: JobContext) -> TrainingResult:
    require_usable_gpu()
    measured = measurements.read(context.folder / FOLDER / _MEASURED)
    spec = RunSpec.model_validate(context.spec)
    check_variant(spec)
    own_answers.fetch(context.workspace, context.folder, spec)
    if (
        measured is None
        and not context.short_of_memory
        and checkpoints.find(context.folder / "checkpoints", content=False).newest
        is None
    ):
        show_one_gpu()  # the dry run and the run use the same one, whatever becomes free meanwhile
        measured = measure(context, relocate(spec, context.folder))
        if context.should_stop():
            return TrainingResult(state="stopped", steps=0, weights_changed=False)
        if measured:
            rows = spec.data.train_rows + measured.settings.general_rows(
                spec.data.train_rows
            )
            plan = schedule(rows, spec.data.validation_rows, measured.settings)
            context.progress(
                PHASE, seconds_left=measured.seconds(plan.total, len(plan.evaluations))
            )
    result = training.run(context)
    used, peak = oom.spec_used(context.folder, spec), result.peak_memory_mib
    own_answers.store(context.workspace, context.folder, used)
    if (
        measured and peak > measured.memory_mib and used.settings == measured.settings
    ):  # the dry run did not reach it
        measurements.store(
            context.workspace, spec, measured.model_copy(update={"memory_mib": peak})
        )
    numbers = (
        measured.model_dump(mode="json", exclude={"settings"}) if measured else None
    )
    return result.model_copy(update={"measured": numbers})


def measure(context: JobContext, spec: RunSpec) -> Measured | None:
    """Measures the run with the first settings on the ladder that fit, and makes the
    run use them. None if the dry run was stopped or failed. Raises DoesNotFit if only a
    shorter max_length (in the event) fits, and NotEnough if nothing does.
    """
    spec = spec.model_copy(
        update={"settings": oom.settings_used(context.folder, spec.settings)}
    )
    free = available(hardware.probe(context.workspace.root).hardware)
    measured = measurements.find(context.workspace, measurements.key_of(spec))
    if measured and measured.memory_mib <= free:
        measured = measured.model_copy(
            update={"settings": spec.settings}
        )  # the key leaves some out
    else:
        measured = _first_that_fits(context, spec)
    if measured is None:
        return None
    length = measured.settings.max_length
    context.emit(measured.event())
    if length != spec.settings.max_length:
        raise DoesNotFit(
            *_DOES_NOT_FIT,
            f"Examples cut at {length} tokens (max_length) fit, with {format_size(measured.memory_mib)} measured. "
            "Or choose a smaller model, or close other programs.",
        )
    if measured.settings != spec.settings:
        oom.save_settings(context.folder, measured.settings)
    measurements.write(context.folder / FOLDER / _MEASURED, measured)
    measurements.store(context.workspace, spec, measured)
    return measured


def ladder(
    settings: TrainSettings, longest: int
) -> Iterator[tuple[TrainSettings, str]]:
    """`settings`, then settings that need ever less memory, each with its sentence;
    shorter examples last. longest: tokens of the longest row. Skips lengths that cut
    nothing, unless they make packs smaller.
    """
    planned = settings
    yield settings, ""
    while rung := oom.next_rung(planned, settings, can_quantize=four_bit.is_possible()):
        settings = settings.changed(**rung.changes)
        yield settings, rung.sentence
    length = (
        settings.max_length if settings.packing else min(settings.max_length, longest)
    )
    while (length := length // 2) >= oom.MIN_LENGTH:
        yield settings.changed(max_length=length), ""


def _first_that_fits(context: JobContext, spec: RunSpec) -> Measured | None:
    for settings, sentence in ladder(spec.settings, spec.data.longest):
        context.progress(PHASE)
        if sentence:
            context.emit(NoteEvent("Settings changed to save memory", sentence))
        outcome = _dry_run(context, spec.model_copy(update={"settings": settings}))
        context.reset_oom_count()
        if outcome is None:
            if not context.should_stop():
                context.emit(NoteEvent("Not measured", _NOT_MEASURED))
            return None
        if outcome.pop("fits"):
            return Measured(settings=settings, **outcome)
        log.info("out of memory with %s", settings)
    raise NotEnough(*_DOES_NOT_FIT, "Choose a smaller model, or close other programs.")


def _dry_run(context: JobContext, spec: RunSpec) -> dict[str, Any] | None:
    """The outcome of a dry run; None if it was stopped, timed out, or failed for
    another reason than memory.
    """
    folder = context.folder / FOLDER
    folder.mkdir(exist_ok=True)
    for name in (OUTCOME, TRYING):
        (folder / name).unlink(missing_ok=True)
    machine = hardware.probe(context.workspace.root).hardware
    limit, on_processor = (
        available(machine),
        nvidia_gpu(machine) is None and not machine.unified_memory,
    )
    order = {
        "spec": spec.model_dump(mode="json"),
        "limit_mib": limit,
        "on_processor": on_processor,
    }
    (folder / ORDER).write_text(json.dumps(order), "utf-8")
    began, noted = time.monotonic(), not on_processor
    child = child_process.start(["-m", "backend.training.dry_run", str(context.folder)])
    others = OtherPrograms(child.pid)
    try:
        while child.poll() is None:
            if context.should_stop():
                return None
            if time.monotonic() > began + _TIMEOUT:
                log.warning("the dry run took more than %s seconds", _TIMEOUT)
                return None
            if nvidia_gpu(machine) is None and _used_mib(child) > limit:
                return {"fits": False}
            context.alive()
            if (
                not noted
                and time.monotonic() > began + _BUSY_AFTER
                and (share := others.share()) > _BUSY
            ):
                noted = True
                used = f"Other programs used {share:.0%} of its processor as training began: it takes longer with them."
                context.emit(NoteEvent("This computer was busy", used))
            context.progress(
                PHASE, detail=_tried(folder / TRYING, time.monotonic() - began)
            )
            time.sleep(_POLL)
    finally:
        child_process.kill(child)
        shutil.rmtree(
            folder / CHECKPOINTS, ignore_errors=True
        )  # left behind if it was killed while saving
    return _outcome(folder / OUTCOME, child.returncode)


def _tried(file: Path, seconds: float) -> str:
    """The dry run's progress in words: what it is trying, for how long it has run, and
    the memory measured so far.
    """
    now = read_if_json(file)
    if "peak_mib" not in now:
        return f"The model is being loaded ({seconds:.0f} s so far)."
    examples, tokens, peak = (now[name] for name in ("examples", "tokens", "peak_mib"))
    many = f"{examples} examples" if examples > 1 else "an example"
    memory = f"{format_size(peak)} of memory used at the peak"
    return (
        f"Trying {many} of up to {tokens:,} tokens ({seconds:.0f} s so far). {memory}."
    )


def _used_mib(child: subprocess.Popen[bytes]) -> float:
    with suppress(psutil.Error):
        return child_process.memory_used(psutil.Process(child.pid)) / MIB
    return 0.0  # it has just ended


def _outcome(file: Path, code: int) -> dict[str, Any] | None:
    """The outcome in `file`; code: the process's exit code. Raises its error, which the
    run would raise too.
    """
    if not (outcome := read_if_json(file)):
        log.warning("the dry run ended with code %s", code)
        return {"fits": False} if code in _OUT_OF_MEMORY_EXITS else None
    if outcome["fits"] is None:
        kind = getattr(errors, outcome["error"], ApprenticeError)
        raise kind(outcome["what"], outcome["why"], outcome["next"])
    return outcome
