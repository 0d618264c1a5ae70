"""Trying prompts on the base model before anything is trained: started, followed, read."""

from contextlib import suppress
from pathlib import Path

from backend.datasets.dataset import CheckedDataset
from backend.datasets.split import Split
from backend.errors import ApprenticeError, BadInput
from backend.evaluation import prompt_trial
from backend.evaluation.facts import write_facts
from backend.evaluation.items import count_items, fingerprint
from backend.evaluation.prompt_trial import PromptTrialSpec
from backend.gguf import base_file
from backend.records.base import read_record
from backend.records.evaluation import TrialReport
from backend.settings import Workspace
from jobs.records import Job
from jobs.runner import Runner
from ui.services.data import samples
from ui.services.data.datasets import DatasetService
from ui.services.machine.models import SIMULATED, ModelService
from ui.services.results import evaluated
from ui.services.selection import Choice
from ui.services.training import training_plan

KIND = "try_prompts"
NO_QUESTIONS = "No examples with questions are set aside to try prompts on."


class PromptTrialService:
    """How far the base model gets with a prompt, on the examples that a training run
    would set aside.
    """

    def __init__(
        self,
        workspace: Workspace,
        runner: Runner,
        datasets: DatasetService,
        models: ModelService,
    ) -> None:
        self._workspace, self._runner, self._datasets, self._models = (
            workspace,
            runner,
            datasets,
            models,
        )

    def why_not(self, choice: Choice) -> str:
        """Why no prompts can be tried on the selected examples, "" when they can; waits
        until these are checked.
        """
        if self._models.simulated:
            return SIMULATED
        if not choice.data_id:
            return "Add examples first, in step 2."
        if why_not := self._models.why_not_ready(choice.model_id):
            return why_not
        checked, split = self._examples(choice)
        return checked.blocked or (
            "" if self._questions(checked, split) else NO_QUESTIONS
        )

    def ahead(self, choice: Choice) -> tuple[int, tuple[float, float] | None]:
        """How many questions it would ask, and the least and the most seconds that it
        would take, computed; None where this computer's speed with the model is not
        known. Waits until the examples are checked.
        """
        checked, split = self._examples(choice)
        settings, entry = (
            self._datasets.settings(choice),
            self._models.entry(choice.model_id),
        )
        questions = self._questions(checked, split)
        examples, hardware, rates = (
            prompt_trial.examples_read(questions),
            self._models.hardware(),
            self._models.rates(),
        )
        seconds = training_plan.seconds_for(
            examples, checked, entry, settings, hardware, rates
        )
        first = base_file.seconds_to_make(
            self._workspace, self._models.reference(choice.model_id).path
        )
        return questions, (seconds[0] + first, seconds[1] + first) if seconds else None

    @staticmethod
    def _questions(checked: CheckedDataset, split: Split) -> int:
        return count_items(samples.sides(checked, split)[1][0])

    def start(self, choice: Choice, items: int | None = None, facts: str = "") -> str:
        """Queues a trial and returns the job's id; an earlier one of the same examples
        and model is deleted. facts: a text to try too, "" for none. Raises BadInput
        where `why_not` says so or the facts can't be used, and MissingPart without the
        model.
        """
        if why_not := self.why_not(choice):
            raise BadInput("No prompts can be tried now.", why_not, "")
        checked, split = self._examples(choice)
        train, held_out = samples.sides(checked, split)
        model, examples = (
            self._models.reference(choice.model_id),
            fingerprint(train, held_out),
        )
        spec = PromptTrialSpec(
            model=model, data=choice.data_id, examples=examples, items=items
        )

        def write(folder: Path) -> None:
            samples.write_examples(folder, checked, split)
            if facts.strip():
                write_facts(folder, facts)

        before = [job.id for job in self._jobs(choice)]
        started = self._runner.submit(
            KIND, spec.model_dump(mode="json"), "Try prompts", prepare=write
        )
        for job_id in before:
            with suppress(ApprenticeError):  # it still runs
                self._runner.delete(job_id)
        return started

    def latest(self, choice: Choice) -> Job | None:
        """The newest trial of the selected examples and model, however it stands."""
        return next(iter(self._jobs(choice)), None) if choice.data_id else None

    def _jobs(self, choice: Choice) -> list[Job]:
        wanted = choice.data_id, self._models.resolve(choice.model_id)
        return [
            job for job in self._runner.jobs(kind=KIND) if self.about(job) == wanted
        ]

    def about(self, job: Job) -> tuple[str, str]:
        """The dataset and the model of a trial; "" for both where its files are
        damaged.
        """
        with suppress(ApprenticeError, OSError, ValueError):
            spec = self._spec(job)
            return spec.data, spec.model.id
        return "", ""

    def _spec(self, job: Job) -> PromptTrialSpec:
        return read_record(PromptTrialSpec, self._runner.folder(job.id) / "spec.json")

    def stop(self, choice: Choice) -> None:
        """Stops the newest trial of the selected examples, if it has not ended."""
        job = self.latest(choice)
        if job and not job.state.is_terminal:
            self._runner.stop(job.id)

    def is_current(self, job: Job, choice: Choice) -> bool:
        """Whether a trial asked the examples as they would be set aside now; waits
        until these are checked.
        """
        return self._spec(job).examples == fingerprint(
            *samples.sides(*self._examples(choice))
        )

    def report(self, job_id: str) -> TrialReport:
        """The report of a completed trial, with its answers. Raises RunProblem when
        there is none.
        """
        name = "The result of trying prompts"
        return evaluated.read_report(
            self._runner, job_id, TrialReport, name, "Try the prompts again."
        )

    def _examples(self, choice: Choice) -> tuple[CheckedDataset, Split]:
        """The selected examples, and their split in the planned run."""
        settings = self._datasets.settings(choice)
        checked = self._datasets.checked(choice.data_id, choice.model_id)
        return checked, checked.split_at(settings.validation_fraction, settings.seed)
