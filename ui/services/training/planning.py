"""A training run: what it would do with these settings, and its start."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backend.advice.training_time import Shorter, shorter_epochs
from backend.datasets.dataset import CheckedDataset
from backend.datasets.split import NO_ROLES, Roles
from backend.errors import BadInput
from backend.hosting.policy import Limits, require_rows
from backend.models import local
from backend.records.lengths import LengthLimits
from backend.records.specs import TrainSettings
from backend.runs import division, own_answers, prepare
from backend.runs.about import LONGEST_NAME
from backend.runs.division import NextVersion
from backend.settings import Workspace
from backend.training import measured as measurements
from backend.training import preconditions
from jobs.runner import Runner
from ui.records.runs import Plan
from ui.services.data import samples
from ui.services.data.datasets import DatasetService
from ui.services.machine.models import SIMULATED, ModelService
from ui.services.training import training_plan
from ui.services.training.runs import RunService

OPEN_HERE = "Open the page without --hardware to train."


class PlanningService:
    """Plans and starts the training runs of a workspace."""

    def __init__(
        self,
        workspace: Workspace,
        runner: Runner,
        models: ModelService,
        datasets: DatasetService,
        runs: RunService,
        limits: Limits,
    ) -> None:
        self._workspace, self._runner, self._limits = workspace, runner, limits
        self._models, self._datasets, self._runs = models, datasets, runs
        self._sides: tuple[str, CheckedDataset, Roles] | None = (
            None  # the last computed, with what it is for
        )

    def plan(
        self,
        data_id: str,
        model_id: str,
        settings: TrainSettings,
        version: NextVersion | None = None,
    ) -> Plan:
        """The plan of a run with these settings, once its dataset is checked; model_id:
        "" for the recommended.
        """
        plan = self._plan(data_id, model_id, settings, version)
        takes = sum(plan.seconds or ()) / 2
        fewer = shorter_epochs(settings, plan.train_rows, takes)
        if fewer is None:
            return plan
        epochs, words = fewer
        settings = settings.changed(num_train_epochs=epochs)
        short = self._plan(data_id, model_id, settings, version).seconds or ()
        return replace(plan, shorter=Shorter(epochs, words, sum(short) / 2))

    def _plan(
        self,
        data_id: str,
        model_id: str,
        settings: TrainSettings,
        version: NextVersion | None,
    ) -> Plan:
        checked = self._datasets.checked(
            data_id, model_id, LengthLimits.from_settings(settings)
        )
        entry = self._models.entry(model_id)
        why_not = (
            SIMULATED
            if self._models.simulated
            else self._models.why_not_ready(model_id)
        )
        why_not = why_not or self._models.probe().blocked
        hardware, rates = self._models.hardware(), self._models.rates()
        if rates and rates.while_busy:
            self._models.measure_speed_if_old()  # it may be quieter now
        split = checked.split_at(
            settings.validation_fraction, settings.seed, self._roles(checked, version)
        )
        plan = training_plan.plan(
            checked, split, entry, why_not, settings, hardware, rates
        )
        if version:
            judging = len(
                self._roles(checked, version).judging.intersection(split.judging)
            )  # corrected rows train
            with suppress(
                OSError, ValueError
            ):  # the check of the next version says what is damaged
                judging += samples.judged_before(checked, version.folder)
            plan = replace(
                plan,
                changes=division.changes(
                    checked.rows, version.before, judging, split.train
                ),
            )
        if why_not:
            return plan
        rows = plan.train_rows, plan.validation_rows, plan.longest
        model = self._models.reference(entry.id)
        plan = training_plan.with_export_note(plan, model.path)
        key = measurements.key(model, settings, checked.original.source.sha256, *rows)
        return training_plan.with_measured(
            plan, measurements.find(self._workspace, key)
        )

    def _roles(self, checked: CheckedDataset, version: NextVersion | None) -> Roles:
        """The sides that rows of the version before keep; the last are not computed
        again.
        """
        if version is None:
            return NO_ROLES
        last = self._sides
        if last is None or last[0] != version.parent or last[1] is not checked:
            last = self._sides = (
                version.parent,
                checked,
                division.roles(checked.rows, version.before),
            )
        return last[2]

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
        """Queues a run and returns its id. Raises MissingPart without the model,
        UnusableGpu, BadInput naming the first faulty row, TrainingFailed or NotEnough;
        then nothing starts.

        model_id: "" for the recommended one
        name: that the person gave it; "" for the default
        evaluate: its evaluation follows automatically, if that is quick
        version: the run is the next version of another one; see
            `VersionService.why_not_continue`
        """
        if self._models.simulated:
            raise BadInput(SIMULATED, "", OPEN_HERE)
        self._models.probe().require_training()
        model_id = self._models.resolve(model_id)
        model = self._models.reference(model_id)
        tokenizer = local.tokenizer(self._workspace, model_id)
        require_rows(
            len(self._datasets.checked(data_id, model_id).rows), self._limits.rows
        )
        checked = self._datasets.checked(
            data_id, model_id, LengthLimits.from_settings(settings)
        )
        if checked.blocked:
            raise BadInput(
                "Training can't start with these examples.",
                checked.blocked,
                "Fix this first.",
            )
        name = name[:LONGEST_NAME] or (
            self._runs.job(version.parent).name
            if version
            else default_name(checked.name)
        )
        split = checked.split_at(
            settings.validation_fraction, settings.seed, self._roles(checked, version)
        )
        descent = version.descent() if version else None
        preconditions.check_chat_template(
            tokenizer, any(row.messages for row in checked.rows)
        )
        source = checked.original.source
        entry = self._models.entry(model_id)
        language = own_answers.language_for(checked.language, entry.languages)
        ready = prepare.prepare_run(
            checked.rows,
            source,
            split,
            tokenizer,
            model,
            settings,
            name,
            data_id,
            language,
        )
        preconditions.before_start(ready, self._workspace.runs, entry.architecture)

        def write(folder: Path) -> None:
            samples.write_examples(
                folder, checked, split, pairs=settings.trainer == "dpo"
            )
            if version and descent:
                version.write(folder, descent, checked.rows, split)
            else:
                division.write(folder, division.divided(checked.rows, split))
            ready.write(folder)

        spec = ready.spec.model_copy(update={"evaluate": evaluate, "descent": descent})
        return self._runner.submit(
            "train", spec.model_dump(mode="json"), name, prepare=write
        )


def default_name(data_name: str) -> str:
    """The name of a run that the person did not name."""
    return Path(data_name).stem.replace("_", " ").capitalize()[:60] or "My model"
