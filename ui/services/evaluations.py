"""Evaluations of trained models: started, followed, read."""

from __future__ import annotations

from typing import Any

from backend.errors import RunProblem
from backend.evaluation.job import REPORT
from backend.files.json_file import read_json
from jobs.records import Job, State
from jobs.runner import Runner
from ui.services.results import ResultService


class EvaluationService:
    """Is a trained model any good, on the examples that it has not seen?"""

    def __init__(self, runner: Runner, results: ResultService) -> None:
        self._runner, self._results = runner, results

    def start(self, run_id: str, *, baselines: bool = False, items: int | None = None) -> str:
        """Queues the evaluation of a run and returns the job's id. Raises RunProblem when it has no model yet."""
        self._results.model_folder(run_id)
        spec = {"run": run_id, "baselines": baselines, "items": items}
        return self._runner.submit("evaluate", spec, "Evaluate", parent=run_id)

    def latest(self, run_id: str) -> Job | None:
        """The newest evaluation of a run, however it stands."""
        return next(iter(self._runner.jobs(kind="evaluate", parent=run_id)), None)

    def report(self, job_id: str) -> dict[str, Any]:
        """The report of a completed evaluation, with its answers. Raises RunProblem when there is none."""
        try:
            if self._runner.job(job_id).state is State.COMPLETED:
                return read_json(self._runner.folder(job_id) / REPORT)
        except (OSError, ValueError) as error:
            raise RunProblem("The report of this evaluation can't be read.", str(error), "Evaluate again.") from error
        raise RunProblem("This evaluation has no report.", "It is not completed.", "Evaluate again.")
