"""What a training learned: tried beside its base, and taken away.

A part of `ui.services.app.Services`, whose other parts it calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from backend.chat.client import PaneCheck
from backend.errors import ApprenticeError, RunProblem
from backend.training.state.result import folder_of
from jobs.records import Job, State
from ui.records import ExportLine, HeldOut, Origin
from ui.services import samples as sample_datasets
from ui.services import training_plan
from ui.services.chat import Opened
from ui.services.context import Parts
from ui.services.exports import export_line, sizes

READY = 3  # models offered to be tried
WITH_MODEL = (State.COMPLETED, State.STOPPED, State.INTERRUPTED)


class ResultServices(Parts):
    """Trying and sharing what a run learned."""

    def has_model(self, run_id: str) -> bool:
        """Whether a run is done or stopped and has kept what it learned."""
        ended = self.runner.job(run_id).state in (State.COMPLETED, State.STOPPED)
        return ended and folder_of(self.runner.folder(run_id), self.spec(run_id).settings.method).is_dir()

    def ready(self) -> list[Origin]:
        """The models that can be tried, those that ended last first, READY at most."""
        jobs = sorted(self.runner.jobs(kind="train"), key=lambda job: job.ended or 0.0, reverse=True)
        return list(islice(filter(None, map(self._ready, jobs)), READY))

    def _ready(self, job: Job) -> Origin | None:
        with suppress(ApprenticeError):  # a damaged run is no model to try
            return training_plan.origin(job, self.spec(job.id)) if self.has_model(job.id) else None
        return None

    def trained(self, run_id: str) -> Path:
        """The folder of what a run learned. Raises RunProblem when there is nothing yet."""
        folder = folder_of(self.runner.folder(run_id), self.spec(run_id).settings.method)
        if self.runner.job(run_id).state not in WITH_MODEL or not folder.is_dir():
            raise RunProblem(
                "This run has nothing to try yet.", "It has not saved what it learned.", "Wait until it ends."
            )
        return folder

    def ask(
        self, run_id: str, asked: dict[str, Any], temperature: float = 0.0, max_new_tokens: int = 256, seed: int = 0
    ) -> Iterator[tuple[str, str, bool]]:
        """Answers of the base and the tuned model as they come: (pane, text so far, done)."""
        sampling = {"temperature": temperature, "max_new_tokens": max_new_tokens, "seed": seed}
        return self._chat.ask(self._opened(run_id), asked, **sampling)

    def _opened(self, run_id: str) -> Opened:
        spec, learned = self.spec(run_id), self.trained(run_id)
        return Opened(run_id, spec.model.path, learned)

    def answer_once(
        self, run_id: str, prompt: str, base: bool = False, gguf: Path | None = None, seed: int | None = None
    ) -> dict[str, Any]:
        """One answer of the tuned model, its base or an exported file, with `tokens` and `tokens_per_second`."""
        sampling = {} if seed is None else {"temperature": 0.8, "seed": seed}
        if gguf is None:
            return self._chat.once(self._opened(run_id), "base" if base else "tuned", prompt, **sampling)
        self.runner.job(run_id)
        return self._chat.once_from_file(gguf, prompt, **sampling)

    def chat_proof(self, run_id: str) -> PaneCheck | None:
        """The proof about the open chat; None until the run was asked something."""
        return self._chat.proof(run_id)

    def answering(self) -> bool:
        """Whether an answer is being given."""
        return self._chat.answering

    def was_asked(self, run_id: str) -> bool:
        return self.chat_proof(run_id) is not None

    def stop_chat(self) -> None:
        self._chat.stop()

    def held_out(self, run_id: str) -> list[HeldOut]:
        return sample_datasets.read_held_out(self.runner.folder(run_id))

    def start_export(self, run_id: str, to: str) -> str:
        """Queues an export ("gguf:Q8_0", "adapter", "script", …) and gives its job id."""
        if to != "script":  # which needs no model: it makes one
            self.trained(run_id)
        spec = {"run": run_id, "to": to, "name": self.runner.job(run_id).name}
        return self.runner.submit("export", spec, to, parent=run_id)

    def exports(self, run_id: str) -> list[ExportLine]:
        """The exports of a run, newest first."""
        jobs = self.runner.jobs(kind="export", parent=run_id)
        return [export_line(job, self.workspace.exports / job.id) for job in jobs]

    def was_exported(self, run_id: str) -> bool:
        return any(export.state is State.COMPLETED for export in self.exports(run_id))

    def export_sizes(self, run_id: str) -> dict[str, tuple[float, float]]:
        """What each export will weigh, at least and at most (MiB), computed from the files that it is made of."""
        return sizes(self.spec(run_id).model.path, self.trained(run_id))
