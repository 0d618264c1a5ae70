"""Training runs: followed, listed, resumed, deleted."""

import math
import threading
import time
from contextlib import suppress

from backend.advice import diagnose
from backend.advice.diagnose import Verdict
from backend.errors import ApprenticeError, RunProblem, WorkspaceProblem
from backend.hosting.policy import HOME, Policy
from backend.models import catalogue, local
from backend.records.specs import RunSpec
from backend.runs import about, division
from backend.runs.about import About
from backend.settings import Workspace
from backend.training import oom, preconditions
from jobs.fair_queue import FairQueue
from jobs.records import Job
from jobs.runner import Runner
from ui.records.runs import Curve, Losses, RunDetails, RunInfo, RunSummary
from ui.services.machine.models import ModelService
from ui.services.training import training_plan
from ui.text import losses

STOPPING = 1.0  # seconds that a deletion waits for an evaluation to stop


class RunService:
    """The training runs of a workspace. queue: of a visitor of a demo, the queue that
    all visitors share.
    """

    def __init__(
        self,
        workspace: Workspace,
        runner: Runner,
        models: ModelService,
        policy: Policy = HOME,
        queue: FairQueue | None = None,
    ) -> None:
        self._policy, self._queue = policy, queue
        self._workspace, self._runner, self._models = workspace, runner, models
        self.folder = runner.folder
        self._curves: dict[str, Curve] = {}
        self._held_out: dict[str, str] = {}
        self._lock = threading.Lock()

    # Changing

    def resume(self, run_id: str) -> None:
        """Queues a run again. Raises RunProblem in a wrong state, and what
        `preconditions.before_resume` raises.
        """
        job = self.job(run_id)
        if job.kind == "train" and job.state.can_resume:
            preconditions.before_resume(self.folder(run_id), self.spec(run_id))
        self._runner.resume(run_id)

    def delete(self, run_id: str) -> None:
        """Deletes a run with its exports and evaluations, of which one in progress is
        stopped. See `App.delete_run`. Raises RunProblem when that takes long, and while
        the run itself is queued or active.
        """
        with suppress(
            WorkspaceProblem
        ):  # a damaged run has no state; it can be deleted all the same
            if self.job(run_id).state.is_terminal:
                self._stop_evaluations(run_id)
        self._runner.delete(run_id)

    def _stop_evaluations(self, run_id: str) -> None:
        self._runner.stop_unfinished("evaluate", run_id)
        deadline = time.monotonic() + STOPPING
        while any(
            not job.state.is_terminal
            for job in self._runner.jobs(kind="evaluate", parent=run_id)
        ):
            if time.monotonic() > deadline:
                raise RunProblem(
                    "This run can't be deleted yet.",
                    "Its answers are still being checked.",
                    "The check is being cancelled. Try again in a moment.",
                )
            time.sleep(0.05)

    # Looking

    def job(self, run_id: str) -> Job:
        """The job under the name that the person gave it last. Raises RunProblem when
        there is no such run.
        """
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

    def queue_position(self, run_id: str) -> int:
        """The number of runs that go before this one."""
        if self._queue:
            return self._queue.ahead(run_id)
        job = self.job(run_id)
        return sum(
            (other.queued, other.id) < (job.queued, job.id)
            for other in self.unfinished()
        )

    def longest_wait(self, run_id: str) -> float | None:
        """Seconds until this run starts if those before it take as long as they may;
        None without a limit.
        """
        longest = self._policy.limits.training
        return self.queue_position(run_id) * longest if math.isfinite(longest) else None

    def spec(self, run_id: str) -> RunSpec:
        """Everything that defines a run. Raises RunProblem when it is damaged or not a
        training run.
        """
        return local.read_run(self.folder(run_id))

    def is_readable(self, run_id: str) -> bool:
        """Whether the run exists and is not damaged."""
        with suppress(ApprenticeError):
            return bool(self.job(run_id) and self.spec(run_id))
        return False

    def state(self, run_id: str) -> str:
        """The name of the run's state; "" when there is no such run."""
        with suppress(ApprenticeError):
            return self.job(run_id).state.value if run_id else ""
        return ""

    def info(self, run_id: str) -> RunInfo:
        job, spec = self.job(run_id), self.spec(run_id)
        model_name = (
            spec.model.path.name if local.is_local(spec.model.id) else spec.model.id
        )
        with suppress(ApprenticeError):  # the catalogue does not have it
            model_name = catalogue.find(spec.model.id).name
        about = job.id, job.name, model_name, spec.data.name, spec.data.train_rows
        return RunInfo(*about, spec.descent, job.ended or 0.0)

    def details(self, run_id: str) -> RunDetails:
        """A run with the settings it actually used, which may need less memory than the
        planned ones.
        """
        spec = oom.spec_used(self.folder(run_id), self.spec(run_id))
        if run_id not in self._held_out:
            self._held_out[run_id] = division.held_out_digest(self.folder(run_id))
        return RunDetails(
            spec, self.job(run_id), self.curve(run_id), self._held_out[run_id]
        )

    def all(self) -> list[RunSummary]:
        """Every run, newest first. A damaged one has only a name."""
        summaries = []
        for job in self.jobs():
            try:
                info = self.info(job.id)
            except ApprenticeError:
                info = RunInfo(job.id, job.name, "", "", 0)
            note, divided = self._about(job.id).note, self.is_divided(job.id)
            summaries.append(
                RunSummary(
                    info, job.state, job.created, self.losses(job), note, divided
                )
            )
        return summaries

    def is_divided(self, run_id: str) -> bool:
        """Whether the run recorded how its rows were divided, without which it can have
        no next version.
        """
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

    def losses(self, job: Job) -> Losses:
        """A run's losses in any state; of a damaged run, those of its result."""
        try:
            curve, chooses = (
                self.curve(job.id),
                self.spec(job.id).data.validation_chooses,
            )
        except ApprenticeError:
            curve, chooses = Curve(), True
        return losses.compute(job, curve, chooses)

    def verdict(self, run_id: str) -> Verdict | None:
        """The verdict on the run from its curve; None while there is none yet."""
        curve, spec = self.curve(run_id), self.spec(run_id)
        return diagnose.diagnose(
            curve.steps, curve.evals, spec.settings, self._expected_speed(run_id, spec)
        )

    def _expected_speed(self, run_id: str, spec: RunSpec) -> float | None:
        """The least tokens per second to expect: measured in the dry run, else
        computed; None when unknown.
        """
        if measured := self.curve(run_id).dry_runs:
            return measured[-1].tokens_per_second / training_plan.SPREAD
        rates = self._models.rates()
        return (
            training_plan.expected_speed(spec, self._models.hardware(), rates)
            if rates
            else None
        )
