"""Training inside calls of a GPU that no other process gets, as on ZeroGPU of Hugging Face Spaces.

A run goes through the queue as usual; only its attempts are made inside such calls instead of a worker's process. A
call must end within the seconds that were asked for. What is left then goes on in another call, and where a visitor
has no quota left, on the processor."""

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from backend.errors import ApprenticeError
from backend.estimate import Rates, plan_from, speed
from backend.models import catalogue, local
from backend.records.events import NoteEvent
from backend.records.machine import Gpu, Hardware
from backend.records.specs import RunSpec
from backend.settings import Workspace
from backend.training.schedule import schedule
from backend.training.state import checkpoints
from jobs import process, store, worker
from jobs.events import EventLog
from jobs.folder import JobFolder
from jobs.process import Spawn
from jobs.records import State

log = logging.getLogger(__name__)

LONGEST = 60.0  # seconds of one call
SHORTEST = 25.0  # seconds of a call in which something is learned: loading and saving take up to 20
WAITING = 180.0  # seconds that a call may wait for the GPU
SAVING = 10.0  # seconds before the end of a call at which training stops, to save and verify
VISITORS = 1000  # whose time is remembered
MOST_CALLS = 5  # attempts of one training; later ones use the processor
WORK = "backend.training.job:run_in_call"

_HALF = Hardware(gpus=(Gpu(name="RTX PRO 6000", memory_total_mib=48 * 1024, memory_free_mib=48 * 1024),))


class NoGpu(Exception):
    """A call was refused or ended early. left: seconds of quota that the visitor still has, None where unknown."""

    def __init__(self, why: str, left: float | None = None) -> None:
        super().__init__(why)
        self.left = left


# (visitor, workspace, job, seconds) -> the seconds that `learn` took on the GPU. Raises NoGpu.
GpuCall = Callable[[str, Path, str, float], float]


@dataclass(frozen=True)
class GpuTime:
    """Seconds on the GPU. used: by this visitor, measured here. left: when a call was last refused, as reported."""

    used: float = 0.0
    left: float | None = None


class GpuCalls:
    def __init__(self, call: GpuCall) -> None:
        self._call = call
        self._used: dict[str, float] = {}  # by visitor, the one whose training ended last comes last
        self._left: dict[str, float] = {}
        self._lock = threading.Lock()

    def time(self, visitor: str) -> GpuTime:
        return GpuTime(self._used.get(visitor, 0.0), self._left.get(visitor))

    def add(self, visitor: str, seconds: float) -> None:
        """Counts the seconds of a visitor's call, and forgets whose last one is longest ago."""
        with self._lock:  # the next call may have begun already
            self._used[visitor] = self._used.pop(visitor, 0.0) + seconds
            for oldest in list(self._used)[:-VISITORS]:
                del self._used[oldest]
                self._left.pop(oldest, None)

    def spawn(self, visitor: str, folder: JobFolder, attempt: int, workspace: Workspace) -> None:
        """Starts an attempt of a visitor's job: of a training run in a call, of another one in a process of its own.
        visitor: whose job it is. folder: the job's. attempt: its number. workspace: the visitor's"""
        if folder.identity().kind == "train" and attempt <= MOST_CALLS:
            work = (visitor, folder, attempt, workspace)
            threading.Thread(target=self._train, args=work, name="gpu-call", daemon=True).start()
        else:
            process.spawn(folder, attempt, workspace)

    def _train(self, visitor: str, folder: JobFolder, attempt: int, workspace: Workspace) -> None:
        try:
            self.add(visitor, self._in_a_call(visitor, folder, workspace))
        except Exception as error:
            log.warning("no call of the GPU for %s: %s", folder.id, error)
            with suppress(ApprenticeError, OSError):
                self._on_the_processor(folder, attempt, workspace)

    def _in_a_call(self, visitor: str, folder: JobFolder, workspace: Workspace) -> float:
        """The seconds that it took. Where less quota is left than needed, a shorter call is asked for."""
        seconds = min(LONGEST, math.ceil(seconds_needed(folder.path, local.read_run(folder.path))))
        self._left.pop(visitor, None)
        try:
            return self._call(visitor, workspace.root, folder.id, seconds)
        except NoGpu as refused:
            if refused.left is not None:
                self.add(visitor, 0.0)
                self._left[visitor] = refused.left
            if refused.left is None or not SHORTEST <= refused.left < seconds:
                raise
            return self._call(visitor, workspace.root, folder.id, math.floor(refused.left))

    def _on_the_processor(self, folder: JobFolder, attempt: int, workspace: Workspace) -> None:
        """Starts an attempt as usual, unless it began in a call that was ended."""
        with folder.claim(worker.LOCK_TIMEOUT) as free:
            status = folder.status()
            if not free or status.state is not State.STARTING or status.pid is not None:
                return
            events = EventLog(folder.events, attempt)
            events.append(NoteEvent(*NO_GPU))
            events.close()
        process.spawn(folder, attempt, workspace)


class VisitorsGpu:
    """The calls of one visitor."""

    def __init__(self, calls: GpuCalls, visitor: str) -> None:
        self.spawn: Spawn = partial(calls.spawn, visitor)
        self.time = partial(calls.time, visitor)


NO_GPU = (
    "Trained on the processor",
    "Hugging Face has no GPU time left for you at the moment, so this takes longer.",
    "On Train there is a recorded training to look at meanwhile.",
)


def seconds_needed(folder: Path, spec: RunSpec) -> float:
    """The most seconds that the rest of a run takes on ZeroGPU's GPU: the upper end of our estimate. It is half an RTX
    PRO 6000 Blackwell (https://huggingface.co/docs/hub/spaces-zerogpu), so half of its published peaks. For a model
    whose work is not modeled, as long as a call may be. Raises ApprenticeError for one that is not in the catalogue."""
    settings, data = spec.settings, spec.data
    whole = speed.published(_HALF)
    assert whole is not None
    peaks = {name: getattr(whole, name) / 2 for name in ("rate16", "rate32", "bandwidth")}
    rates: Rates = whole.model_copy(update=peaks)
    done = checkpoints.find(folder / "checkpoints", content=False).newest
    steps = schedule(data.train_rows, data.validation_rows, settings).total
    left = steps - (checkpoints.step_of(done) if done else 0)
    tokens = data.train_tokens / data.train_rows * settings.effective_batch * max(left, 1)
    plan = plan_from(settings, "bf16", longest=data.longest)
    time = speed.time(catalogue.find(spec.model.id).architecture, plan, _HALF, tokens, rates)
    return time.high if time else LONGEST


def learn(root: str, job_id: str, seconds: float) -> float:
    """One attempt of a training run, inside a call that ends after `seconds`; returns how many it took. It is queued
    again where it needs longer. The job says how it ended, whatever that was."""
    began = time.monotonic()
    workspace = Workspace(Path(root))
    folder = store.find(workspace, job_id)
    with folder.claim(worker.LOCK_TIMEOUT) as free:
        if free:
            worker.attempt(folder, workspace, WORK, began + seconds - SAVING)
    return time.monotonic() - began
