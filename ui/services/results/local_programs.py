"""Programs of this computer that an exported GGUF file can be added to."""

from backend.errors import RunProblem
from backend.export import local_programs
from backend.hosting.policy import Feature, Policy
from ui.records.share import ExportStatus
from ui.services.results.trained_models import ResultService

_ADD = {
    "Ollama": local_programs.add_to_ollama,
    "LM Studio": local_programs.add_to_lm_studio,
}


class LocalProgramService:
    """Adds files to Ollama and LM Studio."""

    def __init__(self, results: ResultService, policy: Policy) -> None:
        self._results, self._policy = results, policy

    def installed(self) -> list[str]:
        """The programs of this computer; none in a demo, whose computer is not the
        visitor's.
        """
        there = {
            "Ollama": local_programs.ollama(),
            "LM Studio": local_programs.lm_studio_models(),
        }
        return (
            []
            if self._policy.why_not(Feature.ADD)
            else [name for name, place in there.items() if place]
        )

    def add(self, run_id: str, export_id: str, program: str) -> str:
        """Adds an export's recommended GGUF file to a program; returns its name there.
        export_id, program: as the browser sent them. Raises NotInDemo, RunProblem
        without such a file, MissingPart, WorkspaceProblem.
        """
        self._policy.require(Feature.ADD)
        exports = self._results.exports(run_id)
        export = next(
            (made for made in exports if made.job.id == export_id and can_add(made)),
            None,
        )
        if export is None or program not in _ADD:
            raise RunProblem(
                "There is no such file to add.",
                "It may have been deleted.",
                "Make the file again.",
            )
        sizes = export.result.sizes
        return _ADD[program](
            export.folder
            / next((size.file for size in sizes if size.recommended), sizes[0].file)
        )


def can_add(export: ExportStatus) -> bool:
    """Whether an export has GGUF files that passed their checks."""
    return (
        export.job.name.startswith("gguf:")
        and export.result.passed
        and bool(export.result.sizes)
    )
