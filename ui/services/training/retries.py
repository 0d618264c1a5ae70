"""Runs again with the one change that a verdict suggests; and what to plan after running out of memory."""

import shutil
from pathlib import Path
from typing import Any

from backend.errors import DoesNotFit, OutOfMemory, RunProblem
from backend.records.evaluation import EvaluationReport
from backend.records.specs import RunSpec
from backend.runs import own_answers
from backend.training import oom
from jobs.runner import Runner
from ui.services.training.runs import RunService
from ui.services.training.versions import next_number
from ui.text import format as fmt


class RetryService:
    """Retries of the runs of a workspace. A retry is a new run that names the first one in its spec."""

    def __init__(self, runner: Runner, runs: RunService) -> None:
        self._runner, self._runs = runner, runs

    def first_run(self, run_id: str) -> str:
        """The run that this one retries; "" if none, or if that one no longer exists."""
        first = self._runs.spec(run_id).retry_of
        return first if first and self._runs.is_readable(first) else ""

    def retry(self, run_id: str) -> str:
        """Queues the run again on the same rows with the change that its verdict suggests; returns the new run's id.
        Raises RunProblem when it suggests none."""
        verdict = self._runs.verdict(run_id)
        if verdict is None or not verdict.retry:
            raise RunProblem("There is nothing to change in this run.", "Its curve shows no problem.", "")
        return self._again(run_id, verdict.retry)

    def retry_evaluated(self, run_id: str, report: EvaluationReport | None) -> str:
        """As `retry`, with the change that the report of its evaluation suggests. Raises RunProblem without one."""
        change = report.retry if report else {}
        if not change:
            raise RunProblem("There is nothing to change in this run.", "Its answers show no problem.", "")
        return self._again(run_id, change)

    def _again(self, run_id: str, change: dict[str, Any]) -> str:
        spec, folder = self._spec(run_id), self._runs.folder(run_id)
        again = _changed(spec, run_id, change)

        def write(new: Path) -> None:
            others = shutil.ignore_patterns(own_answers.FILE)  # which may be a stranger's, where the run was imported
            shutil.copytree(folder / "data", new / "data", dirs_exist_ok=True, ignore=others)

        return self._runner.submit("train", again.model_dump(mode="json"), again.name, prepare=write)

    def _spec(self, run_id: str) -> RunSpec:
        """The spec for a repetition: that of a later version becomes the next one."""
        spec = self._runs.spec(run_id)
        if spec.descent is None:
            return spec
        number = next_number(self._runs, spec.descent.first)
        return spec.model_copy(update={"descent": spec.descent.model_copy(update={"version": number})})

    def shorter_length(self, run_id: str) -> int | None:
        """The length (tokens) to which examples may be cut after a run ran out of memory: the one that was measured to
        fit, else half of the longest. None when memory was not the problem, or that would be too short."""
        failure = self._runs.job(run_id).failure
        if failure is None or failure.error not in (OutOfMemory.__name__, DoesNotFit.__name__):
            return None
        spec, measured = self._runs.spec(run_id), self._runs.curve(run_id).dry_runs
        fits = measured[-1].max_length if measured else 0
        return fits if 0 < fits < spec.settings.max_length else oom.half_length(spec.data.longest)


def _changed(spec: RunSpec, run_id: str, change: dict[str, Any]) -> RunSpec:
    """The spec of a retry, named after the first run and the change."""
    settings = spec.settings.changed(**change)
    terms = {name: setting.term for name, setting in settings.facts().items()}
    changed = ", ".join(f"{terms[name]} {fmt.setting(getattr(settings, name))}" for name in change)
    first = spec.name.partition(" (")[0] if spec.retry_of else spec.name
    name = f"{first[:60]} ({changed})"
    return spec.model_copy(update={"settings": settings, "name": name, "retry_of": run_id})
