"""The evaluation of a run's model as it is now, for cards and exports; and the reports
of evaluations.
"""

import math
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from backend.errors import RunProblem
from backend.evaluation.report import REPORT
from backend.export.model_card import Evaluation
from backend.files.json_file import read_json
from backend.records.base import StoredRecord
from backend.records.evaluation import EvaluationSummary
from jobs.records import Job, State
from jobs.runner import Runner
from ui.text import verdicts

Report = TypeVar("Report", bound=StoredRecord)


class Evaluated(NamedTuple):
    """An evaluation by the id of its job."""

    job_id: str
    summary: EvaluationSummary


def completed(runner: Runner, run: Job, kind: str) -> list[Job]:
    """The completed jobs of a kind that used the run's model as it is now, newest
    first.
    """
    ended = run.ended or math.inf
    jobs = runner.jobs(kind=kind, parent=run.id)
    return [
        job
        for job in jobs
        if job.state is State.COMPLETED and (job.started or 0.0) >= ended
    ]


def current(runner: Runner, run: Job) -> Evaluated | None:
    """The newest evaluation of the run's model as it is now; None without one, and for
    one of an older format.
    """
    job = next(iter(completed(runner, run, "evaluate")), None)
    summary = job.result_as(EvaluationSummary) if job else None
    return Evaluated(job.id, summary) if job and summary else None


def read_report(
    runner: Runner, job_id: str, record: type[Report], name: str, again: str
) -> Report:
    """The report of a completed job, with its answers. Raises RunProblem when there is
    none.

    name: of the report, to begin a sentence with
    again: what to do without it
    """
    try:
        if runner.job(job_id).state is not State.COMPLETED:
            raise RunProblem(f"{name} does not exist.", "It is not completed.", again)
        return record.model_validate(read_json(runner.folder(job_id) / REPORT))
    except ValidationError as error:
        lacks_fields = any(fault["type"] == "missing" for fault in error.errors())
        fault = (
            "was made by an older version of Apprentice"
            if lacks_fields
            else "is damaged"
        )
        raise RunProblem(f"{name} {fault}.", "", again) from error
    except (OSError, ValueError) as error:
        raise RunProblem(f"{name} can't be read.", str(error), again) from error


def for_model_card(report: EvaluationSummary) -> Evaluation:
    """The verdict and the scores in plain words."""
    names, score, interval = verdicts.SYSTEMS, verdicts.score, verdicts.interval
    systems = [
        (names[name], score(name, report), interval(name, report))
        for name in report.systems
    ]
    right = "" if report.graded else verdicts.MEASURES[report.main_measure]
    return Evaluation(verdicts.sentence(report), right, report.items, systems)
