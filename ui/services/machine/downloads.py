"""Models from the Hugging Face hub: downloaded, removed, and the access token that some
of them need.
"""

from backend.errors import BadInput
from backend.gguf import base_file
from backend.hosting.policy import Feature, Policy
from backend.models import catalogue, download, hub_token, local
from backend.models.catalogue import Entry
from backend.models.hub import valid_name
from backend.models.hub_token import TokenSource
from backend.settings import PROGRAM, Workspace
from jobs.runner import Runner
from ui.records.models import DownloadStatus, TokenStatus
from ui.services.machine.models import SIMULATED, ModelService

NOT_OWN = "This page runs on a shared server, so it asks for no token. Use Apprentice on your own computer for this model."
_OPEN = (
    "This page is open to the network, where a token would travel unprotected. On the computer that runs this page, "
    f"type `{PROGRAM} models --token`."
)


class DownloadService:
    """The downloaded models of a workspace. policy: what may be done here."""

    def __init__(
        self, workspace: Workspace, runner: Runner, models: ModelService, policy: Policy
    ) -> None:
        self._workspace, self._runner, self._models, self._policy = (
            workspace,
            runner,
            models,
            policy,
        )

    def start(self, model_id: str) -> str:
        """Queues the download of a model and returns the job's id; of one that the
        catalogue lacks first its look-up, by its name on the hub or its page's address.
        An interrupted download continues where it stopped. The job's `progress` counts
        MiB; its `failure` says in plain words what to do about a gated model, no
        network or a full disk. Raises BadInput for a malformed name.
        """
        if self._models.simulated:
            raise BadInput(
                SIMULATED, "", "Open the page without --hardware to download a model."
            )
        self._policy.require(Feature.DOWNLOAD)
        entry = self._models.entry(model_id) if self._models.exists(model_id) else None
        if entry and entry.gated and self._is_public():
            raise BadInput(
                f"{entry.name} can't be downloaded here.",
                "It needs an access token.",
                NOT_OWN,
            )
        name = entry.id if entry else valid_name(model_id, "model")
        title = f"Download {entry.name}" if entry else f"Look up {name}"
        running, spec = (
            self._models.downloading(name),
            {"model": name, "weights": entry is not None},
        )
        return running.id if running else self._runner.submit("download", spec, title)

    def look_up(self, typed: str) -> str:
        """Starts the look-up of a model as `start` does, but no download. Raises
        BadInput also for a known model.
        """
        name = valid_name(typed, "model")
        for entry in (*catalogue.entries(), *self._models.looked_up()):
            if entry.id.casefold() == name.casefold():
                raise BadInput(
                    f"{entry.id} is in the list of models already.",
                    "",
                    "Choose it there.",
                )
        return self.start(name)

    def cancel(self, model_id: str) -> None:
        """Stops the model's download, if there is one."""
        self._policy.require(Feature.DOWNLOAD)
        if job := self._models.downloading(model_id):
            self._runner.stop(job.id)

    def status(self, model_id: str) -> DownloadStatus:
        """The state of a model that is not here."""
        entry, job = (
            self._models.entry(model_id),
            self._models.downloads().get(model_id),
        )
        if why_not := self._policy.why_not(Feature.DOWNLOAD):
            return DownloadStatus(entry, job, False, None, why_not)
        if job and not job.state.is_terminal:
            return DownloadStatus(entry, job, True, None)
        token = self.token() if entry.gated else None
        return DownloadStatus(
            entry, job, download.has_partial(self._workspace, entry.id), token
        )

    def remove(self, entry: Entry) -> float:
        """Deletes a downloaded model, or a partial download, and what was made of it.
        Returns the MiB freed. See `App.remove_model`. Raises what `base_file.delete`
        and `download.delete` raise.
        """
        self._policy.require(Feature.DELETE_MODEL)
        freed = base_file.delete(
            self._workspace, local.workspace_folder(self._workspace, entry.id)
        )
        freed += download.delete(self._workspace, entry.id)
        if latest := self._models.downloads().get(entry.id):
            self._runner.delete(
                latest.id
            )  # or its failure or result would still be shown
        return freed

    # The access token for gated models

    def token(self) -> TokenStatus:
        """Where the token is, or why this page does not ask for one."""
        why_not = self._why_no_token()
        if self._is_public():
            return TokenStatus("", "", why_not)
        return TokenStatus(hub_token.source(), hub_token.storage(), why_not)

    def save_token(self, typed: str) -> TokenSource:
        """Saves the access token for the hub that a person typed, and returns where.
        Raises BadInput on a hosted page, and whatever `hub_token.save` raises.
        """
        self._require_own_computer()
        place = hub_token.save(typed)
        for model_id, job in self._models.downloads().items():
            if (
                job.failure
                and self._models.exists(model_id)
                and self._models.entry(model_id).gated
            ):
                self._runner.delete(job.id)  # it failed for lack of this token
        return place

    def delete_token(self) -> None:
        """Deletes the saved access token. Raises BadInput on a hosted page, and as
        `hub_token.delete` does.
        """
        self._require_own_computer()
        hub_token.delete()

    def _is_public(self) -> bool:
        """Whether strangers may use this page, or it shows a simulated machine."""
        return bool(
            self._models.simulated
            or self._policy.demo
            or self._models.hardware().hosted
        )

    def _why_no_token(self) -> str:
        """Why this page does not ask for an access token; "" when it may."""
        if self._models.simulated:
            return SIMULATED
        if self._is_public():
            return NOT_OWN
        return _OPEN if self._models.open_to_network else ""

    def _require_own_computer(self) -> None:
        self._policy.require(Feature.TOKEN)
        if why_not := self._why_no_token():
            raise BadInput("Access tokens can't be saved or deleted here.", why_not, "")
