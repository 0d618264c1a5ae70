"""The evaluation of a run's model as it is now, for cards and exports."""

import math
from contextlib import suppress
from typing import NamedTuple

from pydantic import ValidationError

from backend.export.model_card import Evaluation
from backend.records.evaluation import EvaluationSummary
from jobs.records import Job, State
from jobs.runner import Runner
from ui.text import verdicts


class Evaluated(NamedTuple):
    """An evaluation by the id of its job."""

    job_id: str
    summary: EvaluationSummary


def completed(runner: Runner, run: Job, kind: str) -> list[Job]:
    """The completed jobs of a kind that used the run's model as it is now, newest first."""
    ended = run.ended or math.inf
    jobs = runner.jobs(kind=kind, parent=run.id)
    return [job for job in jobs if job.state is State.COMPLETED and (job.started or 0.0) >= ended]


def current(runner: Runner, run: Job) -> Evaluated | None:
    """The newest evaluation of the run's model as it is now; None without one, and for one of an older format."""
    job = next(iter(completed(runner, run, "evaluate")), None)
    summary = summary_of(job) if job else None
    return Evaluated(job.id, summary) if job and summary else None


def summary_of(evaluation: Job) -> EvaluationSummary | None:
    """The result of a completed evaluation; None for one of an older format."""
    with suppress(ValidationError):
        return EvaluationSummary.model_validate(evaluation.result)
    return None


def for_model_card(report: EvaluationSummary) -> Evaluation:
    """The verdict and the scores in plain words."""
    names, score, interval = verdicts.SYSTEMS, verdicts.score, verdicts.interval
    systems = [(names[name], score(name, report), interval(name, report)) for name in report.systems]
    right = "" if report.graded else verdicts.MEASURES[report.main_measure]
    return Evaluation(verdicts.sentence(report), right, report.items, systems)
