"""What Train says about a trained model: nothing better than was measured."""

from __future__ import annotations

import pytest

from jobs.records import Progress, State
from tests.ui.fake_records import job, report
from ui.web.train.outcome import NOT_CHECKED, outcome


def test_without_an_evaluation_nobody_knows() -> None:
    shown = outcome(None, None)
    assert NOT_CHECKED[0] in shown
    assert "good" not in shown.partition(">")[0], "no green light"


@pytest.mark.parametrize(("verdict", "tone"), [("better", "good"), ("no_difference_shown", "calm"), ("worse", "bad")])
def test_the_verdict_is_the_measured_one(verdict: str, tone: str) -> None:
    shown = outcome(None, {**report(), "verdict": verdict})
    assert tone in shown.partition(">")[0]


def test_a_running_evaluation_shows_how_far_it_is() -> None:
    running = job("evaluate-run-a", State.RUNNING, kind="evaluate", progress=Progress(phase="P", done=3, total=9))
    assert "3 of 9" in outcome(running, report())
