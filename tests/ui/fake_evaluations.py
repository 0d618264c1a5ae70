"""Invented evaluations, trials of prompts, and blind tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import cast

from backend.errors import BadInput
from backend.evaluation.blind_test import OTHER, BlindTest, Outcome, Question, Vote, new_test, with_other
from backend.records.evaluation import EvaluationReport, EvaluationSummary, TrialReport
from jobs.records import Job, Progress, State
from tests.ui.fake_records import (
    job,
    report,
    trial_report,
)
from tests.ui.fake_runs import FakeRuns
from ui.services.results.opponents import BASE_MODEL, Opponent
from ui.services.selection import Choice


class FakeEvaluations:
    """seconds: how long an evaluation runs before its report is there."""

    def __init__(self, runs: FakeRuns) -> None:
        self._runs = runs
        self.jobs: dict[str, Job] = {}
        self.baselines: dict[str, bool] = {}
        self.facts = ""
        self.held_out = 8
        self.answered = False
        self.seconds = 1.5

    def questions(self, run_id: str) -> int:
        self._runs.job(run_id)
        return self.held_out

    def has_texts(self, run_id: str) -> bool:
        return False

    def start(self, run_id: str, *, baselines: bool = False, items: int | None = None, facts: str = "") -> str:
        self.facts = facts
        far = Progress(phase="Asking the base model", done=3, total=self.held_out)
        self.jobs[run_id] = job(
            f"evaluate-{run_id}", State.RUNNING, kind="evaluate", parent=run_id, created=time.time(), progress=far
        )
        self.baselines[run_id] = baselines
        return self.jobs[run_id].id

    def stop(self, run_id: str) -> None:
        if (found := self.latest(run_id)) and not found.state.is_terminal:
            self.jobs[run_id] = found.model_copy(update={"state": State.STOPPED})

    def has_answers(self, run_id: str) -> bool:
        return self.answered

    def latest(self, run_id: str) -> Job | None:
        found = self.jobs.get(run_id)
        if found and found.state is State.RUNNING and time.time() >= found.created + self.seconds:
            self.jobs[run_id] = found.model_copy(update={"state": State.COMPLETED})
        return self.jobs.get(run_id)

    def latest_report(self, run_id: str) -> EvaluationReport | None:
        found = self.latest(run_id)
        return report(self.baselines[run_id]) if found and found.state is State.COMPLETED else None

    def page(self, run_id: str, draw: Callable[[EvaluationReport], str]) -> Path | None:
        return Path("/tmp/report.html")

    def summaries(self) -> dict[str, EvaluationSummary]:
        found = {run_id: self.latest_report(run_id) for run_id in self._runs.known}
        return {run_id: one for run_id, one in found.items() if one}


class FakePromptTrials:
    """seconds: how long a trial runs before its result is there."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.current = True
        self.seconds = 1.5

    def why_not(self, choice: Choice) -> str:
        return "" if choice.data_id else "Add examples first, in step 2."

    def questions(self, choice: Choice) -> int:
        return 8

    def expected_seconds(self, choice: Choice) -> tuple[float, float] | None:
        return (60.0, 120.0) if choice.data_id else None

    def start(self, choice: Choice, items: int | None = None, facts: str = "") -> str:
        far = Progress(phase="Trying instructions", done=3, total=8)
        self.job = job("prompts-1", State.RUNNING, kind="try_prompts", created=time.time(), progress=far)
        return self.job.id

    def stop(self, choice: Choice) -> None:
        if (found := self.latest(choice)) and not found.state.is_terminal:
            self.job = found.model_copy(update={"state": State.STOPPED})

    def latest(self, choice: Choice) -> Job | None:
        if self.job and self.job.state is State.RUNNING and time.time() >= self.job.created + self.seconds:
            self.job = self.job.model_copy(update={"state": State.COMPLETED})
        return self.job if choice.data_id else None

    def is_current(self, job: Job, choice: Choice) -> bool:
        return self.current

    def report(self, job_id: str) -> TrialReport:
        return TrialReport.model_validate(trial_report())


class FakeBlindTests:
    def __init__(self, evaluations: FakeEvaluations) -> None:
        self._evaluations = evaluations
        self.tests: dict[str, BlindTest] = {}

    def systems(self, run_id: str, other: Opponent = BASE_MODEL) -> list[str]:
        found = self._evaluations.latest_report(run_id)
        theirs = self._evaluations.latest_report(other.id) if other.is_run else None
        return [*found.systems, *([OTHER] if theirs else [])] if found else []

    def start(self, run_id: str, first: str, second: str, other: Opponent = BASE_MODEL) -> None:
        found = self._evaluations.latest_report(run_id)
        if not found or first == second or not {first, second} <= set(self.systems(run_id, other)):
            raise BadInput("Choose two different ones to compare.")
        theirs = self._evaluations.latest_report(other.id) if OTHER in (first, second) else None
        answers = with_other(found.answers, theirs.answers) if theirs else found.answers
        self.tests[run_id] = new_test(answers, (first, second), 1, other.words if theirs else "")

    def state(self, run_id: str) -> Question | Outcome | None:
        return self.tests[run_id].state if run_id in self.tests else None

    def outcome(self, run_id: str) -> Outcome | None:
        state = self.state(run_id)
        return state if isinstance(state, Outcome) else None

    def change_token(self, run_id: str) -> Hashable:
        return self.tests.get(run_id)

    def vote(self, run_id: str, at: int, vote: str) -> None:
        self.tests[run_id] = self.tests[run_id].voted(at, cast("Vote", vote))

    def undo(self, run_id: str, at: int) -> None:
        self.tests[run_id] = self.tests[run_id].undone(at)

    def end(self, run_id: str) -> None:
        self.tests[run_id] = self.tests[run_id].ended()
