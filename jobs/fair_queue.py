"""One queue for the workspaces of several people: one job at a time in each lane, and
the workspaces take turns. Each workspace's own runner still owns its jobs; this decides
which of them may start.
"""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from backend.errors import ApprenticeError
from jobs import process
from jobs.registry import Lane
from jobs.repeating import RepeatingThread
from jobs.runner import TICK, Runner
from jobs.scheduler import Unfinished

Refusal = Literal["queue", "neighbours"]

log = logging.getLogger(__name__)

_LOOK_AT_ALL = 20  # in every so many ticks, workspaces without jobs are looked at too; each look takes a lock


class _Entry(NamedTuple):
    """An unfinished job and the runner that owns it."""

    runner: Runner
    job: Unfinished


class FairQueue:
    """longest: seconds that a job may run in the lane "training" before it is asked to
    save and stop.
    """

    def __init__(self, longest: float = math.inf) -> None:
        self._longest = longest
        self._runners: list[Runner] = []
        self._idle: set[Runner] = set()  # had no jobs at the last look
        self._ticks = 0
        self._served: Counter[tuple[Runner, Lane]] = (
            Counter()
        )  # the number of a workspace's last turn
        self._turn = 0
        self._since: dict[
            str, float
        ] = {}  # by active job, the monotonic time at which it was first seen
        self._creating: Counter[tuple[Lane, Path]] = (
            Counter()
        )  # jobs that are being created, by their workspace
        self._unseen: Counter[tuple[Lane, Path]] = (
            Counter()
        )  # jobs created since the last tick
        self._entries: list[
            _Entry
        ] = []  # active ones first, then in the order in which they will start
        self._lock = threading.Lock()
        thread = RepeatingThread("fair-queue", self.tick, TICK)
        self.start, self.close = (
            thread.start,
            thread.close,
        )  # it ticks until then; workers continue

    def add(self, runner: Runner) -> None:
        with self._lock:
            self._runners.append(runner)

    def remove(self, runner: Runner) -> None:
        with self._lock:
            self._runners.remove(runner)
            self._idle.discard(runner)
            self._served = Counter(
                {
                    key: turn
                    for key, turn in self._served.items()
                    if key[0] is not runner
                }
            )

    def ahead(self, job_id: str) -> int:
        """The number of jobs that go before this one in its lane; 0 once it runs, and
        for one not seen yet.
        """
        entries = self._entries
        lane = next(
            (entry.job.lane for entry in entries if entry.job.id == job_id), None
        )
        ids = [entry.job.id for entry in entries if entry.job.lane == lane]
        return ids.index(job_id) if job_id in ids else 0

    def length(
        self, lane: Lane = "training", workspaces: Collection[Path] | None = None
    ) -> int:
        """The jobs of all workspaces, or of those in these folders, that wait or run in
        a lane or are being created.
        """
        jobs = [
            (entry.job.lane, entry.runner.workspace.root) for entry in self._entries
        ]
        jobs += (self._creating + self._unseen).elements()
        return sum(
            of == lane and (workspaces is None or root in workspaces)
            for of, root in jobs
        )

    @contextmanager
    def place(
        self, lane: Lane, workspace: Path, neighbours: Collection[Path], most: float
    ) -> Iterator[Refusal | None]:
        """Holds a place for a job that is created in a workspace inside, and none where
        `most` jobs wait or run, or half as many of the neighbours, itself among them:
        what was full is yielded then.
        """
        job = lane, workspace
        with self._lock:
            full: Refusal | None = (
                "neighbours" if self.length(lane, neighbours) >= most / 2 else None
            )
            full = "queue" if self.length(lane) >= most else full
            self._creating[job] += full is None
        created = False
        try:
            yield full
            created = full is None
        finally:
            with self._lock:
                self._creating -= Counter(
                    {job: int(full is None)}
                )  # drops those at zero
                self._unseen[job] += created

    def tick(self) -> None:
        """Stop what has run too long, and start the next job of each free lane."""
        with self._lock:
            self._unseen.clear()
            entries = self._unfinished()
            active = [entry for entry in entries if entry.job.state.is_active]
            now = time.monotonic()
            self._since = {
                entry.job.id: self._since.get(entry.job.id, now) for entry in active
            }
            for entry in active:
                if (
                    entry.job.lane == "training"
                    and now - self._since[entry.job.id] > self._longest
                ):
                    with suppress(ApprenticeError):  # it has just ended
                        entry.runner.stop(entry.job.id)
            busy = {entry.job.lane for entry in active}
            waiting = self._in_turn(
                [entry for entry in entries if not entry.job.state.is_active]
            )
            for entry in list(waiting):
                if entry.job.lane not in busy and self._start(entry):
                    busy.add(entry.job.lane)
                    waiting.remove(entry)
                    active.append(entry)
            self._entries = [*active, *waiting]
        process.reap()

    def _unfinished(self) -> list[_Entry]:
        """The jobs of all workspaces, without those that can't be read now."""
        self._ticks += 1
        if self._ticks % _LOOK_AT_ALL == 0:
            self._idle.clear()
        self._idle -= {runner for runner in self._idle if runner.has_news()}
        entries = []
        for runner in self._runners:
            if runner in self._idle:
                continue
            try:
                jobs = runner.scheduler.unfinished()
            except ApprenticeError as error:
                log.warning("%s", error)
                continue
            entries += [_Entry(runner, job) for job in jobs]
            if not jobs:
                self._idle.add(runner)
        return entries

    def _in_turn(self, waiting: list[_Entry]) -> list[_Entry]:
        """One job of each workspace, the longest wait for a turn first, then the second
        job of each, and so on.
        """
        rounds: Counter[tuple[Runner, Lane]] = Counter()
        keys = []
        for entry in waiting:  # each runner's jobs come in the order of its own queue
            whose = entry.runner, entry.job.lane
            keys.append((rounds[whose], self._served[whose], entry.job.queued))
            rounds[whose] += 1
        return [waiting[at] for at in sorted(range(len(waiting)), key=keys.__getitem__)]

    def _start(self, entry: _Entry) -> bool:
        try:
            started = entry.runner.scheduler.start_queued(entry.job)
        except ApprenticeError as error:
            log.warning("%s was not started: %s", entry.job.id, error)
            return False
        if started:
            self._turn += 1
            self._served[entry.runner, entry.job.lane] = self._turn
        return started
