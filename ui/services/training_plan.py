"""Records for showing, computed from what backend and jobs say: advice, plans, data sets, runs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.advice.settings import precision_for
from backend.datasets.checks.fix import Change, write_fixed
from backend.datasets.checks.tokens import TokenTotals
from backend.datasets.dataset import CheckedDataset
from backend.datasets.split import Split
from backend.errors import ApprenticeError, BadSetting
from backend.estimate import Estimate, Rates, estimate, plan_from
from backend.estimate.speed import time
from backend.models import catalogue
from backend.models.catalogue import Entry
from backend.records.encoded import Piece
from backend.records.specs import Hardware, RunSpec, Trainer, TrainSettings
from backend.training.distributed import sharding
from backend.training.job import Measured
from backend.training.preconditions import disk_needed
from backend.training.schedule import schedule
from jobs.records import Job
from ui.records import Curve, DataFiles, DataState, Origin, Plan, Preview
from ui.text import format as fmt
from ui.text.settings_help import SETTINGS

SPREAD = 1.25  # allowed either way around what a rehearsal says, for a computer that does other things too
SHOWN = 8000  # characters of one text in a preview
_LESS = (
    "The memory is computed for one card that holds the whole model. Divided, each card needs less; how much is not "
    "computed. For each card the whole model is first loaded into the computer's memory."
)


def plan(
    checked: CheckedDataset,
    entry: Entry,
    why_not: str,
    settings: TrainSettings,
    hardware: Hardware,
    rates: Rates | None,
) -> Plan:
    """Everything that a training of `entry` on `brought` is about to do, its memory and time computed.

    why_not: why the model can't be used now, "" when it can.
    """
    sides = parts(checked, settings)
    tokens = checked.fixed_report.tokens
    train, validation = checked.pieces(sides.train), checked.pieces(sides.validation)
    steps = schedule(max(1, train), validation, settings)
    precision = precision_for(hardware) if settings.precision == "auto" else settings.precision
    step = plan_from(settings, precision, longest=checked.longest or None)
    total, learned = counted(tokens, settings.trainer) if tokens else (0, 0)
    read = steps.total * settings.effective_batch * (total / max(1, tokens.pieces) if tokens else 0.0)
    if settings.trainer == "dpo":
        read += total / 2  # read once before, without learning: half the work
    needed = estimate(entry.architecture, step, hardware, tokens=read, rates=rates)
    return Plan(
        settings=settings,
        model_name=entry.name,
        data_name=checked.name,
        train_rows=train,
        validation_rows=validation,
        learned_tokens=learned,
        longest=min(checked.longest, settings.max_length),
        steps=steps.total,
        evaluations=len(steps.evaluations),
        seconds=(needed.time.low, needed.time.high) if needed.time and tokens else None,
        time_measured=bool(needed.time and needed.time.basis == "measured"),
        memory_mib=needed.memory.total_mib,
        memory_parts=needed.memory.parts,
        have_mib=needed.fit.has_mib,
        notes=tuple(filter(None, [tokens.sentence if tokens else "", _LESS if _divided(settings, hardware) else ""])),
        pairs=pairs(checked),
        blocked=blocked(checked, why_not, needed, settings, hardware) or no_room(entry, settings, hardware),
    )


def with_measured(ahead: Plan, measured: Measured | None) -> Plan:
    """The same, with what this very run was measured to take on this computer, if it was.

    Of the memory the larger figure counts: a few steps may stay below the peak of a whole run.
    """
    if measured is None:
        return ahead
    seconds = measured.seconds(ahead.steps, ahead.evaluations)
    return replace(
        ahead,
        memory_mib=max(measured.memory_mib, ahead.memory_mib),
        memory_computed_mib=ahead.memory_mib,
        memory_measured_mib=measured.memory_mib,
        seconds=(seconds / SPREAD, seconds * SPREAD),
        time_measured=True,
    )


def expected_speed(spec: RunSpec, hardware: Hardware, rates: Rates) -> float | None:
    """Tokens a second that the run of `spec` should reach at least, computed from this machine's measured `rates`.

    None where they were not measured, or the model is not in the catalogue.
    """
    try:
        entry = catalogue.find(spec.model.id)
    except ApprenticeError:
        return None
    precision = precision_for(hardware) if spec.settings.precision == "auto" else spec.settings.precision
    step = plan_from(spec.settings, precision, longest=spec.data.longest)
    needed = time(entry.architecture, step, hardware, 1e6, rates)
    return 1e6 / needed.high if needed and needed.basis == "measured" else None


def repeated(spec: RunSpec, run_id: str, change: dict[str, Any], **rows: int) -> RunSpec:
    """The run `run_id` once more with a change, named after it. rows: the counts of its `DataRef`, where the change
    does not leave the rows as they are."""
    settings = spec.settings.changed(**change)
    said = ", ".join(f"{SETTINGS[name].term} {fmt.setting(getattr(settings, name))}" for name in change)
    first = spec.name.partition(" (")[0] if spec.retry_of else spec.name
    data = spec.data.model_copy(update=rows)
    return spec.model_copy(
        update={"settings": settings, "name": f"{first[:60]} ({said})", "retry_of": run_id, "data": data}
    )


def parts(checked: CheckedDataset, settings: TrainSettings) -> Split:
    """The rows for practice and for the test, as the settings have it."""
    return checked.split_at(settings.validation_fraction, settings.seed)


def told(checked: CheckedDataset | None, trainer: Trainer = "sft") -> dict[str, Any]:
    """What a recommendation may know about the data, as it is read by `trainer`."""
    if checked is None or checked.fixed_report.tokens is None:
        return {"rows": len(checked.dataset.rows) if checked else None}
    tokens = checked.fixed_report.tokens
    total, learned = counted(tokens, trainer)
    return {
        "rows": len(checked.dataset.rows),
        "longest": tokens.longest,
        "tokens": total,
        "learned_share": learned / total if total else None,
        "documents": tokens.documents > 0,
    }


def counted(tokens: TokenTotals, trainer: Trainer) -> tuple[int, int]:
    """Tokens in all and learned ones that `trainer` reads in one round: DPO reads both answers."""
    if trainer == "sft":
        return tokens.total, tokens.learned
    return tokens.total + tokens.rejected, tokens.learned + tokens.rejected_learned


def pairs(checked: CheckedDataset) -> bool:
    """Whether every example has a good and a bad answer."""
    return bool(checked.rows) and all(row.rejected for row in checked.rows)


def _divided(settings: TrainSettings, hardware: Hardware) -> bool:
    """Whether the model is divided over cards that are here."""
    return settings.sharding != "none" and 1 < settings.num_processes <= len(hardware.gpus)


def blocked(
    checked: CheckedDataset, why_not: str, needed: Estimate, settings: TrainSettings, hardware: Hardware
) -> str:
    """Why training can't start, "" when it can."""
    if checked.blocked:
        return checked.blocked
    if settings.trainer == "dpo" and not pairs(checked):
        return "To learn the difference, every example needs a good and a bad answer. Learn from the good ones."
    if why_not:
        return why_not
    try:
        sharding.check(settings)
    except BadSetting as error:
        return f"{error.what} {error.why} {error.next}"
    if not needed.fit.fits and not _divided(settings, hardware):
        return (
            "This needs more memory than is free. Choose a smaller model, or close other programs and press Look "
            "again on the first tab."
        )
    return ""


