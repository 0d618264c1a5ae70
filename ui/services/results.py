"""Trained models: tried next to their base model, and exported."""

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
from jobs.runner import Runner
from ui.records import ExportLine, HeldOut, Origin
from ui.services import samples as sample_datasets
from ui.services.chat import Chatting, Opened
from ui.services.exports import export_line, sizes
from ui.services.runs import RunService

READY = 3  # models offered to be tried
WITH_MODEL = (State.COMPLETED, State.STOPPED, State.INTERRUPTED)


class ResultService:
    """Trying and exporting what a run learned. exports: the folder of all exports."""

    def __init__(self, exports: Path, runner: Runner, runs: RunService, chat: Chatting) -> None:
        self._exports, self._runner, self._runs, self._chat = exports, runner, runs, chat

    def close(self) -> None:
        """Ends the chat process."""
        self._chat.close()

    def has_model(self, run_id: str) -> bool:
        """Whether a run is done or stopped and has kept what it learned."""
        ended = self._runs.job(run_id).state in (State.COMPLETED, State.STOPPED)
        return ended and folder_of(self._runs.folder(run_id), self._runs.spec(run_id).settings.method).is_dir()

    def ready_to_try(self) -> list[Origin]:
        """The models that can be tried, those that ended last first, READY at most."""
        jobs = sorted(self._runs.jobs(), key=lambda job: job.ended or 0.0, reverse=True)
        return list(islice(filter(None, map(self._origin, jobs)), READY))

    def _origin(self, job: Job) -> Origin | None:
        with suppress(ApprenticeError):  # a damaged run is no model to try
            return self._runs.origin(job.id) if self.has_model(job.id) else None
        return None

    def trained(self, run_id: str) -> Path:
        """The folder of what a run learned. Raises RunProblem when there is nothing yet."""
        folder = folder_of(self._runs.folder(run_id), self._runs.spec(run_id).settings.method)
        if self._runs.job(run_id).state not in WITH_MODEL or not folder.is_dir():
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
        spec, learned = self._runs.spec(run_id), self.trained(run_id)
        return Opened(run_id, spec.model.path, learned)

    def answer_once(
        self, run_id: str, prompt: str, base: bool = False, gguf: Path | None = None, seed: int | None = None
    ) -> dict[str, Any]:
        """One answer of the tuned model, its base or an exported file, with `tokens` and `tokens_per_second`."""
        sampling = {} if seed is None else {"temperature": 0.8, "seed": seed}
        if gguf is None:
            return self._chat.once(self._opened(run_id), "base" if base else "tuned", prompt, **sampling)
        self._runs.job(run_id)
        return self._chat.once_from_file(gguf, prompt, **sampling)

    def chat_proof(self, run_id: str) -> PaneCheck | None:
        """The proof about the open chat; None until the run was asked something."""
        return self._chat.proof(run_id)

    def is_answering(self) -> bool:
        """Whether an answer is being given."""
        return self._chat.answering

    def was_asked(self, run_id: str) -> bool:
        return self.chat_proof(run_id) is not None

    def stop_chat(self) -> None:
        self._chat.stop()

    def close_chat(self, run_id: str) -> None:
        """Closes the chat if it is about this run."""
        self._chat.forget(run_id)

    def held_out(self, run_id: str) -> list[HeldOut]:
        return sample_datasets.read_held_out(self._runs.folder(run_id))

    def start_export(self, run_id: str, to: str) -> str:
        """Queues an export ("gguf:Q8_0", "adapter", "script", …) and gives its job id."""
        if to != "script":  # which needs no model: it makes one
            self.trained(run_id)
        spec = {"run": run_id, "to": to, "name": self._runs.job(run_id).name}
        return self._runner.submit("export", spec, to, parent=run_id)

    def exports(self, run_id: str) -> list[ExportLine]:
        """The exports of a run, newest first."""
        jobs = self._runner.jobs(kind="export", parent=run_id)
        return [export_line(job, self._exports / job.id) for job in jobs]

    def was_exported(self, run_id: str) -> bool:
        return any(export.state is State.COMPLETED for export in self.exports(run_id))

    def export_sizes(self, run_id: str) -> dict[str, tuple[float, float]]:
        """What each export will weigh, at least and at most (MiB), computed from the files that it is made of."""
        return sizes(self._runs.spec(run_id).model.path, self.trained(run_id))
