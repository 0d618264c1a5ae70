"""The machine and the models: what is here, what can be had, and what suits.

A part of `ui.services.app.Services`, whose other parts it calls.
"""

from __future__ import annotations

from typing import Any, cast

from backend import hardware
from backend.advice.recommend import Option, Recommendation, recommend
from backend.advice.settings import ChosenSettings, Data, choose_settings
from backend.datasets.token_counts import TargetModel
from backend.errors import BadInput, MissingPart
from backend.estimate import Rates
from backend.hardware import benchmark
from backend.models import catalogue, download, hub_token, local
from backend.models.catalogue import TASKS, Task
from backend.models.hub_token import TokenSource
from backend.records.specs import Trainer
from backend.tokens.tokenizer import ChatTokenizer
from jobs.records import Job
from ui.records import Access, Fetching
from ui.services import training_plan
from ui.services.context import SIMULATED, Parts

NOT_OWN = (
    "This page does not run on a computer of your own, so it asks for none: use Apprentice on one for such a model."
)
OPEN = (
    "This page is open to the network, where a token would travel unprotected: type `./start.sh models --token` (on "
    "Windows `start.bat models --token`) on the computer that it runs on."
)
NOT_HERE = "This model is not on this computer. Download it, or choose one that is ready."
COMING = "This model is being downloaded."


