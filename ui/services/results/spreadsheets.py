"""Spreadsheets answered by a trained model: read, queued, stopped, continued, deleted."""

import shutil
from pathlib import Path

from backend.datasets.read.table import Table, read_table
from backend.errors import BadInput, WorkspaceProblem
from backend.export.answers import MOST_ROWS, AnswersSpec, table_file
from backend.files.manifest import digest
from backend.hosting.policy import Feature, Policy
from backend.records.exports import AnsweredTable
from backend.settings import child_path
from jobs.records import State
from jobs.runner import Runner
from ui.records.share import AnsweredSpreadsheet
from ui.services.results.trained_models import ResultService


class SpreadsheetService:
    """Answers spreadsheets in jobs, one after the other."""

    def __init__(
        self, exports: Path, runner: Runner, results: ResultService, policy: Policy
    ) -> None:
        self._exports, self._runner, self._results, self._policy = (
            exports,
            runner,
            results,
            policy,
        )

    def read(self, path: Path, name: str) -> Table:
        """A spreadsheet as it would be answered. Raises BadInput, NotInDemo."""
        self._policy.require(Feature.ANSWER_TABLE)
        return read_table(path, name, MOST_ROWS)

    def start(self, run_id: str, path: Path, name: str, column: str) -> str:
        """Queues a copy of a spreadsheet, whose `column` has the questions, and returns
        the job's id; the same one that was stopped before continues. Raises BadInput
        for a column that is not there, RunProblem before the run has a model,
        NotInDemo.
        """
        table = self.read(path, name)
        if column not in table.columns:
            listed = ", ".join(table.columns)[:300]
            raise BadInput(
                f"There is no column {column[:60]!r}.",
                f"The columns are: {listed}.",
                "Choose one.",
            )
        self._results.model_folder(run_id)
        title, content = f"{name}: {column}", digest(path)
        for job in self._runner.jobs(kind="answer", parent=run_id):
            if not job.state.can_resume or job.name != title:
                continue
            if digest(table_file(self._runner.folder(job.id))) == content:
                self._runner.resume(job.id)
                return job.id

        def prepare(folder: Path) -> None:
            table_file(folder).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, table_file(folder))

        spec = AnswersSpec(run=run_id, column=column, name=name).model_dump()
        return self._runner.submit(
            "answer", spec, title, parent=run_id, prepare=prepare
        )

    def resume(self, job_id: str) -> None:
        """Continues a spreadsheet where it stopped. Raises RunProblem in a wrong state,
        NotInDemo.
        """
        self._policy.require(Feature.ANSWER_TABLE)
        self._runner.resume(job_id)

    def all(self, run_id: str) -> list[AnsweredSpreadsheet]:
        """The spreadsheets of a run, newest first."""
        return [
            self.find(job.id) for job in self._runner.jobs(kind="answer", parent=run_id)
        ]

    def find(self, job_id: str) -> AnsweredSpreadsheet:
        """A spreadsheet as it is now. Raises RunProblem for an unknown one."""
        job = self._runner.job(job_id)
        result, file = job.result_as(AnsweredTable) or AnsweredTable(), None
        try:
            file = (
                child_path(self._exports / job.id, result.file) if result.file else None
            )
        except WorkspaceProblem:  # damaged
            result = AnsweredTable()
        there = (
            file if file and job.state is State.COMPLETED and file.is_file() else None
        )
        return AnsweredSpreadsheet(job, result, there)
