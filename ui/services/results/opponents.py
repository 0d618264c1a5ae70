"""The two models that answer on Try: a run's own and its base, exports, and models of other runs."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from backend.errors import ApprenticeError, ChatFailed
from backend.settings import child_path
from jobs.records import Job, State
from jobs.runner import Runner
from ui.records.runs import RunInfo
from ui.services.results.exports import read_result
from ui.text import format as fmt


class ChatTarget(NamedTuple):
    """A model to chat with. run_id: the run that trained it. adapter: the folder with what that run learned.
    gguf: a GGUF file, instead of a model."""

    run_id: str
    model: Path | None = None
    adapter: Path | None = None
    gguf: Path | None = None


class Opponent(NamedTuple):
    """A model that can answer. id: of its run or export; "" for the base model and the open run's own."""

    id: str
    name: str
    what: str

    @property
    def label(self) -> str:
        """Its name, and what it is."""
        return f"{fmt.shorten(self.name, 60)} ({self.what})" if self.id else self.what


MOST = 10  # of each kind
BASE_MODEL = Opponent("", "Before", "the base model")
OWN = Opponent("", "Yours", "your trained model")


class Pair(NamedTuple):
    """The two models that answer, named after their panes: "base" on the left, "tuned" on the right."""

    base: Opponent = BASE_MODEL
    tuned: Opponent = OWN

    @property
    def opponents(self) -> dict[str, str]:
        """The ids, by pane, of the models that are neither the base model nor the open run's own."""
        return {pane: opponent.id for pane, opponent in self._asdict().items() if opponent.id}


BASE_AND_OWN = Pair()


class Listed(NamedTuple):
    """Models to choose from. is_cut: whether there are more than these, the latest."""

    models: list[Opponent]
    is_cut: bool = False


class Opponents:
    """runs: those that saved a model, last ended first. run: one of them by its id, or None. target: its chat
    target."""

    def __init__(
        self,
        exports: Path,
        runner: Runner,
        runs: Callable[[], Iterator[RunInfo]],
        run: Callable[[str], RunInfo | None],
        target: Callable[[str], ChatTarget],
    ) -> None:
        self._exports, self._runner, self._runs, self._run, self._target = exports, runner, runs, run, target

    def all(self, run_id: str) -> Listed:
        """The latest exports, then models of other runs."""
        exported = filter(None, map(self._export, self._runner.jobs(kind="export")))
        kinds = [list(islice(kind, MOST + 1)) for kind in (exported, self._trained(run_id))]
        listed = [opponent for kind in kinds for opponent in kind[:MOST]]
        return Listed(listed, any(len(kind) > MOST for kind in kinds))

    def _trained(self, run_id: str, chosen: str = "") -> Iterator[Opponent]:
        """The latest models of runs other than `run_id`, and that of the run `chosen`, told apart in words."""
        listed = [*islice(self._runs(), MOST + 2), *map(self._run, filter(None, (run_id, chosen)))]
        runs = {run.id: run for run in listed if run}
        versions = Counter(run.first for run in runs.values())
        names = Counter((run.name, run.version) for run in runs.values())
        for run in runs.values():
            what = f"another trained model{fmt.version(run.version, versions[run.first] > 1)}"
            if names[run.name, run.version] > 1:
                what += f", finished {fmt.moment(run.ended)}"
            if run.id != run_id:
                yield Opponent(run.id, run.name, what)

    def pair(self, run_id: str, left: str, right: str) -> Pair:
        """The models with these ids: the base model and the run's own in place of "", of one that is no longer there,
        and, on the left, of the same model twice."""
        return Pair(self._get(run_id, left if left != right else "", BASE_MODEL), self._get(run_id, right, OWN))

    def _get(self, run_id: str, opponent_id: str, default: Opponent) -> Opponent:
        if not opponent_id:
            return default
        with suppress(ApprenticeError):
            job = self._runner.job(opponent_id)
            candidates: Iterable[Opponent | None] = (
                [self._export(job)] if job.kind == "export" else self._trained(run_id, opponent_id)
            )
            return next((candidate for candidate in candidates if candidate and candidate.id == opponent_id), default)
        return default

    def target(self, opponent_id: str) -> ChatTarget:
        """Raises ChatFailed for an opponent that is no longer there."""
        with suppress(ApprenticeError):
            job = self._runner.job(opponent_id)
            if job.kind != "export":
                return self._target(opponent_id)
            if (path := self._file(job)) is not None:
                run_id = job.parent or ""
                return ChatTarget(run_id, gguf=path) if path.is_file() else ChatTarget(run_id, path)
        raise ChatFailed("The model to compare with is no longer here.", "It was deleted.", "Choose another one.")

    def _export(self, job: Job) -> Opponent | None:
        with suppress(ApprenticeError):
            if (path := self._file(job)) is not None:
                what = "an exported GGUF file" if path.is_file() else "an exported merged model"
                return Opponent(job.id, path.name, what)
        return None

    def _file(self, job: Job) -> Path | None:
        """The GGUF file or the folder of the merged model that an export made."""
        if job.state is not State.COMPLETED:
            return None
        folder = child_path(self._exports, job.id)
        if job.name == "merged":
            result = read_result(job)
            merged = folder / ((result.folder if result else "") or "-")
            return merged if (merged / "config.json").is_file() else None
        return next(iter(sorted(folder.glob("*.gguf"))), None)
