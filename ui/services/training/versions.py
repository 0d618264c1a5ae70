"""Versions of a model: train again from one, rename them, and note something about
them; and runs again with the one change that a verdict suggests.
"""

import shutil
from pathlib import Path

from backend.advice.diagnose import Verdict
from backend.advice.settings import ChosenSettings
from backend.errors import BadInput, DoesNotFit, OutOfMemory, RunProblem
from backend.files.disk_errors import disk_words
from backend.records.evaluation import EvaluationReport
from backend.records.specs import TrainSettings
from backend.runs import about, division, own_answers, start
from backend.runs.division import NextVersion
from backend.training import oom
from jobs.runner import Runner
from ui.services.data.datasets import DatasetService
from ui.services.machine.models import ModelService
from ui.services.results.trained_models import ResultService
from ui.services.training.runs import RunService
from ui.text import format as fmt

CONTINUED_EPOCHS = 3  # at most, recommended for a run that continues another one
AS_BEFORE = "Same as in the version it continues; it can't be changed."
CONTINUE_GENTLY = (
    "This version already knows most of your examples: a few passes at half the usual "
    "learning rate teach it what is new without undoing the rest. (our choice, not "
    "measured)"
)


class VersionService:
    """Each version is a run of its own, which names the one before in its spec."""

    def __init__(
        self,
        runner: Runner,
        models: ModelService,
        datasets: DatasetService,
        runs: RunService,
        results: ResultService,
    ) -> None:
        self._runner, self._models, self._datasets = runner, models, datasets
        self._runs, self._results = runs, results

    # The next one

    def next(self, run_id: str, *, from_base: bool = False) -> NextVersion:
        """The version after a run. Raises RunProblem when the run has no model, or its
        rows can't be read.
        """
        weights, folder = self._results.model_folder(run_id), self._runs.folder(run_id)
        first = self._runs.info(run_id).first
        try:
            before = tuple(division.read(folder))
        except (OSError, ValueError) as error:
            raise RunProblem(
                "There can be no next version of this run.",
                "The file that lists its examples can't be read.",
                "Train a new model from your examples.",
            ) from error
        return NextVersion(
            first,
            run_id,
            self._next_number(first),
            folder,
            None if from_base else weights,
            before,
        )

    def data_id(self, run_id: str) -> str:
        """The dataset of a run. Raises RunProblem when it was deleted."""
        data_id = self._runs.spec(run_id).data.data_id
        if not data_id or not self._datasets.exists(data_id):
            raise RunProblem(
                "The examples of this run are no longer here.",
                "They were deleted from step 2.",
                "Add them again, then train the next version.",
            )
        return data_id

    def why_not_continue(
        self, run_id: str, model_id: str, settings: TrainSettings
    ) -> str:
        """Why a run with this model and these settings can't continue another one, ""
        when it can.
        """
        spec = self._runs.spec(run_id)
        if self._models.resolve(model_id) != spec.model.id:
            return f"It learned on top of another base model, {self._models.entry(spec.model.id).name}."
        if spec.variant:
            return f"It was trained with {spec.variant}, and a new version trains plain LoRA."
        differing = start.differing(spec.settings, settings)
        if "method" in differing:
            before, now = (
                fmt.METHODS[spec.settings.method][1],
                fmt.METHODS[settings.method][1],
            )
            return f"That version was trained with {before}, this one would use {now}."
        labels = ", ".join(TrainSettings.facts()[name].label for name in differing)
        return (
            f"To continue that version, keep these settings unchanged: {labels}."
            if labels
            else ""
        )

    def check(
        self, version: NextVersion | None, model_id: str, settings: TrainSettings
    ) -> None:
        """Raises BadInput where a run with this model and these settings can't be this
        version.
        """
        if (
            version
            and version.continues
            and (why := self.why_not_continue(version.parent, model_id, settings))
        ):
            raise BadInput(
                "That version can't be continued like this.",
                why,
                "Or start from the base model again.",
            )

    def settings(self, run_id: str, advice: ChosenSettings) -> ChosenSettings:
        """The advice for a run that continues another one: the same weight shapes, and
        only gentle changes.
        """
        before = self._runs.spec(run_id).settings
        shape = dict(start.shape(before))
        if (before.method == "full") != (advice.settings.method == "full"):
            shape["method"] = before.method
        changed = {
            name
            for name, value in shape.items()
            if value != getattr(advice.settings, name)
        }
        gently = {
            "num_train_epochs": min(advice.settings.num_train_epochs, CONTINUED_EPOCHS),
            "learning_rate": advice.settings.learning_rate / 2,
        }
        why = {
            **advice.why,
            **dict.fromkeys(changed, AS_BEFORE),
            **dict.fromkeys(gently, CONTINUE_GENTLY),
        }
        return advice.model_copy(
            update={"settings": advice.settings.changed(**shape, **gently), "why": why}
        )

    # What the person calls it

    def describe(self, run_id: str, **changes: str) -> None:
        """Gives a run another `name` or `note`; the name "" stands for the one that it
        was started with.
        """
        self._runs.spec(run_id)  # raises RunProblem for anything but a training run
        try:
            about.write(self._runs.folder(run_id), **changes)
        except OSError as error:
            raise RunProblem("This could not be saved.", *disk_words(error)) from error

    def _next_number(self, first: str) -> int:
        """The number of the next version of the model whose first version is the run
        `first`.
        """
        jobs = self._runs.jobs()
        descents = [
            self._runs.spec(job.id).descent
            for job in jobs
            if self._runs.is_readable(job.id)
        ]
        return 1 + max(
            [
                1,
                *(
                    descent.version
                    for descent in descents
                    if descent and descent.first == first
                ),
            ]
        )

    # Retries: each is a new run that names the first one in its spec

    def first_run(self, run_id: str) -> str:
        """The run that this one retries; "" if none, or if that one no longer exists."""
        first = self._runs.spec(run_id).retry_of
        return first if first and self._runs.is_readable(first) else ""

    def retry(self, run_id: str, judged: Verdict | EvaluationReport | None) -> str:
        """Queues the run again on the same rows, named after the first run and the
        change; returns the new run's id. That of a later version becomes the next one.
        Raises RunProblem where no change is suggested,
        and for a variant of LoRA that continues another.

        judged: its verdict, or the report of its evaluation, with the change that it
            suggests
        """
        change = judged.retry if judged else {}
        if not change:
            raise RunProblem(
                "There is nothing to change in this run.", "It shows no problem.", ""
            )
        spec, folder = self._runs.spec(run_id), self._runs.folder(run_id)
        if spec.variant and start.continues(spec):
            raise RunProblem(
                f"It continued a model trained with {spec.variant}.",
                "Apprentice now trains plain LoRA only.",
                "Train the next version from the base model.",
            )
        settings = spec.settings.changed(**change)
        terms = {name: setting.term for name, setting in settings.facts().items()}
        changed = ", ".join(
            f"{terms[name]} {fmt.setting(getattr(settings, name))}" for name in change
        )
        if spec.variant:
            changed += f", plain LoRA instead of {spec.variant}"
        name = f"{(spec.name.partition(' (')[0] if spec.retry_of else spec.name)[:60]} ({changed})"
        descent = spec.descent
        if descent:
            descent = descent.model_copy(
                update={"version": self._next_number(descent.first)}
            )
        changes = {
            "settings": settings,
            "name": name,
            "retry_of": run_id,
            "descent": descent,
            "variant": "",
        }
        again = spec.model_copy(update=changes)

        def write(new: Path) -> None:
            foreign = shutil.ignore_patterns(
                own_answers.FILE
            )  # which may be a stranger's, where the run was imported
            shutil.copytree(
                folder / "data", new / "data", dirs_exist_ok=True, ignore=foreign
            )

        return self._runner.submit(
            "train", again.model_dump(mode="json"), again.name, prepare=write
        )

    def shorter_length(self, run_id: str) -> int | None:
        """The length (tokens) to which examples may be cut after a run ran out of
        memory: the one that was measured to fit, else half of the longest. None when
        memory was not the problem, or that would be too short.
        """
        failure = self._runs.job(run_id).failure
        if failure is None or failure.error not in (
            OutOfMemory.__name__,
            DoesNotFit.__name__,
        ):
            return None
        spec, measured = self._runs.spec(run_id), self._runs.curve(run_id).dry_runs
        fits = measured[-1].max_length if measured else 0
        return (
            fits
            if 0 < fits < spec.settings.max_length
            else oom.half_length(spec.data.longest)
        )
