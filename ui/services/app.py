"""The application behind the page and the command line: its services, composed for one
workspace.

Light: nothing here imports torch. Whatever needs it runs in a job or in the chat
    process.
"""

import logging
import threading
from contextlib import suppress
from functools import partial

from backend.datasets.choices import FixChoices, ValidationFiles
from backend.datasets.read import parse
from backend.datasets.store import DatasetStore
from backend.datasets.stored_files import run_here
from backend.errors import ApprenticeError, BadInput, RunProblem, WorkspaceProblem
from backend.hosting.policy import HOME, Feature, Policy
from backend.models import bundled, local
from backend.records.machine import Hardware
from backend.records.reading import Limits
from backend.records.units import MIB
from backend.settings import Workspace
from jobs.records import Job
from jobs.registry import Lane
from jobs.runner import Runner
from ui.services.data.datasets import DatasetService
from ui.services.data.drafting import DraftingService
from ui.services.data.edits import EditService
from ui.services.data.imports import DatasetImports
from ui.services.demo import admission
from ui.services.demo.processes import Waiting
from ui.services.demo.shared import Shared
from ui.services.machine.advice import AdviceService
from ui.services.machine.downloads import DownloadService
from ui.services.machine.models import ModelImportService, ModelService
from ui.services.results.blind_tests import BlindTestService
from ui.services.results.chat import ChatSession
from ui.services.results.corrections import CorrectionService
from ui.services.results.documents import DocumentService
from ui.services.results.endpoints import EndpointService
from ui.services.results.evaluations import EvaluationService
from ui.services.results.hub_pushes import HubPushService
from ui.services.results.local_programs import LocalProgramService
from ui.services.results.spreadsheets import SpreadsheetService
from ui.services.results.trained_models import ResultService
from ui.services.selection import Choice
from ui.services.training import prompt_trials
from ui.services.training.asking import AskingService
from ui.services.training.planning import PlanningService
from ui.services.training.prompt_trials import PromptTrialService
from ui.services.training.runs import RunService
from ui.services.training.versions import VersionService

log = logging.getLogger(__name__)

_SERVED = "Its endpoint is open."
_BUSY = "A model that was trained on it is being checked or exported, or waits for that, or prompts are tried on it."
_STOP_FIRST = "Stop it on Share (“Use it from other programs”), or with Ctrl-C where it was started; then delete it."


