"""Training runs: planned, started, followed, listed, deleted."""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backend.advice import diagnose
from backend.advice.diagnose import Verdict
from backend.datasets.dataset import CheckedDataset
from backend.datasets.split import NO_ROLES, Roles
from backend.errors import ApprenticeError, BadInput, RunProblem, WorkspaceProblem
from backend.hosting.policy import HOME, Policy
from backend.models import catalogue, local
from backend.records.lengths import LengthLimits
from backend.records.specs import RunSpec, TrainSettings
from backend.runs import about, division, prepare
from backend.runs.about import LONGEST_NAME, About
from backend.runs.next_version import NextVersion
from backend.settings import Workspace
from backend.training import measured as measurements
from backend.training import oom, preconditions
from jobs.fair_queue import FairQueue
from jobs.records import Job
from jobs.runner import Runner
from ui.records.runs import Curve, Losses, Plan, RunDetails, RunInfo, RunSummary
from ui.services import losses, samples, training_plan
from ui.services.admission import require_rows
from ui.services.datasets import DatasetService
from ui.services.gpu_calls import GpuTime, VisitorsGpu
from ui.services.models import SIMULATED, ModelService

OPEN_HERE = "Open the page without --hardware to train."
STOPPING = 1.0  # seconds that a deletion waits for an evaluation to stop


