"""Runs again with one change: the one that the verdict suggests, or shorter examples after running out of memory."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.errors import ApprenticeError, DoesNotFit, OutOfMemory, RunProblem
from backend.records.evaluation import EvaluationReport
from backend.records.specs import RunSpec
from backend.runs import division, own_answers, start
from backend.runs.conversations import copy_conversations
from backend.runs.token_rows import sizes, write_rows
from backend.runs.truncate import truncate_run
from backend.training import oom
from jobs.runner import Runner
from ui.records.runs import Shortening
from ui.services.training.runs import RunService
from ui.services.training.versions import next_number
from ui.text import format as fmt


class RetryService:
    """Retries of the runs of a workspace. A retry is a new run that names the first one in its spec."""

    def __init__(self, runner: Runner, runs: RunService) -> None:
        self._runner, self._runs = runner, runs
        self._cuts: dict[tuple[str, int], Shortening | None] = {}

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

    def shortening(self, run_id: str) -> Shortening | None:
        """The effect of shorter examples on a run that ran out of memory. None when they can't help: it ended for
        another reason, they were tried, or no example would be left."""
        length = self._shorter_length(run_id)
        if length is None:
            return None
        for job in self._runs.jobs():
            with suppress(ApprenticeError):
                spec = self._runs.spec(job.id)
                if (spec.retry_of, spec.settings.max_length) == (run_id, length):
                    return None
        if (run_id, length) not in self._cuts:
            self._cuts[run_id, length] = None
            with suppress(ApprenticeError):  # damaged rows are reported when they are trained on
                settings = self._runs.spec(run_id).settings.changed(max_length=length)
                rows = truncate_run(self._runs.folder(run_id), settings)
                if rows.train:
                    counts = rows.before, rows.cut, rows.left_out, rows.divided
                    self._cuts[run_id, length] = Shortening(length, *counts)
        return self._cuts[run_id, length]

    def _shorter_length(self, run_id: str) -> int | None:
        """The tokens that were measured to fit, else half of the longest; None when memory was not the problem."""
        failure = self._runs.job(run_id).failure
        if failure is None or failure.error not in (OutOfMemory.__name__, DoesNotFit.__name__):
            return None
        spec, measured = self._runs.spec(run_id), self._runs.curve(run_id).dry_runs
        fits = measured[-1].max_length if measured else 0
        return fits if 0 < fits < spec.settings.max_length else oom.half_length(spec.data.longest)

    def retry_shortened(self, run_id: str) -> str:
        """Queues the run again with the shorter examples of `shortening`; returns the new run's id. Raises RunProblem
        when they can't help, TrainingFailed for damaged rows."""
        offer, spec, folder = self.shortening(run_id), self._spec(run_id), self._runs.folder(run_id)
        if offer is None:
            why = "They were tried, or memory was not the problem."
            raise RunProblem("Shorter examples would not help this run.", why, "")
        change = {"max_length": offer.max_length}
        rows = truncate_run(folder, spec.settings.changed(**change))
        again = _changed(spec, run_id, change, **sizes(rows.train, rows.validation))

        def write(new: Path) -> None:
            copy_conversations(folder, new)
            division.copy(folder, new)
            start.copy_again(folder, new)
            write_rows(new, rows.train, rows.validation)

        return self._runner.submit("train", again.model_dump(mode="json"), again.name, prepare=write)


def _changed(spec: RunSpec, run_id: str, change: dict[str, Any], **data: int) -> RunSpec:
    """The spec of a retry, named after the first run and the change. data: changed fields of its `DataRef`."""
    settings = spec.settings.changed(**change)
    terms = {name: setting.term for name, setting in settings.facts().items()}
    changed = ", ".join(f"{terms[name]} {fmt.setting(getattr(settings, name))}" for name in change)
    first = spec.name.partition(" (")[0] if spec.retry_of else spec.name
    name, rows = f"{first[:60]} ({changed})", spec.data.model_copy(update=data)
    return spec.model_copy(update={"settings": settings, "name": name, "retry_of": run_id, "data": rows})
