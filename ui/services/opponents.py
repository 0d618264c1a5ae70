"""The models that can answer beside a trained model: its base, other runs' models, and exported files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from backend.errors import ApprenticeError, ChatFailed
from backend.settings import child_path
from jobs.records import Job, State
from jobs.runner import Runner
from ui.records import RunInfo


class ChatTarget(NamedTuple):
    """A model to chat with. run_id: the run that trained it. adapter: the folder with what that run learned.
    gguf: a GGUF file, instead of a model."""

    run_id: str
    model: Path | None = None
    adapter: Path | None = None
    gguf: Path | None = None


class Opponent(NamedTuple):
    """A model that can answer beside the trained one. id: of its run or export; "" for the base model."""

    id: str
    name: str
    what: str


_MOST = 10  # of each kind
BASE = Opponent("", "Before", "the base model")


class Opponents:
    """runs: those that saved a model, last ended first. target: the chat target of such a run."""

    def __init__(
        self,
        exports: Path,
        runner: Runner,
        runs: Callable[[], Iterator[RunInfo]],
        target: Callable[[str], ChatTarget],
    ) -> None:
        self._exports, self._runner, self._runs, self._target = exports, runner, runs, target

    def all(self, run_id: str) -> list[Opponent]:
        """The base model, then the latest exported files and models of other runs."""
        others = (Opponent(run.id, run.name, "another trained model") for run in self._runs() if run.id != run_id)
        return [BASE, *islice(self._exported(), _MOST), *islice(others, _MOST)]

    def get(self, run_id: str, opponent_id: str) -> Opponent:
        """The base model where there is no such opponent any more."""
        return next((one for one in self.all(run_id) if one.id == opponent_id), BASE)

    def target(self, opponent_id: str) -> ChatTarget:
        """Raises ChatFailed for an opponent that is no longer there."""
        with suppress(ApprenticeError):
            job = self._runner.job(opponent_id)
            if job.kind != "export":
                return self._target(opponent_id)
            if (found := self._file(job)) is not None:
                run_id = job.parent or ""
                return ChatTarget(run_id, gguf=found) if found.is_file() else ChatTarget(run_id, found)
        raise ChatFailed("The model to compare with is no longer here.", "It was deleted.", "Choose another one.")

    def _exported(self) -> Iterator[Opponent]:
        for job in self._runner.jobs(kind="export"):
            with suppress(ApprenticeError):
                if (found := self._file(job)) is not None:
                    what = "an exported file (GGUF)" if found.is_file() else "an exported model (merged)"
                    yield Opponent(job.id, found.name, what)

    def _file(self, job: Job) -> Path | None:
        """The GGUF file or the folder of the merged model that an export made."""
        if job.state is not State.COMPLETED:
            return None
        folder = child_path(self._exports, job.id)
        if job.name == "merged":
            found = folder / str(job.result.get("folder") or "-")
            return found if (found / "config.json").is_file() else None
        return next(iter(sorted(folder.glob("*.gguf"))), None)
