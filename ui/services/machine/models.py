"""The machine, the models on it, and those that come from another one."""

import threading
import time
from contextlib import suppress
from pathlib import Path

from backend import hardware
from backend.advice.recommend import recommend
from backend.errors import ApprenticeError, MissingPart, WorkspaceProblem
from backend.estimate import Rates
from backend.evaluation.report import REPORT
from backend.export import run_archive
from backend.files.json_file import read_if_json, write_json
from backend.hardware import benchmark
from backend.hosting.policy import HOME, Feature, Policy
from backend.models import bundled, catalogue, local
from backend.models.catalogue import Entry
from backend.records.machine import Hardware
from backend.records.specs import ModelRef, RunSpec
from backend.runs.start import BASE
from backend.settings import PROGRAM, Workspace
from backend.tokens.token_counts import TargetModel
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.state.resume import base_files
from jobs.folder import JobFolder
from jobs.records import Job
from jobs.runner import Runner
from ui.records.runs import ImportedModel

SIMULATED = "This machine is only simulated, so nothing can be trained on it."
_NOT_HERE = (
    "This model is not on this computer. Download it, or choose one that is ready."
)
_DOWNLOADING = "This model is being downloaded."
_STALE = 10.0  # seconds
_REFUSED = 60.0  # seconds


class ModelService:
    """The machine and the models of a workspace. A model id of "" means the recommended
    model. simulated: another machine to show everything for; nothing can be trained on
    it. open_to_network: whether the page can be reached from other computers. policy:
    what may be done here.
    """

    def __init__(
        self,
        workspace: Workspace,
        runner: Runner,
        simulated: Hardware | None = None,
        open_to_network: bool = False,
        policy: Policy = HOME,
    ) -> None:
        self.simulated, self._policy = simulated, policy
        self._workspace, self._runner, self.open_to_network = (
            workspace,
            runner,
            open_to_network,
        )
        self._probe = hardware.Probe.of(simulated) if simulated else None
        self._probed = 0.0  # when
        self._lock = threading.Lock()
        self._available: tuple[float, set[str]] = -_STALE, set()  # when, and what

    # The machine

    def probe(self) -> hardware.Probe:
        """This machine's hardware, probed once, and again after `probe_again`, or after
        a minute where training is refused: a driver may answer again, and visitors of a
        demo can't ask for a new look.
        """
        with self._lock:
            now = time.monotonic()
            if self._probe is None or (
                self._probe.blocked
                and not self.simulated
                and now - self._probed > _REFUSED
            ):
                self._probe, self._probed = hardware.probe(self._workspace.root), now
            return self._probe

    def probe_again(self) -> None:
        """Probes the machine anew at the next question and measures its speed, as after
        closing other programs.
        """
        if self.simulated:
            return
        self._policy.require(Feature.MEASURE)
        with self._lock:
            self._probe = None
        self._measure_speed()

    def hardware(self) -> Hardware:
        return self.probe().hardware

    def rates(self) -> Rates | None:
        """This machine's measured speed; None before it was measured."""
        return None if self.simulated else benchmark.load_rates(self._workspace)

    def measure_speed_if_old(self) -> None:
        """Queues a measurement of this machine's speed unless the last one is recent."""
        if not self.simulated and benchmark.needs_measuring(self._workspace):
            self._measure_speed()

    def _measure_speed(self) -> None:
        before = self._runner.jobs(kind="calibrate")
        if all(job.state.is_terminal for job in before):
            for job in before:
                self._runner.delete(job.id)
            self._runner.submit("calibrate", {}, "Measure this computer")

    # Models on this computer

    def exists(self, model_id: str) -> bool:
        """Whether the catalogue has the model, or at home it is here or was looked up
        on the hub.
        """
        with suppress(ApprenticeError):
            return bool(
                catalogue.find(model_id)
                if self._policy.demo
                else self.entry(model_id or "none")
            )
        return False

    def looked_up(self) -> list[Entry]:
        """The models of the hub that were looked up here; none in a demo."""
        return [] if self._policy.demo else catalogue.looked_up(self._workspace)

    def available(self) -> set[str]:
        """The ids of the models that can be trained now. Nobody adds any in a demo,
        where many ask each second.
        """
        at, available = self._available
        if not self._policy.demo or time.monotonic() - at > _STALE:
            downloadable = [
                it.id
                for it in (*catalogue.entries(), *self.looked_up())
                if not it.bundled
            ]
            available = {local.DEFAULT} | local.downloaded(
                self._workspace, downloadable
            )
            self._available = time.monotonic(), available
        return available

    def resolve(self, model_id: str) -> str:
        """The model that the person chose, or the recommended one for ""."""
        if model_id or (self.available() == {local.DEFAULT} and not self.simulated):
            return model_id or local.DEFAULT
        available = None if self.simulated else tuple(sorted(self.available()))
        return recommend(
            self.hardware(), available=available, rates=self.rates(), compare=False
        ).model.id

    def is_ready(self, model_id: str) -> bool:
        return local.is_ready(self._workspace, self.resolve(model_id))

    def why_not_ready(self, model_id: str = "") -> str:
        """Why the model can't be used now, in sentences; "" when it can."""
        if self.is_ready(model_id):
            try:
                local.tokenizer(self._workspace, self.resolve(model_id))
            except (MissingPart, WorkspaceProblem) as error:
                return str(error)
            return ""
        if self.resolve(model_id) != local.DEFAULT:
            return (
                _NOT_HERE
                if self.downloading(self.resolve(model_id)) is None
                else _DOWNLOADING
            )
        latest = next(iter(self._runner.jobs(kind="prepare")), None)
        if latest is None or latest.failure is None:
            return "The model is being unpacked; this takes a moment."
        failure = latest.failure
        return " ".join(
            filter(
                None,
                (
                    failure.what,
                    failure.why,
                    failure.next,
                    "Then start Apprentice again.",
                ),
            )
        )

    def unpacking(self) -> Job | None:
        """The job that unpacks the bundled model, while it waits or works."""
        return next(
            (
                job
                for job in self._runner.jobs(kind="prepare")
                if not job.state.is_terminal
            ),
            None,
        )

    def entry(self, model_id: str) -> Entry:
        return catalogue.find_or_read(self._workspace, self.resolve(model_id))

    def reference(self, model_id: str) -> ModelRef:
        """Raises MissingPart when the model is not here, in a demo also for one that is
        not in the catalogue.
        """
        return local.reference(self._workspace, self._offered(model_id))

    def tokenizer(self, model_id: str) -> ChatTokenizer | None:
        """The model's tokenizer; None when the model is not here yet, or damaged."""
        try:
            return local.tokenizer(self._workspace, self._offered(model_id))
        except (MissingPart, WorkspaceProblem):
            return None

    def _offered(self, model_id: str) -> str:
        """The id of the model. Raises MissingPart in a demo for one that is not in the
        catalogue.
        """
        resolved = self.resolve(model_id)
        if self._policy.demo and not self.exists(resolved):
            raise MissingPart(
                "This model is not in the demo.",
                "",
                "Choose one from the list on Start.",
            )
        return resolved

    def target_model(self, model_id: str) -> TargetModel | None:
        """The model as the dataset checks use it; None when it is not here yet."""
        tokenizer = self.tokenizer(model_id)
        return (
            TargetModel(tokenizer, self.entry(model_id).languages)
            if tokenizer
            else None
        )

    # Downloads

    def downloading(self, model_id: str) -> Job | None:
        """The job that downloads this model, while it waits or works."""
        latest = self.downloads().get(model_id)
        return latest if latest and not latest.state.is_terminal else None

    def downloads(self) -> dict[str, Job]:
        """The latest download job of each model, by the model's id."""
        latest: dict[str, Job] = {}
        for job in self._runner.jobs(kind="download"):
            with suppress(ApprenticeError):  # its spec is damaged
                if (
                    model_id := JobFolder(self._runner.folder(job.id))
                    .spec()
                    .get("model")
                ):
                    latest.setdefault(str(model_id), job)
        return latest