class App:
    """The services of one workspace, and the operations that need several of them.
    `start` lets queued jobs run by themselves; the command line waits for each job
    instead. simulated: another machine to show everything for; nothing can be trained
    on it. open_to_network: whether the page can be reached from other computers.
    policy: what may be done here. shared: what a visitor of a demo shares with the
    others.
    """

    def __init__(
        self,
        workspace: Workspace,
        simulated: Hardware | None = None,
        open_to_network: bool = False,
        policy: Policy = HOME,
        shared: Shared | None = None,
    ) -> None:
        self.workspace, self.policy = workspace, policy
        admit = (
            partial(admission.place, policy.limits, workspace.root, shared)
            if shared
            else None
        )
        self.runner = Runner(workspace, admit=admit, before_start=self._free_memory)
        unpacked, parsing = (
            int(mib * MIB) for mib in (policy.limits.unpacked, policy.limits.parsing)
        )
        limits = Limits(
            expanded_bytes=unpacked,
            parser_bytes=parsing,
            rows_allowed=policy.limits.rows,
        )
        waiting = Waiting() if shared else None
        run = (
            partial(shared.processes.read, waiting) if shared and waiting else run_here
        )
        require_disk = shared.require_disk if shared else lambda: None
        self.dataset_store = DatasetStore(workspace.datasets, limits, run, require_disk)
        self.models = (
            shared.models
            if shared
            else ModelService(
                workspace, self.runner, simulated, open_to_network, policy
            )
        )
        self._imports = DatasetImports(
            self.dataset_store, self.models, policy.limits.imports, waiting
        )
        self.downloads = DownloadService(workspace, self.runner, self.models, policy)
        computing = (shared.recommended, shared.processes.advise) if shared else ()
        self.advice = AdviceService(self.models, self._imports, *computing)
        self.datasets = DatasetService(
            workspace, self._imports, self.models, self.advice, policy
        )
        self.fixes, self.validation_files = (
            FixChoices(self.dataset_store),
            ValidationFiles(self.dataset_store),
        )
        self.edits = EditService(self.dataset_store, self.datasets, self.models)
        queue = shared.queue if shared else None
        self.runs = RunService(workspace, self.runner, self.models, policy, queue)
        self.planning = PlanningService(
            workspace, self.runner, self.models, self.datasets, self.runs, policy.limits
        )
        self.asking = AskingService(workspace, self.runner, self.models)
        self.chat = ChatSession(
            workspace, self.runs.is_training, shared.seats if shared else None
        )
        self.drafting = DraftingService(
            workspace, self._imports, self.models, policy, self.chat.cores
        )
        self.results = ResultService(workspace, self.runner, self.runs, self.chat)
        self.documents = DocumentService(self.runs, self.results, self.chat, run)
        self.prompt_trials = PromptTrialService(
            workspace, self.runner, self.datasets, self.models
        )
        self.versions = VersionService(
            self.runner, self.models, self.datasets, self.runs, self.results
        )
        self.evaluations = EvaluationService(self.runner, self.results)
        self.blind_tests = BlindTestService(self.runner, self.evaluations)
        self.corrections = CorrectionService(self.dataset_store, self.runs)
        self.model_imports = ModelImportService(workspace, self.runner, policy)
        self.spreadsheets = SpreadsheetService(
            workspace.exports, self.runner, self.results, policy
        )
        self.endpoints = EndpointService(self.runner, self.runs, self.results, policy)
        self.local_programs = LocalProgramService(self.results, policy)
        self.hub_pushes = HubPushService(self.runner, self.runs, self.results, policy)

    def _free_memory(self, lane: Lane) -> None:
        """Closes what has a model open before a training run starts: each may need most
        of the memory.
        """
        if lane == "training":
            self.asking.free_memory()
            self.chat.release()
            self.drafting.stop()

    def start(self) -> None:
        """Starts the queue, and what `prepare` does; deletes what a killed app left
        behind.
        """
        parse.delete_leftovers()
        self.runner.start()
        self.prepare()

    def prepare(self) -> None:
        """Unpacks the bundled model, measures the computer, and computes the first
        advice.
        """
        threading.Thread(
            target=self._prepare_advice, name="advice", daemon=True
        ).start()
        try:
            if (
                not self.models.is_ready(local.DEFAULT)
                and self.models.unpacking() is None
            ):
                self.runner.submit("prepare", {}, "Unpack the model")
            self.models.measure_speed_if_old()
        except (
            WorkspaceProblem
        ) as problem:  # on a full disk, the page is where something can be deleted
            log.warning("nothing was prepared: %s", problem)

    def _prepare_advice(self) -> None:
        for compute in (
            self.advice.recommendation,
            self.advice.options,
            self.advice.better,
        ):
            compute(Choice())

    def discard(self) -> None:
        """Drops the rows and passages of datasets from memory, and what could not be
        imported.
        """
        self._imports.discard()
        self.drafting.discard()

    def close(self) -> None:
        """Ends the chat process and the runner's thread; jobs continue."""
        self.asking.end()
        self._imports.close()
        self.drafting.stop()
        self.chat.close()
        self.runner.close()

    def is_newcomer(self, choice: Choice) -> bool:
        """Whether the person has nothing of their own here yet, and has not asked to
        begin.
        """
        ids = choice.model_id, choice.data_id, choice.import_id, choice.run_id
        return not (
            choice.begun
            or choice.task
            or any(ids)
            or self.runs.jobs()
            or self.datasets.all()
        )

    def validated(self, choice: Choice) -> Choice:
        """The browser's selection, minus ids that no longer exist, plus a finished
        import.
        """
        if choice.run_id and not self.runs.is_readable(choice.run_id):
            choice = choice.replace(run_id="")
        if choice.compared_run and not self.runs.is_readable(choice.compared_run):
            choice = choice.replace(compared_run="")
        if choice.parent and not self.results.has_model(choice.parent):
            choice = choice.replace(parent="", from_base=False)
        if choice.model_id and not self.models.exists(choice.model_id):
            choice = choice.replace(model_id="")
        if choice.import_id and self.datasets.progress(choice) is None:
            data_id, choice = choice.import_id, choice.replace(import_id="")
            if self.datasets.exists(data_id):  # else the import was cancelled
                choice = choice.replace(
                    data_id=data_id, row=self.datasets.nearest(data_id)
                )
        return (
            choice
            if not choice.data_id or self.datasets.exists(choice.data_id)
            else choice.replace(data_id="")
        )

    def ask_ahead(self, choice: Choice) -> None:
        """Has the chosen base model asked what a run with the checked examples will
        need of it, in the background. Not in a demo: only the bundled model is there,
        whose answers come with the app.
        """
        if (
            self.policy.demo
            or self.models.simulated
            or not self.models.is_ready(choice.model_id)
        ):
            return
        with suppress(
            ApprenticeError, OSError
        ):  # it only saves time: whoever needs the model says what is wrong
            checked = self.datasets.checked(choice.data_id, choice.model_id)
            if not checked.blocked:
                self.asking.begin(
                    checked, choice.model_id, self.datasets.settings(choice)
                )

    def for_training(self, choice: Choice) -> Choice:
        """The selection as its examples go to training: without the open run if that
        one learned from others. If it learned from an earlier state of the same
        examples, its next version is planned. A next version that was planned for other
        examples is given up.
        """
        if (
            choice.parent
            and self.runs.spec(choice.parent).data.data_id != choice.data_id
        ):
            choice = choice.replace(parent="", from_base=False)
        if not choice.run_id or not self.datasets.exists(choice.data_id):
            return choice
        learned_from = self.runs.spec(choice.run_id).data
        if (
            learned_from.sha256
            == self.dataset_store.original(choice.data_id).source.sha256
        ):
            return choice
        if learned_from.data_id == choice.data_id and self.results.has_model(
            choice.run_id
        ):
            return self.for_next_version(choice, choice.run_id)
        return choice.replace(run_id="")

    def for_next_version(self, choice: Choice, run_id: str) -> Choice:
        """The selection to plan the next version of a run. Raises RunProblem when there
        can be none.
        """
        self.versions.next(run_id)
        data_id = self.versions.data_id(run_id)
        if data_id != choice.data_id:
            choice = choice.replace(data_id=data_id, row=self.datasets.nearest(data_id))
        model_id = self.runs.spec(run_id).model.id
        if self.models.resolve("") == model_id:
            model_id = ""
        return choice.replace(
            run_id="", parent=run_id, from_base=False, model_id=model_id
        )

    def for_shorter(self, choice: Choice, run_id: str) -> Choice:
        """The selection to plan an out-of-memory run again, examples shortened. Raises
        RunProblem if they are gone.
        """
        length, descent = (
            self.versions.shorter_length(run_id),
            self.runs.spec(run_id).descent,
        )
        settings = {**choice.settings, **({"max_length": length} if length else {})}
        parent, from_base = (
            descent.parent if descent else "",
            bool(descent and not descent.weights),
        )
        data_id = self.versions.data_id(run_id)
        return choice.replace(
            run_id="",
            data_id=data_id,
            parent=parent,
            from_base=from_base,
            settings=settings,
        )

    def with_run(self, choice: Choice, run_id: str) -> Choice:
        """The browser's selection with this run, and its model, selected."""
        model_id = self.runs.spec(run_id).model.id
        return choice.replace(
            run_id=run_id, model_id=model_id if model_id != bundled.MODEL_ID else ""
        )

    def remove_model(self, model_id: str) -> float:
        """Deletes a downloaded model, or a partial download, and returns the MiB freed.
        Raises BadInput while a run, a check, an export, a trial of prompts or an
        endpoint needs it, NotInDemo in a demo, and whatever `DownloadService.remove`
        raises.
        """
        self.policy.require(Feature.DELETE_MODEL)
        entry = self.models.entry(model_id)
        unfinished = (job for job in self.runner.jobs() if not job.state.is_terminal)
        uses = {job.kind for job in unfinished if self._base_of(job) == entry.id}
        if "train" in uses:
            raise BadInput(
                f"{entry.name} is being trained.", "", "Stop that training first."
            )
        if uses & {"evaluate", "export", "answer", prompt_trials.KIND}:
            raise BadInput(
                f"{entry.name} is being used.",
                _BUSY,
                "Cancel that first, or wait until it has ended.",
            )
        if "serve" in uses:
            raise BadInput(
                f"{entry.name} is being used by other programs.", _SERVED, _STOP_FIRST
            )
        self.chat.stop()
        self.asking.end()
        return self.downloads.remove(entry)

    def _base_of(self, job: Job) -> str:
        """The base model that a job is about; "" for none, and where that can't be
        read.
        """
        if job.kind == prompt_trials.KIND:
            return self.prompt_trials.about(job)[1]
        run_id = job.id if job.kind == "train" else job.parent
        return (
            self.runs.spec(run_id).model.id
            if run_id and self.runs.is_readable(run_id)
            else ""
        )

    def delete_run(self, run_id: str) -> None:
        """Deletes a run, and closes the chat if it is about this run. Raises
        RunProblem, also while it is served.
        """
        served = self.endpoints.current()
        if served and served.job.parent == run_id:
            raise RunProblem(
                "This model is being used by other programs.", _SERVED, _STOP_FIRST
            )
        self.runs.delete(run_id)
        self.chat.close_run(run_id)
