"""The plan of a training run, computed before it starts: steps, memory, time, and what
blocks it.
"""

from dataclasses import replace
from pathlib import Path

from backend.advice.settings import precision_for
from backend.datasets.dataset import CheckedDataset
from backend.datasets.split import Split
from backend.errors import ApprenticeError, MissingPart
from backend.estimate import Estimate, Rates, estimate, plan_from
from backend.estimate.speed import time
from backend.gguf.convert import can_convert
from backend.models import catalogue
from backend.models.catalogue import Entry
from backend.records.machine import Hardware, best_first
from backend.records.specs import (
    ASKING_TOKENS,
    GENERAL_TOKENS,
    Precision,
    RunSpec,
    TrainSettings,
)
from backend.records.units import MIB
from backend.training.measured import Measured
from backend.training.oom import require_bitsandbytes
from backend.training.preconditions import disk_needed
from backend.training.schedule import schedule
from ui.records.runs import Plan
from ui.services.data.dataset_state import epoch_tokens, has_pairs, provable
from ui.services.results import exports
from ui.text import format as fmt

SPREAD = 1.25  # a measured time or speed may be off by this factor: the computer does other things too
_NOT_MODELED = (
    "How much memory this kind of model needs can't be computed. It is measured on "
    "your longest examples before training starts."
)
_MAY_NOT_FIT = (
    "The estimate says that this needs more memory than is free. It is measured before "
    "training starts, with settings that need less if necessary."
)
_NO_GGUF = (
    "No GGUF file can be made of the result: llama.cpp's converter does not know this "
    "kind of model, so that LM Studio and Ollama can't run it. The adapter and the "
    "whole model can be exported."
)


def plan(
    checked: CheckedDataset,
    split: Split,
    entry: Entry,
    why_not: str,
    settings: TrainSettings,
    hardware: Hardware,
    rates: Rates | None,
) -> Plan:
    """The plan of a run, with computed memory and time.

    split: the numbers of its rows that train, choose and judge
    why_not: why the model can't be used now; "" when it can
    rates: its speed; None if it was not measured
    """
    tokens = checked.fixed_report.tokens
    train, validation = checked.pieces(split.train), checked.pieces(split.validation)
    general = settings.general_rows(train)
    steps = schedule(max(1, train + general), validation, settings)
    step = plan_from(
        settings, _precision(settings, hardware), longest=checked.longest or None
    )
    total, learned = epoch_tokens(tokens, settings.trainer) if tokens else (0, 0)
    mean = total / max(1, tokens.pieces) if tokens else 0.0
    mean = (train * mean + general * GENERAL_TOKENS) / max(1, train + general)
    read = steps.total * settings.effective_batch * mean
    if not entry.bundled:
        read += general * ASKING_TOKENS  # the base model is asked first
    if settings.trainer == "dpo":
        read += (
            total / 2
        )  # the reference log probabilities: one pass without the backward half
    needed = estimate(entry.architecture, step, hardware, tokens=read, rates=rates)
    is_modeled = needed.fit.badge != "unknown"
    notes = (
        checked.too_few,
        tokens.sentence if tokens else "",
        "" if is_modeled else _NOT_MODELED,
        "" if needed.fit.fits else _MAY_NOT_FIT,
        _several_gpus(settings, hardware, needed.fit.fits),
    )
    return Plan(
        settings=settings,
        model_name=entry.name,
        data_name=checked.name,
        train_rows=train,
        general_rows=general,
        validation_rows=validation,
        set_aside=split.set_aside,
        proves=provable(checked, split),
        chooses=split.chooses,
        learned_tokens=learned,
        longest=min(checked.longest, settings.max_length),
        steps=steps.total,
        evaluations=len(steps.evaluations),
        seconds=(needed.time.low, needed.time.high) if needed.time and tokens else None,
        time_measured=bool(needed.time and needed.time.basis == "measured"),
        while_busy=bool(rates and rates.while_busy),
        memory_mib=needed.memory.total_mib if is_modeled else 0.0,
        memory_parts=needed.memory.parts if is_modeled else {},
        available_mib=needed.fit.has_mib,
        notes=tuple(filter(None, notes)),
        has_pairs=has_pairs(checked),
        blocked=_blocked(checked, entry, why_not, needed, settings, hardware),
    )


def with_export_note(plan: Plan, model: Path) -> Plan:
    """The plan with what exporting its result takes, and a note where its base `model`
    can't become a GGUF file.
    """
    notes = plan.notes if can_convert(model) else (*plan.notes, _NO_GGUF)
    return replace(plan, notes=notes, export=exports.needs(model))


