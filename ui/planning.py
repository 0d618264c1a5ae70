"""Records for showing, computed from what backend and jobs say: advice, plans, data sets, runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend import models
from backend.data.shelf import Brought
from backend.errors import RunProblem
from backend.estimate import Estimate, architecture, estimate, plan_from
from backend.settings import Workspace
from backend.specs import Hardware, RunSpec, TrainSettings
from backend.training.schedule import schedule
from jobs.models import Job
from ui.records import DataState, Plan, RunLine


def plan(
    workspace: Workspace,
    brought: Brought,
    model_id: str,
    settings: TrainSettings,
    hardware: Hardware,
    model_name: str,
) -> Plan:
    """Everything that a training on `brought` is about to do, its memory and time computed."""
    train, validation = brought.split.train, brought.split.validation
    tokens = brought.fixed_report.tokens
    steps = schedule(max(1, len(train)), len(validation), settings)
    needed = needs(
        workspace, model_id, settings, hardware, tokens.longest if tokens else None, tokens_read(brought, settings)
    )
    return Plan(
        settings=settings,
        model_name=model_name,
        data_name=brought.name,
        train_rows=len(train),
        validation_rows=len(validation),
        learned_tokens=tokens.learned if tokens else 0,
        longest=tokens.longest if tokens else 0,
        steps=steps.total,
        evaluations=len(steps.evaluations),
        seconds=(needed.time.low, needed.time.high) if needed and needed.time else None,
        time_measured=bool(needed and needed.time and needed.time.basis == "measured"),
        memory_mib=needed.memory.total_mib if needed else 0.0,
        memory_parts=needed.memory.parts if needed else {},
        have_mib=needed.fit.has_mib if needed else 0.0,
        blocked=blocked(brought, needed),
    )


def needs(
    workspace: Workspace,
    model_id: str,
    settings: TrainSettings,
    hardware: Hardware,
    longest: int | None,
    tokens: float,
) -> Estimate | None:
    """Memory and time by formula; None while the model is not here."""
    if not models.is_ready(workspace, model_id):
        return None
    described = architecture.read(models.folder(workspace, model_id) / "config.json")
    precision = "bf16" if settings.precision == "auto" else settings.precision
    return estimate(described, plan_from(settings, precision, longest=longest), hardware, tokens=tokens)


def tokens_read(brought: Brought, settings: TrainSettings) -> float:
    """Tokens that all rounds of practice read."""
    tokens, rows = brought.fixed_report.tokens, len(brought.dataset.rows)
    share = len(brought.split.train) / rows if rows else 0.0
    return (tokens.total if tokens else 0) * share * settings.num_train_epochs


def told(brought: Brought | None) -> dict[str, Any]:
    """What a recommendation may know about the data."""
    if brought is None or brought.fixed_report.tokens is None:
        return {"rows": len(brought.dataset.rows) if brought else None}
    tokens = brought.fixed_report.tokens
    share = tokens.learned / tokens.total if tokens.total else None
    return {
        "rows": len(brought.dataset.rows),
        "longest": tokens.longest,
        "tokens": tokens.total,
        "learned_share": share,
    }


def blocked(brought: Brought, needed: Estimate | None) -> str:
    """Why training can't start, "" when it can."""
    if brought.blocked:
        return brought.blocked
    if needed is None:
        return "The model is still being made ready; this takes a moment."
    if not needed.fit.fits:
        return "This needs more memory than is free. Choose a smaller model or close other programs."
    return ""


def data_state(brought: Brought) -> DataState:
    """A data set as the page shows it."""
    return DataState(
        name=brought.name,
        source=brought.original.source,
        report=brought.report,
        rows=len(brought.dataset.rows),
        accepted=brought.accepted,
        split=brought.split.sentence,
        blocked=brought.blocked,
    )


def read_spec(folder: Path) -> RunSpec:
    """The spec of the training in `folder`. Raises RunProblem when it holds none."""
    try:
        return RunSpec.model_validate(json.loads((folder / "spec.json").read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise RunProblem(
            "This is no training run.", "It lacks a readable spec.json.", "Choose another run."
        ) from error


def run_line(job: Job, folder: Path) -> RunLine:
    """A run as it stands in the list."""
    spec = read_spec(folder)
    return RunLine(
        id=job.id,
        name=job.name,
        model_name=spec.model.id.rpartition("/")[2],
        data_name=spec.data.name,
        state=job.state,
        created=job.created,
        first_eval_loss=job.result.get("first_eval_loss"),
        eval_loss=job.result.get("eval_loss"),
    )


def run_name(data_name: str) -> str:
    """A name for a run that the person gave none."""
    return Path(data_name).stem.replace("_", " ").capitalize()[:60] or "My model"