_OTHER_BASE = (
    "The base model on this computer is not the one that it was trained on, so its answers may differ. Download that "
    "one again, if you can."
)


class ModelImportService:
    """Adds models that were trained elsewhere."""

    def __init__(
        self, workspace: Workspace, runner: Runner, policy: Policy = HOME
    ) -> None:
        self._workspace, self._runner, self._policy = workspace, runner, policy

    def add(self, path: Path) -> ImportedModel:
        """Imports a zip file; nothing of it is stored if it is refused. Raises BadInput
        for a file that Apprentice did not write so, or that is damaged; NotEnough,
        MissingPart, WorkspaceProblem, NotInDemo.
        """
        self._policy.require(Feature.IMPORT_MODEL)
        with run_archive.opened(path, self._workspace) as archive:
            spec = archive.spec.model_dump(mode="json")
            run_id = self._runner.add_completed(
                "train", spec, archive.name, archive.result, archive.write
            )
            try:
                if report := archive.report:
                    about, result, whole = (
                        {"run": run_id},
                        report.to_json(exclude=["answers"]),
                        report.to_json(),
                    )
                    self._runner.add_completed(
                        "evaluate",
                        about,
                        "Evaluate",
                        result,
                        lambda job: write_json(job / REPORT, whole),
                        run_id,
                    )
            except BaseException:
                self._runner.delete(run_id)
                raise
        return ImportedModel(
            run_id,
            archive.name,
            self._base_note(archive.spec, self._runner.folder(run_id)),
        )

    def _base_note(self, spec: RunSpec, run_folder: Path) -> str:
        """A note on the base model on this computer, "" if none is needed."""
        if not local.is_ready(self._workspace, spec.model.id):
            if spec.model.id == bundled.MODEL_ID:
                return ""
            missing = f"It needs its base model {spec.model.id}, which is not on this computer"
            if local.is_local(spec.model.id):
                return f"{missing} and can't be downloaded."
            return f"{missing}. Download it on Start, or with {PROGRAM} models --download {spec.model.id}."
        trained_on = read_if_json(run_folder / BASE)
        return (
            _OTHER_BASE
            if trained_on and trained_on != base_files(spec.model.path)
            else ""
        )
