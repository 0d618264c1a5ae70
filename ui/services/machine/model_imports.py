"""Models from another computer: a zip file "Everything in one file" becomes a run of this workspace."""

from pathlib import Path

from backend.evaluation.report import REPORT
from backend.export import run_archive
from backend.files.json_file import read_if_json, write_json
from backend.hosting.policy import HOME, Feature, Policy
from backend.models import bundled, local
from backend.records.specs import RunSpec
from backend.runs.start import BASE
from backend.settings import PROGRAM, Workspace
from backend.training.state.resume import base_files
from jobs.runner import Runner
from ui.records.runs import ImportedModel

_OTHER_BASE = (
    "The base model on this computer is not the one that it was trained on, so its answers may differ. Download that "
    "one again, if you can."
)


class ModelImportService:
    """Adds models that were trained elsewhere."""

    def __init__(self, workspace: Workspace, runner: Runner, policy: Policy = HOME) -> None:
        self._workspace, self._runner, self._policy = workspace, runner, policy

    def add(self, path: Path) -> ImportedModel:
        """Imports a zip file; nothing of it is stored if it is refused. Raises BadInput for a file that Apprentice
        did not write so, or that is damaged; NotEnough, MissingPart, WorkspaceProblem, NotInDemo."""
        self._policy.require(Feature.IMPORT_MODEL)
        with run_archive.opened(path, self._workspace) as archive:
            spec = archive.spec.model_dump(mode="json")
            run_id = self._runner.add_completed("train", spec, archive.name, archive.result, archive.write)
            try:
                if report := archive.report:
                    about, result, whole = {"run": run_id}, report.to_json(exclude=["answers"]), report.to_json()
                    self._runner.add_completed(
                        "evaluate", about, "Evaluate", result, lambda job: write_json(job / REPORT, whole), run_id
                    )
            except BaseException:
                self._runner.delete(run_id)
                raise
        return ImportedModel(run_id, archive.name, self._base_note(archive.spec, self._runner.folder(run_id)))

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
        return _OTHER_BASE if trained_on and trained_on != base_files(spec.model.path) else ""
