"""Training a run on a rented GPU of Hugging Face: prices, uploads, and the submitted jobs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from backend.errors import BadInput, RunProblem
from backend.export import hf_jobs
from backend.export.hf_jobs import Computer, SubmittedJob
from backend.files.json_file import read_json, write_json
from backend.hosting.policy import Feature, Policy
from backend.models import catalogue, local
from jobs.runner import Runner
from ui.services.results.exports import read_result
from ui.services.training.runs import RunService

ACCESS_NOTE = "as a secret of the job: the base model can be downloaded only by people who accepted its terms"


class HfJobsService:
    """Remembers the prices it looked up, so that a job costs what the person agreed to."""

    def __init__(self, exports: Path, runner: Runner, runs: RunService, policy: Policy) -> None:
        self._policy = policy
        self._exports, self._runner, self._runs = exports, runner, runs
        self._computers: list[Computer] = []

    def look_up_computers(self) -> list[Computer]:
        """The computers on offer and their prices. Raises RunProblem when the hub can't be reached, NotInDemo."""
        self._policy.require(Feature.RENT)
        self._computers = hf_jobs.prices()
        return self._computers

    def find_computer(self, flavor: str) -> Computer:
        """The computer named `flavor`. Raises BadInput for one that is not on offer."""
        for one in self._computers:
            if one.flavor == flavor:
                return one
        names = ", ".join(one.flavor for one in self._computers)
        raise BadInput(f"There is no computer {flavor[:40]!r} to rent.", "", f"Choose one of: {names}.")

    def script_folder(self, run_id: str) -> Path | None:
        """The folder of the run's newest exported training script that passed its checks."""
        for job in self._runner.jobs(kind="export", parent=run_id):
            if job.name == "script" and (result := read_result(job)) and result.passed:
                return self._exports / job.id / result.folder
        return None

    def uploads(self, run_id: str) -> dict[str, int]:
        """The names and sizes (bytes) of the files to upload. Raises RunProblem before the script is exported."""
        return {Path(path).name: size for path, size in hf_jobs.uploads(self._exported_script(run_id)).items()}

    def sends_token(self, run_id: str) -> bool:
        """Whether the job needs the person's access token: the base model is gated."""
        try:
            return catalogue.find(self._runs.spec(run_id).model.id).gated
        except BadInput:
            return False

    def submit(self, run_id: str, flavor: str, hours: float, agreed: bool) -> SubmittedJob:
        """Uploads the run and starts it. Raises BadInput without consent, NotInDemo, and whatever `hf_jobs.submit`
        raises."""
        self._policy.require(Feature.RENT)
        folder, computer = self._exported_script(run_id), self.find_computer(flavor)
        cost, gated = hf_jobs.max_cost(computer, hours), self.sends_token(run_id)
        if not agreed:
            files = "your examples and your access token" if gated else "your examples"
            raise BadInput(
                "Nothing was sent.",
                f"This uploads {files} to your Hugging Face account, privately, and costs up to ${cost:.2f}.",
                "Agree to that first.",
            )
        job = hf_jobs.submit(folder, computer, hours, folder.name, gated=gated)
        write_json(self._file(run_id), {"jobs": [asdict(one) for one in [job, *self.submitted(run_id)]]})
        return job

    def submitted(self, run_id: str) -> list[SubmittedJob]:
        """The jobs submitted for this run, newest first."""
        try:
            return [SubmittedJob(**one) for one in read_json(self._file(run_id))["jobs"]]
        except (OSError, ValueError, TypeError, KeyError):
            return []

    def _exported_script(self, run_id: str) -> Path:
        if local.is_local(self._runs.spec(run_id).model.id):
            raise RunProblem(
                "This run can't be trained on a rented GPU.",
                "Its base model is a folder on this computer, and a rented computer can only download models.",
                "Train it here, or choose a model from the list.",
            )
        folder = self.script_folder(run_id)
        if folder is None:
            raise RunProblem("This run has no training script yet.", "", "Export the training script first.")
        return folder

    def _file(self, run_id: str) -> Path:
        return self._runs.folder(run_id) / "hf_jobs.json"