def no_room(entry: Entry, settings: TrainSettings, hardware: Hardware) -> str:
    """Why the disk is too small for the run's saved states and its result, "" when it is not."""
    needed = disk_needed(entry.architecture, settings) / (1 << 20)
    if needed <= hardware.disk_free_mib:
        return ""
    return (
        f"Its saved states and its result need up to {fmt.size(needed)} on the disk (computed), and "
        f"{fmt.size(hardware.disk_free_mib)} are free. Delete what you no longer need."
    )


def data_state(checked: CheckedDataset) -> DataState:
    """A data set as the page shows it."""
    changes: dict[str, list[Change]] = {}
    for change in checked.fixed.changes:
        changes.setdefault(change.kind, []).append(change)
    unusable = len({problem.row for problem in checked.unread if not checked.info.is_accepted(problem)})
    return DataState(
        name=checked.name,
        original=checked.original,
        report=checked.report,
        problems=checked.problems,
        rows=len(checked.dataset.rows),
        info=checked.info,
        split=checked.summary,
        blocked=checked.blocked,
        unread=frozenset(problem.kind for problem in checked.unread),
        test_name=checked.validation.report.source.name if checked.validation else "",
        fix_previews=checked.fix_previews,
        changes=changes,
        changed=checked.fixed.changed,
        left_out=checked.fixed.dropped - unusable,
        unusable=unusable,
        tokens=checked.fixed_report.tokens,
    )


def data_files(checked: CheckedDataset, folder: Path) -> DataFiles:
    """Writes the examples as they stand, and what was changed, into `folder`. Raises WorkspaceProblem."""
    folder.mkdir(parents=True, exist_ok=True)
    clean = folder / "examples.jsonl"
    log = write_fixed(checked.fixed, clean)
    return DataFiles(clean, log, len(checked.fixed.changes))


def shortened(preview: Preview) -> Preview:
    """The same, its long texts cut in the middle: a page can't show millions of characters."""

    def cut(text: str) -> str:
        half = SHOWN // 2
        return text if len(text) <= SHOWN else f"{text[:half]} … {text[-half:]}"

    messages = [
        {**m, "content": cut(m["content"])} if isinstance(m.get("content"), str) else m for m in preview.messages
    ]
    return replace(
        preview,
        messages=messages,
        pieces=[Piece(cut(piece.text), piece.kind, piece.tokens) for piece in preview.pieces],
    )


def losses(job: Job, curve: Curve) -> dict[str, Any]:
    """first_eval_loss, eval_loss and eval_step of a run: of the version that is kept, else as last measured."""
    if job.result.get("eval_loss") is not None:
        first, last = job.result.get("first_eval_loss"), job.result["eval_loss"]
        return {"first_eval_loss": first, "eval_loss": last, "eval_step": job.result.get("eval_step")}
    tested = [test for test in curve.evals if math.isfinite(test.loss)]
    if not tested:
        return {"first_eval_loss": None, "eval_loss": None, "eval_step": None}
    first = tested[0].loss if tested[0].step == 0 else None
    return {"first_eval_loss": first, "eval_loss": tested[-1].loss, "eval_step": tested[-1].step}


def origin(job: Job, spec: RunSpec) -> Origin:
    """What a run began with, in names for people."""
    return Origin(job.id, job.name, model_name(spec.model.id), spec.data.name, spec.data.train_rows)


def model_name(model_id: str) -> str:
    """The model's name for people; its id where the catalogue has none."""
    try:
        return catalogue.find(model_id).name
    except ApprenticeError:
        return model_id


def run_name(data_name: str) -> str:
    """A name for a run that the person gave none."""
    return Path(data_name).stem.replace("_", " ").capitalize()[:60] or "My model"
