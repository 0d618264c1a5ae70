"""The evaluation of a run's model as it is now, for cards and exports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from backend.export.model_card import Evaluation
from jobs.records import Job, State
from jobs.runner import Runner
from ui.text import verdicts

NEEDED = {
    "verdict", "against_prompt", "main_measure", "items", "clusters", "least_provable_gain", "engine", "systems",
    "findings", "general", "next", "retry",
}  # fmt: skip
_GENERAL = {"base_right", "kept", "lost", "dropped", "loss"}


def completed(runner: Runner, run: Job, kind: str) -> list[Job]:
    """The completed jobs of a kind that used the run's model as it is now, newest first."""
    ended = run.ended or math.inf
    jobs = runner.jobs(kind=kind, parent=run.id)
    return [job for job in jobs if job.state is State.COMPLETED and (job.started or 0.0) >= ended]


def current(runner: Runner, run: Job) -> Job | None:
    """The newest evaluation of the run's model as it is now; None without one, and for one of an older format."""
    job = next(iter(completed(runner, run, "evaluate")), None)
    return job if job and is_whole(job.result) else None


def is_whole(report: Mapping[str, Any], keys: set[str] = NEEDED) -> bool:
    """Whether a report has what the page shows of it: an older version's has not."""
    general = report.get("general")
    return report.keys() >= keys and isinstance(general, dict) and general.keys() >= _GENERAL


def words(report: Mapping[str, Any]) -> Evaluation:
    """A report in words, for a model card."""
    systems = [
        (verdicts.SYSTEMS[name], verdicts.score(name, report), verdicts.interval(name, report))
        for name in report["systems"]
    ]
    right = "" if verdicts.graded(report) else verdicts.MEASURES.get(report["main_measure"], "")
    return Evaluation(verdicts.sentence(report), right, report["items"], systems)
