"""Training runs: planned, started, followed, repeated, compared, deleted."""

from __future__ import annotations

import shutil
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.advice import diagnose
from backend.errors import ApprenticeError, BadInput, DoesNotFit, OutOfMemory, RunProblem
from backend.models import local
from backend.records.lengths import LengthLimits
from backend.records.specs import RunSpec, TrainSettings
from backend.runs import prepare
from backend.runs.token_rows import sizes, write_rows
from backend.runs.truncate import truncate_run
from backend.settings import Workspace
from backend.training import job as training_job
from backend.training import oom, preconditions
from jobs.records import Job
from jobs.runner import Runner
from ui.records import Compared, Curve, Losses, Origin, Plan, RunLine, Shorter
from ui.services import losses, training_plan
from ui.services import samples as sample_datasets
from ui.services.datasets import DatasetService
from ui.services.models import SIMULATED, ModelService


class RunService:
    """The training runs of a workspace."""

    def __init__(self, workspace: Workspace, runner: Runner, models: ModelService, datasets: DatasetService) -> None:
        self._workspace, self._runner, self._models, self._datasets = workspace, runner, models, datasets
        self._curves: dict[str, Curve] = {}
        self._speeds: dict[str, float | None] = {}
        self._shorter: dict[tuple[str, int], Shorter | None] = {}
        self._lock = threading.Lock()

    def plan(self, data_id: str, model_id: str, settings: TrainSettings) -> Plan:
        """What a training run with these settings would do; waits until the dataset is checked."""
        checked = self._datasets.checked(data_id, model_id, LengthLimits.from_settings(settings))
        entry = self._models.entry(model_id)
        why_not = SIMULATED if self._models.simulated else self._models.why_not_ready(model_id)
        hardware, rates = self._models.hardware(), self._models.rates()
        ahead = training_plan.plan(checked, entry, why_not, settings, hardware, rates)
        if why_not:
            return ahead
        rows = ahead.train_rows, ahead.validation_rows, ahead.longest
        model = self._models.reference(entry.id)
        key = training_job.key(model, settings, checked.original.source.sha256, *rows)
        return training_plan.with_measured(ahead, training_job.recall(self._workspace, key))

    def start(self, data_id: str, model_id: str, settings: TrainSettings, name: str = "") -> str:
        """Queues a run and returns its id.

        Raises MissingPart without the model, BadInput naming the first row at fault, TrainingFailed or NotEnough;
        then nothing starts.
        """
        if self._models.simulated:
            raise BadInput(SIMULATED, "", "Open the page without --hardware to train.")
        model_id = self._models.resolve(model_id)
        model = self._models.reference(model_id)
        tokenizer = local.tokenizer(self._workspace, model_id)
        checked = self._datasets.checked(data_id, model_id, LengthLimits.from_settings(settings))
        if checked.blocked:
            raise BadInput("Training can't begin with these examples.", checked.blocked, "Mend them first.")
        name = name[:100] or training_plan.run_name(checked.name)
        parts = training_plan.parts(checked, settings)
        preconditions.check_chat_template(tokenizer, any(row.messages for row in checked.rows))
        prepared = prepare.prepare_run(checked.rows, checked.original.source, parts, tokenizer, model, settings, name)
        preconditions.before_start(prepared, self._workspace.runs, self._models.entry(model_id).architecture)
        held_out = sample_datasets.held_out_of(checked, parts)

        def write(folder: Path) -> None:
            sample_datasets.write_held_out(folder, held_out)
            prepared.write(folder)

        return self._runner.submit("train", prepared.spec.model_dump(mode="json"), name, prepare=write)

    def resume(self, run_id: str) -> None:
        """Queues a run again. Raises RunProblem in a wrong state, and what `refusals.before_resume` raises."""
        job = self.job(run_id)
        if job.kind == "train" and job.state.can_resume:
            preconditions.before_resume(self.folder(run_id), self.spec(run_id))
        self._runner.resume(run_id)

    def stop(self, run_id: str) -> None:
        """Stops a run. Raises RunProblem when it has ended already."""
        self._runner.stop(run_id)

    def job(self, run_id: str) -> Job:
        """Raises RunProblem when there is no such run."""
        return self._runner.job(run_id)

    def jobs(self) -> list[Job]:
        """The job of every training run, newest first, damaged runs included."""
        return self._runner.jobs(kind="train")

    def unfinished(self) -> list[Job]:
        """The runs that wait or work, newest first."""
        return [job for job in self.jobs() if not job.state.is_terminal]

    def is_training(self) -> bool:
        return any(job.state.is_active for job in self.jobs())

    def is_training_on(self, model_id: str) -> bool:
        """Whether a run that waits or works needs this model."""
        return any(self.is_readable(job.id) and self.spec(job.id).model.id == model_id for job in self.unfinished())

    def folder(self, run_id: str) -> Path:
        return self._runner.folder(run_id)

    def spec(self, run_id: str) -> RunSpec:
        """All that defines a run. Raises RunProblem when it is none of our trainings."""
        return local.read_run(self.folder(run_id))

    def curve(self, run_id: str) -> Curve:
        """The run's steps, evaluations and sample answers so far."""
        with self._lock:
            known = self._curves.get(run_id, Curve())
            news = self._runner.events(run_id, known.position)
            curve = Curve() if news.reset else known
            for logged in news.events:
                curve.add(logged.event)
            curve.position = news.position
            self._curves[run_id] = curve
            return curve

    def curve_position(self, run_id: str) -> int:
        return self.curve(run_id).position

    def queue_position(self, run_id: str) -> int:
        """How many runs go before this one."""
        created = self.job(run_id).created
        return sum(job.created < created for job in self.unfinished())

    def verdict(self, run_id: str) -> Any:
        """What the curve says, in plain words; None while it says nothing yet."""
        curve, spec = self.curve(run_id), self.spec(run_id)
        return diagnose.diagnose(curve.steps, curve.evals, spec.settings, self._expected_speed(run_id, spec))

    def _expected_speed(self, run_id: str, spec: RunSpec) -> float | None:
        """TokenTotals a second that the run should reach at least: measured before it, else computed; None before."""
        if measured := self.curve(run_id).dry_runs:
            return measured[-1].tokens_per_second / training_plan.SPREAD
        if run_id not in self._speeds:
            rates = self._models.rates()
            if rates is None:
                return None
            self._speeds[run_id] = training_plan.expected_speed(spec, self._models.hardware(), rates)
        return self._speeds[run_id]

    def retry(self, run_id: str) -> str:
        """Queues the run again with the one change that its verdict names, on the same rows; gives the new run's id.

        Raises RunProblem when the verdict names none.
        """
        verdict, spec, folder = self.verdict(run_id), self.spec(run_id), self.folder(run_id)
        if verdict is None or not verdict.retry:
            raise RunProblem("There is nothing to change in this run.", "Its curve gives no reason to.", "")
        again = training_plan.repeated(spec, run_id, verdict.retry)

        def write(new: Path) -> None:
            shutil.copytree(folder / "data", new / "data", dirs_exist_ok=True)

        return self._runner.submit("train", again.model_dump(mode="json"), again.name, prepare=write)

    def shorter(self, run_id: str) -> Shorter | None:
        """What shorter examples would mean for a run for which no memory sufficed.

        None where they can't help: it ended for another reason, it was tried already, nothing to learn would be left.
        """
        length = self._shorter_length(run_id)
        if length is None or (run_id, length) in map(self._shorter_of, self.jobs()):
            return None
        if (run_id, length) not in self._shorter:
            self._shorter[run_id, length] = None
            with suppress(ApprenticeError):  # damaged rows are told when they are trained
                rows = truncate_run(self.folder(run_id), self.spec(run_id).settings.changed(max_length=length))
                told = Shorter(length, rows.before, rows.cut, rows.left_out, rows.divided)
                self._shorter[run_id, length] = told if rows.train else None
        return self._shorter[run_id, length]

    def _shorter_length(self, run_id: str) -> int | None:
        """TokenTotals: what was measured to fit, else half of the longest; None where the run did not lack memory."""
        failure = self.job(run_id).failure
        if failure is None or failure.error not in (OutOfMemory.__name__, DoesNotFit.__name__):
            return None
        spec, measured = self.spec(run_id), self.curve(run_id).dry_runs
        fits = measured[-1].max_length if measured else 0
        return fits if 0 < fits < spec.settings.max_length else oom.half(spec.data.longest)

    def _shorter_of(self, job: Job) -> tuple[str, int]:
        """The run that this one repeats, and how long its examples are at most."""
        with suppress(ApprenticeError):
            spec = self.spec(job.id)
            return spec.retry_of, spec.settings.max_length
        return "", 0

    def retry_shorter(self, run_id: str) -> str:
        """Queues the run again with the shorter examples that `shorter` tells of; gives the new run's id.

        Raises RunProblem when it tells of none, TrainingFailed for damaged rows.
        """
        offered, spec, folder = self.shorter(run_id), self.spec(run_id), self.folder(run_id)
        if offered is None:
            raise RunProblem(
                "Shorter examples would not help this run.", "They were tried, or it lacked no memory.", ""
            )
        change = {"max_length": offered.max_length}
        rows = truncate_run(folder, spec.settings.changed(**change))
        again = training_plan.repeated(spec, run_id, change, **sizes(rows.train, rows.validation))

        def write(new: Path) -> None:
            sample_datasets.copy_held_out(folder, new)
            write_rows(new, rows.train, rows.validation)

        return self._runner.submit("train", again.model_dump(mode="json"), again.name, prepare=write)

    def compared(self, run_id: str) -> Compared:
        """A run, with the settings as used, as it is set beside another one."""
        spec = oom.as_used(self.folder(run_id), self.spec(run_id))
        return Compared(spec, self.job(run_id), self.curve(run_id))

    def repeats(self, run_id: str) -> str:
        """The run that this one repeats with a change; "" if none, or if that one is no longer here."""
        first = self.spec(run_id).retry_of
        return first if first and self.is_readable(first) else ""

    def all(self) -> list[RunLine]:
        """Every training, newest first. Of a damaged one there is the name only, to delete it by."""
        return [self._line(job) for job in self.jobs()]

    def _line(self, job: Job) -> RunLine:
        try:
            origin, told = training_plan.origin(job, self.spec(job.id)), losses.of(job, self.curve(job.id))
        except ApprenticeError:
            origin, told = Origin(job.id, job.name, "", "", 0), Losses()
        return RunLine(origin, job.state, job.created, told)

    def origin(self, run_id: str) -> Origin:
        """What a run began with, in names for people."""
        return training_plan.origin(self.job(run_id), self.spec(run_id))

    def losses(self, job: Job) -> dict[str, Any]:
        """first_eval_loss, eval_loss and eval_step of a run in any state; of a damaged one what it ended with."""
        try:
            curve = self.curve(job.id)
        except ApprenticeError:
            curve = Curve()
        return training_plan.losses(job, curve)

    def delete(self, run_id: str) -> None:
        """Deletes a run and what was made from it. See `App.delete_run`."""
        self._runner.delete(run_id)

    def is_readable(self, run_id: str) -> bool:
        """Whether there is such a run, undamaged."""
        try:
            self.job(run_id)
            self.spec(run_id)
        except ApprenticeError:
            return False
        return True

    def state(self, run_id: str) -> str:
        """The state's name; "" when there is no such run."""
        try:
            return self.job(run_id).state.value if run_id else ""
        except ApprenticeError:
            return ""
