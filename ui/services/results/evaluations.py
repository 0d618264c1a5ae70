"""Evaluations of trained models: started, followed, read."""

from functools import partial

from backend.evaluation.facts import write_facts
from backend.evaluation.items import judging_items, judging_texts
from backend.records.evaluation import EvaluationReport, EvaluationSummary
from jobs.records import Job, State
from jobs.runner import Runner
from ui.services.results import evaluated
from ui.services.results.trained_models import ResultService


class EvaluationService:
    """Is a trained model any good, on the examples that it has not seen?"""

    def __init__(self, runner: Runner, results: ResultService) -> None:
        self._runner, self._results = runner, results
        self._questions: dict[str, tuple[int, bool]] = {}

    def judging(self, run_id: str) -> tuple[int, bool]:
        """The number of questions or texts that judge a run, and whether they are
        texts, for which there are no prompts; they never change. Raises RunProblem for
        damaged files.
        """
        if run_id not in self._questions:
            folder = self._runner.folder(run_id)
            items, texts = judging_items(folder), judging_texts(folder)
            self._questions[run_id] = len(items or texts), bool(texts and not items)
        return self._questions[run_id]

    def start(
        self,
        run_id: str,
        *,
        baselines: bool = False,
        items: int | None = None,
        facts: str = "",
    ) -> str:
        """Queues the evaluation of a run and returns the job's id. Raises RunProblem
        when the run has no model yet, BadInput for facts that can't be used.

        baselines: also try prompts and examples with the base model
        items: how many questions at most; None for all
        facts: a text to compare with, "" for none
        """
        self._results.model_folder(run_id)
        spec = {"run": run_id, "baselines": baselines, "items": items}
        prepare = partial(write_facts, text=facts) if facts.strip() else None
        return self._runner.submit(
            "evaluate", spec, "Evaluate", parent=run_id, prepare=prepare
        )

    def latest(self, run_id: str) -> Job | None:
        """The newest evaluation of a run, however it stands."""
        return next(iter(self._runner.jobs(kind="evaluate", parent=run_id)), None)

    def latest_report(self, run_id: str) -> EvaluationReport | None:
        """The report of the newest completed evaluation of a run. Raises RunProblem
        when it can't be read.
        """
        jobs = self._runner.jobs(kind="evaluate", parent=run_id)
        return next(
            (self.report(job.id) for job in jobs if job.state is State.COMPLETED), None
        )

    def summaries(self) -> dict[str, EvaluationSummary]:
        """Each run's newest completed evaluation, by run; those of an older format are
        skipped.
        """
        oldest_first = reversed(self._runner.jobs(kind="evaluate"))
        completed = {
            job.parent: job
            for job in oldest_first
            if job.parent and job.state is State.COMPLETED
        }
        summaries = {
            run_id: job.result_as(EvaluationSummary)
            for run_id, job in completed.items()
        }
        return {run_id: summary for run_id, summary in summaries.items() if summary}

    def report(self, job_id: str) -> EvaluationReport:
        """The report of a completed evaluation, with its answers. Raises RunProblem
        when there is none.
        """
        name = "The report of this evaluation"
        return evaluated.read_report(
            self._runner, job_id, EvaluationReport, name, "Check it again."
        )
