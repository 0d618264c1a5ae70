"""Invented runs, their versions and their retries."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from backend.advice import diagnose
from backend.advice.diagnose import Verdict
from backend.advice.settings import ChosenSettings
from backend.errors import BadInput, RunProblem
from backend.records.evaluation import EvaluationReport
from backend.records.specs import DataRef, Descent, ModelRef, RunSpec, TrainSettings
from backend.runs.next_version import NextVersion
from jobs.records import Job, Progress, State
from tests.ui.fake_datasets import FakeDatasets
from tests.ui.fake_records import (
    MODEL,
    NAME,
    curve,
    job,
)
from ui.records.runs import Curve, Plan, RunDetails, RunInfo, RunSummary, Shortening
from ui.services.demo.gpu_calls import GpuTime
from ui.services.selection import Choice
from ui.services.training import losses


class FakeRuns:
    def __init__(self) -> None:
        states = {"run-a": State.COMPLETED, "run-b": State.RUNNING, "run-c": State.INTERRUPTED}
        self.known = {run_id: job(run_id, state) for run_id, state in states.items()}
        self.notes: dict[str, str] = {}
        self.descents: dict[str, Descent] = {}
        self.undivided: set[str] = set()  # runs that can have no next version

    def job(self, run_id: str) -> Job:
        if run_id not in self.known:
            raise RunProblem("This run is no longer here.")
        return self.known[run_id]

    def is_divided(self, run_id: str) -> bool:
        return run_id not in self.undivided

    def is_training(self) -> bool:
        return any(one.state.is_active for one in self.known.values())

    def gpu_time(self) -> GpuTime | None:
        return None

    def unfinished(self) -> list[Job]:
        return [one for one in self.known.values() if not one.state.is_terminal]

    def damaged(self) -> list[str]:
        return []

    def all(self) -> list[RunSummary]:
        return [
            RunSummary(
                self.info(one.id),
                one.state,
                one.created,
                losses.compute(one, self.curve(one.id)),
                self.note(one.id),
                self.is_divided(one.id),
            )
            for one in sorted(self.known.values(), key=lambda one: one.created, reverse=True)
        ]

    def note(self, run_id: str) -> str:
        return self.notes.get(run_id, "")

    def stop(self, run_id: str) -> None:
        self.known[run_id] = self._again(run_id, State.STOPPED, stop_requested=True)

    def resume(self, run_id: str) -> None:
        self.known[run_id] = self._again(run_id, State.RUNNING, attempt=2)

    def _again(self, run_id: str, state: State, **changes: Any) -> Job:
        before = self.job(run_id)
        return job(run_id, state, name=before.name, created=before.created, progress=before.progress, **changes)

    def info(self, run_id: str) -> RunInfo:
        return RunInfo(run_id, self.job(run_id).name, NAME, "orders.jsonl", 216, self.descents.get(run_id))

    def state(self, run_id: str) -> str:
        return self.known[run_id].state.value if run_id in self.known else ""

    def curve(self, run_id: str) -> Curve:
        return curve(30, 1e-4) if run_id == "run-new" else curve(74)

    def curve_position(self, run_id: str) -> int:
        return 74

    def longest_wait(self, run_id: str) -> float | None:
        return None

    def queue_position(self, run_id: str) -> int:
        return 0

    def verdict(self, run_id: str) -> Verdict | None:
        curve = self.curve(run_id)
        return diagnose.diagnose(curve.steps, curve.evals, TrainSettings())

    def details(self, run_id: str) -> RunDetails:
        halved = {"learning_rate": 1e-4} if run_id == "run-new" else {}  # as in its curve
        one = self.job(run_id)
        data = DataRef(
            name="orders.jsonl", sha256="0" * 64, train_rows=216, validation_rows=24, train_tokens=31200,
            learned_tokens=12400, longest=212,
        )  # fmt: skip
        model = ModelRef(id=MODEL, path=Path("models/bundled"))
        spec = RunSpec(name=one.name, model=model, data=data, settings=TrainSettings(**halved))
        return RunDetails(spec, one, self.curve(run_id))


class FakePlanning:
    def __init__(self, runs: FakeRuns, datasets: FakeDatasets) -> None:
        self._runs, self._datasets = runs, datasets

    def plan(self, data_id: str, model_id: str, settings: TrainSettings, version: NextVersion | None = None) -> Plan:
        return Plan(
            settings=settings,
            model_name=NAME,
            data_name="orders.jsonl",
            train_rows=216,
            validation_rows=24,
            learned_tokens=12400,
            longest=212,
            steps=81,
            evaluations=9,
            seconds=(170.0, 230.0),
            memory_mib=1740.0,
            memory_parts={"weights": 257.0, "adapter": 30.0, "activations": 753.0, "programs": 700.0},
            available_mib=11600.0,
            blocked=self._datasets.state(Choice(data_id=data_id)).blocked,
        )

    def start(
        self,
        data_id: str,
        model_id: str,
        settings: TrainSettings,
        name: str = "",
        *,
        evaluate: bool = True,
        version: NextVersion | None = None,
    ) -> str:
        far = Progress(phase="Training", done=30, total=81, seconds_left=170.0)
        now = time.time()
        self._runs.known["run-new"] = job("run-new", State.RUNNING, name=name or "Orders", created=now, progress=far)
        return "run-new"


class FakeVersions:
    """The next version of run-a is version 2."""

    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self.why_not = ""  # why the next version can't continue this one

    def next(self, run_id: str, *, from_base: bool = False) -> NextVersion:
        self._runs.job(run_id)
        return NextVersion(run_id, run_id, 2, Path("run"), None if from_base else Path("run/result/adapter"), ())

    def number(self, run_id: str) -> int:
        return self._runs.info(run_id).version

    def next_number(self, run_id: str) -> int:
        return 2

    def why_not_continue(self, run_id: str, model_id: str, settings: TrainSettings) -> str:
        return self.why_not

    def check(self, version: NextVersion | None, model_id: str, settings: TrainSettings) -> None:
        if version and version.continues and self.why_not:
            raise BadInput(self.why_not)

    def settings(self, run_id: str, advice: ChosenSettings) -> ChosenSettings:
        return advice

    def train_on(self, run_id: str, epochs: float, *, evaluate: bool = True) -> str:
        self._runs.job(run_id)
        self._runs.known["run-new"] = job("run-new", State.QUEUED, name="Orders")
        return "run-new"

    def rename(self, run_id: str, name: str) -> None:
        self._runs.known[run_id] = self._runs.job(run_id).model_copy(update={"name": name})

    def set_note(self, run_id: str, note: str) -> None:
        self._runs.notes[run_id] = note


class FakeRetries:
    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs

    def retry(self, run_id: str) -> str:
        self._runs.known["run-new"] = job("run-new", State.QUEUED, name="Orders (learning rate 0.0001)")
        return "run-new"

    def retry_evaluated(self, run_id: str, report: EvaluationReport | None) -> str:
        return self.retry(run_id)

    def shortening(self, run_id: str) -> Shortening | None:
        return None

    def retry_shortened(self, run_id: str) -> str:
        raise RunProblem("Shorter examples would not help this run.")

    def first_run(self, run_id: str) -> str:
        return "run-a" if run_id == "run-new" else ""