def with_measured(plan: Plan, measured: Measured | None) -> Plan:
    """The plan with the memory and time measured for this very run on this computer, if
    they were. The larger memory figure counts: a few steps may stay below the peak of a
    whole run.
    """
    if measured is None:
        return plan
    seconds = measured.seconds(plan.steps, plan.evaluations)
    return replace(
        plan,
        memory_mib=max(measured.memory_mib, plan.memory_mib),
        memory_computed_mib=plan.memory_mib,
        memory_measured_mib=measured.memory_mib,
        seconds=(seconds / SPREAD, seconds * SPREAD),
        time_measured=True,
        while_busy=False,
        notes=tuple(
            note for note in plan.notes if note not in (_NOT_MODELED, _MAY_NOT_FIT)
        ),
    )


def seconds_for(
    examples: float,
    checked: CheckedDataset,
    entry: Entry,
    settings: TrainSettings,
    hardware: Hardware,
    rates: Rates | None,
) -> tuple[float, float] | None:
    """The least and the most seconds to read and answer average examples; None where
    unknown. Reading and answering are counted at the speed of training, which is slower
    than reading and faster than answering one token at a time.

    examples: how many
    checked: the dataset that they are like
    settings: of the run, among them the longest example
    rates: its speed; None if it was not measured
    """
    tokens = checked.fixed_report.tokens
    if not tokens:
        return None
    total, _ = epoch_tokens(tokens, settings.trainer)
    step = plan_from(
        settings, _precision(settings, hardware), longest=checked.longest or None
    )
    needed = time(
        entry.architecture,
        step,
        hardware,
        examples * total / max(1, tokens.pieces),
        rates,
    )
    return (needed.low, needed.high) if needed else None


def expected_speed(spec: RunSpec, hardware: Hardware, rates: Rates) -> float | None:
    """The least tokens per second to expect of a run, computed from this machine's
    measured `rates`. None when they do not cover it, or the model is not in the
    catalogue.
    """
    try:
        entry = catalogue.find(spec.model.id)
    except ApprenticeError:
        return None
    step = plan_from(
        spec.settings, _precision(spec.settings, hardware), longest=spec.data.longest
    )
    needed = time(entry.architecture, step, hardware, 1e6, rates)
    return 1e6 / needed.high if needed and needed.basis == "measured" else None


def _precision(settings: TrainSettings, hardware: Hardware) -> Precision:
    return (
        precision_for(hardware) if settings.precision == "auto" else settings.precision
    )


def _several_gpus(settings: TrainSettings, hardware: Hardware, fits: bool) -> str:
    """How to train on all GPUs, "" with one. fits: the run fits on one of them."""
    count = len(best_first(hardware.gpus))
    if count < 2:
        return ""
    engine = "ddp" if fits else "fsdp_qlora" if settings.method == "qlora" else "fsdp2"
    first = (
        ""
        if engine == "ddp" or settings.optim == "adamw"
        else 'set OPTIM = "adamw" at the top of train.py, and '
    )
    return (
        f"This computer has {count} GPUs, and the app trains on one of them. For all of "
        f"them, start the run and make its training script on Share, then {first}type "
        f"in the script's folder: uv run train.py --engine {engine}"
    )


def _blocked(
    data: CheckedDataset,
    entry: Entry,
    why_not: str,
    need: Estimate,
    settings: TrainSettings,
    hardware: Hardware,
) -> str:
    """Why training can't start, "" when it can."""
    if data.blocked:
        return data.blocked
    if settings.trainer == "dpo" and not has_pairs(data):
        both = "To learn the difference, every example needs a good and a bad answer."
        return f"{both} Learn from the good answers instead."
    if why_not:
        return why_not
    try:
        require_bitsandbytes(settings)
    except MissingPart as error:
        return f"{error.what} {error.why} {error.next}"
    weights = need.memory.parts.get("weights", 0.0)
    if (
        weights > need.fit.has_mib and len(best_first(hardware.gpus)) < 2
    ):  # with more, its script can divide it
        needs, has = fmt.sizes(weights, need.fit.has_mib)
        return (
            f"The model's weights alone need {needs}, and {has} is free. Choose a "
            "smaller model, or close other programs and click Check again in step 1."
        )
    on_disk = (
        disk_needed(entry.architecture, settings) / MIB
    )  # for the run's checkpoints and result
    if on_disk <= hardware.disk_free_mib:
        return ""
    needs, has = fmt.sizes(on_disk, hardware.disk_free_mib)
    return (
        f"Its checkpoints and its result need up to {needs} of disk space (computed), "
        f"and only {has} is free. Delete what you no longer need."
    )
