"""Renting a computer for a run, for both faces: what it costs, what leaves this computer, and handing it over."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from backend.errors import BadInput, RunProblem
from backend.export import hf_jobs
from backend.export.hf_jobs import Computer, SubmittedJob
from backend.files.json_file import read_json, write_json
from backend.models import catalogue, local
from jobs.records import State
from jobs.runner import Runner
from ui.services.runs import RunService

GOES_ALONG = "as a secret of the job: the base model is given only to those who accepted its terms"


class HfJobsService:
    """The prices that were looked up are kept, so that what was agreed to is what is sent."""

    def __init__(self, exports: Path, runner: Runner, runs: RunService) -> None:
        self._exports, self._runner, self._runs = exports, runner, runs
        self.computers: list[Computer] = []

    def look_up(self) -> list[Computer]:
        """Asks the hub what can be rented. Raises RunProblem when it can't be reached."""
        self.computers = hf_jobs.prices()
        return self.computers

    def script(self, run_id: str) -> Path | None:
        """The folder of the run's newest exported script."""
        for job in self._runner.jobs(kind="export", parent=run_id):
            if job.name == "script" and job.state is State.COMPLETED:
                return self._exports / job.id / str(job.result["folder"])
        return None

    def computer(self, flavor: str) -> Computer:
        """Raises BadInput for one that is not offered."""
        for one in self.computers:
            if one.flavor == flavor:
                return one
        names = ", ".join(one.flavor for one in self.computers)
        raise BadInput(f"There is no computer {flavor[:40]!r} to rent.", "", f"Choose one of: {names}.")

    def uploads(self, run_id: str) -> dict[str, int]:
        """What would leave this computer: file names and bytes. Raises RunProblem before there is a script."""
        return {Path(path).name: size for path, size in hf_jobs.uploads(self._made(run_id)).items()}

    def sends_token(self, run_id: str) -> bool:
        """Whether the person's access token goes along: the base model is given only to those who were let in."""
        try:
            return catalogue.find(self._runs.spec(run_id).model.id).gated
        except BadInput:
            return False

    def rent(self, run_id: str, flavor: str, hours: float, agreed: bool) -> SubmittedJob:
        """Hands the run over. Raises BadInput without consent, and what `renting.send` raises."""
        folder, computer = self._made(run_id), self.computer(flavor)
        cost, gated = hf_jobs.max_cost(computer, hours), self.sends_token(run_id)
        if not agreed:
            along = "your examples and your access token" if gated else "your examples"
            raise BadInput(
                "Nothing was sent.",
                f"It uploads {along} to your Hugging Face account, privately, and costs up to ${cost:.2f}.",
                "Agree to that first.",
            )
        sent = hf_jobs.submit(folder, computer, hours, folder.name, gated=gated)
        write_json(self._file(run_id), {"jobs": [asdict(one) for one in [sent, *self.rented(run_id)]]})
        return sent

    def rented(self, run_id: str) -> list[SubmittedJob]:
        """The jobs that this run was handed to, newest first."""
        try:
            return [SubmittedJob(**one) for one in read_json(self._file(run_id))["jobs"]]
        except (OSError, ValueError, TypeError, KeyError):
            return []

    def _made(self, run_id: str) -> Path:
        if local.is_local(self._runs.spec(run_id).model.id):
            raise RunProblem(
                "This run can't be trained on a rented computer.",
                "Its base model lies in a folder of yours, and a rented computer fetches it from the hub.",
                "Train it here, or train a model of the list.",
            )
        folder = self.script(run_id)
        if folder is None:
            raise RunProblem(
                "There is no script of this run yet.", "It is what is sent.", "Make it first: the recipe."
            )
        return folder

    def _file(self, run_id: str) -> Path:
        return self._runs.folder(run_id) / "hf_jobs.json"