class ModelServices(Parts):
    """The machine, its models, and the advice which of them to take."""

    def hardware(self) -> hardware.Probe:
        """What this machine has, looked at once and again when it is asked for (`look_again`)."""
        with self._lock:
            if self._probe is None:
                self._probe = hardware.probe(self.workspace.root)
            return self._probe

    def look_again(self) -> None:
        """Has the machine probed anew, as after closing other programs."""
        with self._lock:
            self._probe = self._probe if self.simulated else None

    def model_ready(self, model_id: str) -> bool:
        return local.is_ready(self.workspace, self._chosen(model_id))

    def model_size(self, model_id: str) -> float | None:
        """MiB that the model takes on this computer's disk; None when it is not here."""
        return local.size(self.workspace, model_id) if self.model_ready(model_id) else None

    def preparing(self) -> Job | None:
        """The job that unpacks the embedded model, while it waits or works."""
        return next((job for job in self.runner.jobs(kind="prepare") if not job.state.is_terminal), None)

    def download(self, model_id: str) -> str:
        """Queues the download of a model of the catalogue and gives the job's id; `runner.stop` cancels it.

        A download that was stopped or broke off goes on where it was. The job's `progress` counts MiB; its `failure`
        says in plain words what to do about a gated model, no network or no room. Raises BadInput for another model.
        """
        if self.simulated:
            raise BadInput(SIMULATED, "", "Open the page without --hardware to download a model.")
        entry = catalogue.find(model_id)
        if entry.gated and self._shared():
            raise BadInput(
                f"{entry.name} is not downloaded here.", "Its makers want to see an access token.", NOT_OWN
            )
        going = self.downloading(entry.id)
        return going.id if going else self.runner.submit("download", {"model": entry.id}, f"Download {entry.name}")

    def downloading(self, model_id: str) -> Job | None:
        """The job that downloads this model, while it waits or works."""
        latest = self.last_download(model_id)
        return latest if latest and not latest.state.is_terminal else None

    def last_download(self, model_id: str) -> Job | None:
        """The latest job that downloads or downloaded this model: how it stands, or why it failed."""
        jobs = self.runner.jobs(kind="download")
        return next(
            (job for job in jobs if training_plan.downloaded_by(self.runner.folder(job.id)) == model_id), None
        )

    def downloads(self) -> dict[str, Job]:
        """The latest download of each model that one was asked for, by the model's id."""
        found: dict[str, Job] = {}
        for job in self.runner.jobs(kind="download"):
            found.setdefault(training_plan.downloaded_by(self.runner.folder(job.id)), job)
        found.pop("", None)
        return found

    def fetching(self, model_id: str) -> Fetching:
        """How it stands with a model of the catalogue that is not here."""
        entry, job = catalogue.find(model_id), self.last_download(model_id)
        if job and not job.state.is_terminal:
            return Fetching(entry, job, True, None)
        return Fetching(
            entry, job, download.has_partial(self.workspace, entry.id), self._access() if entry.gated else None
        )

    def _access(self) -> Access:
        refused = self._no_token()
        if self._shared():
            return Access("", "", refused)
        return Access(hub_token.source(), hub_token.storage(), refused)

    def _shared(self) -> bool:
        """Whether this is a page that strangers may look at, or one for another machine."""
        return bool(self.simulated or self.hardware().hardware.hosted)

    def _no_token(self) -> str:
        """Why no access token is asked for here, "" where one may be."""
        if self.simulated:
            return SIMULATED
        if self._shared():
            return NOT_OWN
        return OPEN if self.open_to_network else ""

    def keep_token(self, typed: str) -> TokenSource:
        """Keeps the access token for the hub that a person typed, and says where.

        Raises BadInput on a hosted page, and what `hub_token.save` raises.
        """
        self._insist_on_own()
        place = hub_token.save(typed)
        for entry in catalogue.entries():
            latest = self.last_download(entry.id) if entry.gated else None
            if latest and latest.failure:
                self.runner.delete(latest.id)  # it failed without this token, and would still be told beside it
        return place

    def forget_token(self) -> None:
        """Deletes the access token that is kept. Raises BadInput on a hosted page, and as `hub_token.delete` does."""
        self._insist_on_own()
        hub_token.delete()

    def _insist_on_own(self) -> None:
        if refused := self._no_token():
            raise BadInput("An access token is neither kept nor deleted here.", refused, "")

    def remove_model(self, model_id: str) -> float:
        """Deletes a downloaded model, or what came of it, and gives the MiB that are free again.

        Raises BadInput while a run needs it, and what `download.delete` raises.
        """
        entry = catalogue.find(model_id)
        waiting = [job for job in self.runner.jobs(kind="train") if not job.state.is_terminal]
        if any(self.can_be_read(job.id) and self.spec(job.id).model.id == entry.id for job in waiting):
            raise BadInput(f"{entry.name} is being trained.", "", "Stop that training first.")
        self.stop_chat()
        freed = download.delete(self.workspace, entry.id)
        if latest := self.last_download(entry.id):
            self.runner.delete(latest.id)  # so that the next download begins anew in words too
        return freed

    def not_ready(self, model_id: str = "") -> str:
        """Why the model can't be used now, in sentences; "" when it can."""
        if self.model_ready(model_id):
            return ""
        if self._chosen(model_id) != local.DEFAULT:
            return NOT_HERE if self.downloading(self._chosen(model_id)) is None else COMING
        latest = next(iter(self.runner.jobs(kind="prepare")), None)
        if latest is None or latest.failure is None:
            return "The model is still being made ready; this takes a moment."
        told = (latest.failure.what, latest.failure.why, latest.failure.next, "Then start Apprentice again.")
        return " ".join(filter(None, told))

    def tokenizer(self, model_id: str) -> ChatTokenizer | None:
        """The model's tokeniser; None when the model is not here yet."""
        try:
            return local.tokenizer(self.workspace, self._chosen(model_id))
        except MissingPart:
            return None

    def reader(self, model_id: str) -> TargetModel | None:
        """The model as far as examples are looked at for it; None when it is not here yet."""
        tokenizer = self.tokenizer(model_id)
        if tokenizer is None:
            return None
        return TargetModel(tokenizer, catalogue.find_or_read(self.workspace, self._chosen(model_id)).languages)

    def recommendation(self, task: str = "", data_id: str = "", model_id: str = "") -> Recommendation:
        """The model and settings for this machine, task and data; for one model when `model_id` is given."""
        return recommend(**self._question(task, data_id, model_id), model_id=model_id or None, compare=False)

    def others(self, task: str = "", data_id: str = "") -> tuple[Option, ...] | None:
        """All models for this machine, task and data, the recommended one first; None while they are compared."""
        question = self._question(task, data_id)
        found = self._compared.get(tuple(question.items()), lambda: recommend(**question))
        return found and (found, *found.others)

    def better(self, task: str = "", data_id: str = "") -> Recommendation | None:
        """The model that would be recommended if all were here; None while it is looked for and where it is here."""
        question = self._question(task, data_id) | {"available": None, "compare": False}
        found = self._compared.get(tuple(question.items()), lambda: recommend(**question))
        return found if found and found.model.id not in self._available() and not self.simulated else None

    def _question(self, task: str, data_id: str, model_id: str = "") -> dict[str, Any]:
        """What a recommendation depends on."""
        checked = self.checked(data_id, model_id) if self.dataset_store.has(data_id) else None
        return {
            "hardware": self.hardware().hardware,
            "task": cast(Task, task) if task in TASKS else None,
            "available": None if self.simulated else tuple(sorted(self._available())),
            "rates": self._rates(),
            **training_plan.told(checked),
        }

    def _rates(self) -> Rates | None:
        """This machine's speed, once it was measured."""
        return None if self.simulated else benchmark.load_rates(self.workspace)

    def tailored(
        self, task: str = "", data_id: str = "", model_id: str = "", trainer: Trainer = "sft"
    ) -> ChosenSettings:
        """The settings for one model ("": the recommended one), what they need, and why each is as it is."""
        checked = self.checked(data_id, model_id) if self.dataset_store.has(data_id) else None
        asked = cast(Task, task) if task in TASKS else None
        data = Data(task=asked, trainer=trainer, **training_plan.told(checked, trainer))
        entry = catalogue.find_or_read(self.workspace, self._chosen(model_id))
        return choose_settings(entry, self.hardware().hardware, data, self._rates())

    def _available(self) -> set[str]:
        """The models that can be trained now."""
        return {
            entry.id for entry in catalogue.entries() if entry.embedded or local.is_ready(self.workspace, entry.id)
        }

    def _chosen(self, model_id: str) -> str:
        """The model that a person chose, else the recommended one."""
        if model_id or (self._available() == {local.DEFAULT} and not self.simulated):
            return model_id or local.DEFAULT
        return self.recommendation().model.id