class RunService:
    """The training runs of a workspace. queue: of a visitor of a demo, the queue that all visitors share. gpu:
    of such a visitor, where trainings run in calls of a GPU."""

    def __init__(
        self,
        workspace: Workspace,
        runner: Runner,
        models: ModelService,
        datasets: DatasetService,
        policy: Policy = HOME,
        queue: FairQueue | None = None,
        gpu: VisitorsGpu | None = None,
    ) -> None:
        self._policy, self._queue, self._gpu = policy, queue, gpu
        self._workspace, self._runner, self._models, self._datasets = workspace, runner, models, datasets
        self._curves: dict[str, Curve] = {}
        self._speeds: dict[str, float | None] = {}
        self._held_out: dict[str, str] = {}
        self._sides: tuple[str, CheckedDataset, Roles] | None = None  # the last computed, with what it is for
        self._lock = threading.Lock()

    # Starting

    def plan(self, data_id: str, model_id: str, settings: TrainSettings, version: NextVersion | None = None) -> Plan:
        """What a training run with these settings would do; waits until the dataset is checked. version: as for
        `start`."""
        checked = self._datasets.checked(data_id, model_id, LengthLimits.from_settings(settings))
        entry = self._models.entry(model_id)
        why_not = SIMULATED if self._models.simulated else self._models.why_not_ready(model_id)
        why_not = why_not or self._models.probe().blocked
        hardware, rates = self._models.hardware(), self._models.rates()
        split = checked.split_at(settings.validation_fraction, settings.seed, self._roles(checked, version))
        plan = training_plan.plan(checked, split, entry, why_not, settings, hardware, rates)
        if version:
            judging = len(self._roles(checked, version).judging.intersection(split.judging))  # corrected rows train
            plan = replace(plan, changes=division.changes(checked.rows, version.before, judging))
        if why_not:
            return plan
        rows = plan.train_rows, plan.validation_rows, plan.longest
        model = self._models.reference(entry.id)
        plan = training_plan.with_export_note(plan, model.path)
        key = measurements.key(model, settings, checked.original.source.sha256, *rows)
        return training_plan.with_measured(plan, measurements.find(self._workspace, key))

    def _roles(self, checked: CheckedDataset, version: NextVersion | None) -> Roles:
        """The sides that rows of the version before keep; the last are not computed again."""
        if version is None:
            return NO_ROLES
        known = self._sides
        if known is None or known[0] != version.parent or known[1] is not checked:
            known = self._sides = version.parent, checked, version.roles(checked.rows)
        return known[2]

    def start(
        self,
        data_id: str,
        model_id: str,
        settings: TrainSettings,
        name: str = "",
        *,
        evaluate: bool = True,
        version: NextVersion | None = None,
    ) -> str:
        """Queues a run and returns its id. evaluate: its evaluation follows automatically, if that is quick.

        version: the run is the next version of another one; see `VersionService.why_not_continue`.
        Raises MissingPart without the model, UnusableGpu, BadInput naming the first faulty row, TrainingFailed or
        NotEnough; then nothing starts.
        """
        if self._models.simulated:
            raise BadInput(SIMULATED, "", OPEN_HERE)
        self._models.probe().require_training()
        model_id = self._models.resolve(model_id)
        model = self._models.reference(model_id)
        tokenizer = local.tokenizer(self._workspace, model_id)
        require_rows(self._policy.limits, len(self._datasets.checked(data_id, model_id).rows))
        checked = self._datasets.checked(data_id, model_id, LengthLimits.from_settings(settings))
        if checked.blocked:
            raise BadInput("Training can't start with these examples.", checked.blocked, "Fix this first.")
        name = name[:LONGEST_NAME] or (self.job(version.parent).name if version else default_name(checked.name))
        split = checked.split_at(settings.validation_fraction, settings.seed, self._roles(checked, version))
        descent = version.descent() if version else None
        preconditions.check_chat_template(tokenizer, any(row.messages for row in checked.rows))
        source = checked.original.source
        prepared = prepare.prepare_run(checked.rows, source, split, tokenizer, model, settings, name, data_id)
        preconditions.before_start(prepared, self._workspace.runs, self._models.entry(model_id).architecture)

        def write(folder: Path) -> None:
            samples.write_examples(folder, checked, split, pairs=settings.trainer == "dpo")
            if version and descent:
                version.write(folder, descent, checked.rows, split)
            else:
                division.write(folder, division.divided(checked.rows, split))
            prepared.write(folder)

        spec = prepared.spec.model_copy(update={"evaluate": evaluate, "descent": descent})
        return self._runner.submit("train", spec.model_dump(mode="json"), name, prepare=write)

    def resume(self, run_id: str) -> None:
        """Queues a run again. Raises RunProblem in a wrong state, and what `preconditions.before_resume` raises."""
        job = self.job(run_id)
        if job.kind == "train" and job.state.can_resume:
            preconditions.before_resume(self.folder(run_id), self.spec(run_id))
        self._runner.resume(run_id)

    def stop(self, run_id: str) -> None:
        """Stops a run. Raises RunProblem when it has ended already."""
        self._runner.stop(run_id)

    def delete(self, run_id: str) -> None:
        """Deletes a run with its exports and evaluations, of which one in progress is stopped. See `App.delete_run`.

        Raises RunProblem when that takes long, and while the run itself is queued or active.
        """
        with suppress(WorkspaceProblem):  # a damaged run has no state; it can be deleted all the same
            if self.job(run_id).state.is_terminal:
                self._stop_evaluations(run_id)
        self._runner.delete(run_id)

    def _stop_evaluations(self, run_id: str) -> None:
        def unfinished() -> list[Job]:
            jobs = self._runner.jobs(kind="evaluate", parent=run_id)
            return [job for job in jobs if not job.state.is_terminal]

        for job in unfinished():
            with suppress(RunProblem):  # it has just ended by itself
                self._runner.stop(job.id)
        deadline = time.monotonic() + STOPPING
        while unfinished():
            if time.monotonic() > deadline:
                raise RunProblem(
                    "This run can't be deleted yet.",
                    "Its answers are still being checked.",
                    "The check is being cancelled. Try again in a moment.",
                )
            time.sleep(0.05)

    # Looking

    def job(self, run_id: str) -> Job:
        """The job under the name that the person gave it last. Raises RunProblem when there is no such run."""
        return self._named(self._runner.job(run_id))

    def jobs(self) -> list[Job]:
        """The job of every training run, newest first."""
        return [self._named(job) for job in self._runner.jobs(kind="train")]

    def _named(self, job: Job) -> Job:
        name = self._about(job.id).name
        return job.model_copy(update={"name": name}) if name else job

    def _about(self, run_id: str) -> About:
        return about.read(self._workspace.run_folder(run_id))

    def unfinished(self) -> list[Job]:
        """The runs that wait or train, newest first."""
        return [job for job in self.jobs() if not job.state.is_terminal]

    def is_training(self) -> bool:
        if self._queue:
            return self._queue.length() > 0  # of any visitor: they share the processor
        return any(job.state.is_active for job in self.jobs())

    def is_training_on(self, model_id: str) -> bool:
        """Whether a run that waits or trains needs this model."""
        return any(self.is_readable(job.id) and self.spec(job.id).model.id == model_id for job in self.unfinished())

    def queue_position(self, run_id: str) -> int:
        """The number of runs that go before this one."""
        if self._queue:
            return self._queue.ahead(run_id)
        job = self.job(run_id)
        return sum((other.queued, other.id) < (job.queued, job.id) for other in self.unfinished())

    def longest_wait(self, run_id: str) -> float | None:
        """Seconds until this run starts if those before it take as long as they may; None without a limit."""
        longest = self._policy.limits.training
        return self.queue_position(run_id) * longest if math.isfinite(longest) else None

    def gpu_time(self) -> GpuTime | None:
        """What this visitor used of the GPU; None where trainings don't run in calls of one."""
        return self._gpu.time() if self._gpu else None

    def folder(self, run_id: str) -> Path:
        return self._runner.folder(run_id)

    def spec(self, run_id: str) -> RunSpec:
        """Everything that defines a run. Raises RunProblem when it is damaged or not a training run."""
        return local.read_run(self.folder(run_id))

    def is_readable(self, run_id: str) -> bool:
        """Whether the run exists and is not damaged."""
        try:
            self.job(run_id)
            self.spec(run_id)
        except ApprenticeError:
            return False
        return True

    def state(self, run_id: str) -> str:
        """The name of the run's state; "" when there is no such run."""
        try:
            return self.job(run_id).state.value if run_id else ""
        except ApprenticeError:
            return ""

    def info(self, run_id: str) -> RunInfo:
        job, spec = self.job(run_id), self.spec(run_id)
        return RunInfo(job.id, job.name, _model_name(spec.model.id), spec.data.name, spec.data.train_rows)

    def details(self, run_id: str) -> RunDetails:
        """A run with the settings it actually used, which may need less memory than the planned ones."""
        spec = oom.spec_used(self.folder(run_id), self.spec(run_id))
        if run_id not in self._held_out:
            self._held_out[run_id] = division.held_out_digest(self.folder(run_id))
        return RunDetails(spec, self.job(run_id), self.curve(run_id), self._held_out[run_id])

    def all(self) -> list[RunSummary]:
        """Every run, newest first. A damaged one has only a name."""
        return [self._summary(job) for job in self.jobs()]

    def damaged(self) -> list[str]:
        """The folders of runs, exports and other jobs that can only be deleted, because their files are damaged."""
        return self._runner.damaged()

    def _summary(self, job: Job) -> RunSummary:
        descent = None
        try:
            info, descent = self.info(job.id), self.spec(job.id).descent
        except ApprenticeError:
            info = RunInfo(job.id, job.name, "", "", 0)
        note, divided = self._about(job.id).note, self.is_divided(job.id)
        return RunSummary(info, job.state, job.created, self.losses(job), descent, note, divided)

    def is_divided(self, run_id: str) -> bool:
        """Whether the run recorded how its rows were divided, without which it can have no next version."""
        return division.exists(self.folder(run_id))

    def note(self, run_id: str) -> str:
        """The person's note about a run."""
        return self._about(self.job(run_id).id).note

    # Its curve

    def curve(self, run_id: str) -> Curve:
        """The run's events so far."""
        with self._lock:
            before = self._curves.get(run_id, Curve())
            news = self._runner.events(run_id, before.position)
            curve = Curve() if news.reset else before
            for logged in news.events:
                curve.add(logged.event)
            curve.position = news.position
            self._curves[run_id] = curve
            return curve

    def curve_position(self, run_id: str) -> int:
        return self.curve(run_id).position

    def losses(self, job: Job) -> Losses:
        """A run's losses in any state; of a damaged run, those of its result."""
        try:
            curve, chooses = self.curve(job.id), self.spec(job.id).data.validation_chooses
        except ApprenticeError:
            curve, chooses = Curve(), True
        return losses.compute(job, curve, chooses)

    def verdict(self, run_id: str) -> Verdict | None:
        """What the curve says about the run; None while it says nothing yet."""
        curve, spec = self.curve(run_id), self.spec(run_id)
        return diagnose.diagnose(curve.steps, curve.evals, spec.settings, self._expected_speed(run_id, spec))

    def _expected_speed(self, run_id: str, spec: RunSpec) -> float | None:
        """The least tokens per second to expect: measured in the dry run, else computed; None when unknown."""
        if measured := self.curve(run_id).dry_runs:
            return measured[-1].tokens_per_second / training_plan.SPREAD
        if run_id not in self._speeds:
            rates = self._models.rates()
            if rates is None:
                return None
            self._speeds[run_id] = training_plan.expected_speed(spec, self._models.hardware(), rates)
        return self._speeds[run_id]


def default_name(data_name: str) -> str:
    """The name of a run that the person did not name."""
    return Path(data_name).stem.replace("_", " ").capitalize()[:60] or "My model"


def _model_name(model_id: str) -> str:
    """The model's display name; its id when the catalogue does not have it."""
    try:
        return catalogue.find(model_id).name
    except ApprenticeError:
        return model_id
