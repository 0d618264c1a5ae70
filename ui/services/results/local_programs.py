"""Programs of this computer that an exported GGUF file can be added to."""

from backend.errors import RunProblem
from backend.export import local_programs
from backend.export.local_programs import PROGRAMS, LocalProgram
from backend.hosting.policy import Feature, Policy
from backend.records.exports import AddedModel
from jobs.runner import Runner
from ui.records.share import AddedStatus, ExportStatus
from ui.services.results.trained_models import ResultService


class LocalProgramService:
    """Adds files to Ollama and LM Studio in jobs."""

    def __init__(self, runner: Runner, results: ResultService, policy: Policy) -> None:
        self._runner, self._results, self._policy = runner, results, policy

    def installed(self) -> list[LocalProgram]:
        """The programs of this computer; none in a demo, whose computer is not the visitor's."""
        return [] if self._policy.why_not(Feature.ADD) else local_programs.installed()

    def add(self, run_id: str, export_id: str, program: str) -> str:
        """Queues adding an export's recommended GGUF file to a program; returns the job's id. export_id, program: as
        the browser sent them. Raises RunProblem where there is no such file or program, NotInDemo."""
        self._policy.require(Feature.ADD)
        export = next((one for one in self._results.exports(run_id) if one.id == export_id), None)
        name = next((known for known in PROGRAMS if known == program), None)
        if export is None or name is None or not can_add(export):
            raise RunProblem("There is no such file to add.", "It may have been deleted.", "Make the file again.")
        for one in self.all(run_id):  # a second click
            if one.active and (one.export, one.program) == (export_id, name):
                return one.id
        sizes = export.result.sizes
        file = next((size.file for size in sizes if size.recommended), sizes[0].file)
        spec = local_programs.AddSpec(program=name, export=export_id, file=file).model_dump()
        return self._runner.submit("add", spec, f"{name}: {export_id}", parent=run_id)

    def all(self, run_id: str) -> list[AddedStatus]:
        """What was added or is being added, newest first."""
        found = []
        for job in self._runner.jobs(kind="add", parent=run_id):
            try:
                added = AddedModel.model_validate(job.result)
            except ValueError:  # damaged
                added = AddedModel()
            program, _, export = job.name.partition(": ")
            found.append(AddedStatus(job.id, export, program, not job.state.is_terminal, job.failure, added.name))
        return found


def can_add(export: ExportStatus) -> bool:
    """Whether an export has GGUF files that passed their checks."""
    return export.to.startswith("gguf:") and export.result.passed and bool(export.result.sizes)
