"""What Train says about a trained model: nothing better than was measured."""

from __future__ import annotations

import pytest

from jobs.records import Failure, Progress, State
from tests.ui.fake_records import against_parent, job, report
from ui.web.train.running import CANT_CHECK, NOT_CHECKED, outcome


def test_without_an_evaluation_nobody_knows() -> None:
    shown = outcome(None, None)
    assert NOT_CHECKED[0] in shown
    assert "good" not in shown.partition(">")[0], "no green light"


@pytest.mark.parametrize(("verdict", "tone"), [("better", "good"), ("no_difference_shown", "calm"), ("worse", "bad")])
def test_the_verdict_is_the_measured_one(verdict: str, tone: str) -> None:
    shown = outcome(None, report(verdict=verdict))
    assert tone in shown.partition(">")[0]


def test_a_running_evaluation_shows_how_far_it_is() -> None:
    running = job("evaluate-run-a", State.RUNNING, kind="evaluate", progress=Progress(phase="P", done=3, total=9))
    assert "3 of 9" in outcome(running, report())


def test_without_examples_to_check_it_nobody_is_sent_to_try() -> None:
    shown = outcome(None, None, can_check=False)
    assert CANT_CHECK[1] in shown
    assert NOT_CHECKED[2] not in shown


@pytest.mark.parametrize("earlier", [True, False])
def test_a_failed_evaluation_says_why(earlier: bool) -> None:
    failed = job("evaluate-1", State.FAILED, kind="evaluate", failure=Failure(what="It failed.", why="No memory."))
    shown = outcome(failed, report() if earlier else None)
    assert "No memory." in shown
    assert NOT_CHECKED[0] not in shown
    assert ("earlier check" in shown) is ('class="alert good"' in shown) is earlier


def test_a_waiting_evaluation_says_what_it_waits_for() -> None:
    assert "Waiting" in outcome(job("evaluate-1", State.QUEUED, kind="evaluate"), None)


@pytest.mark.parametrize(("verdict", "tone"), [("better", "good"), ("no_difference_shown", "calm"), ("worse", "bad")])
def test_a_later_version_is_compared_with_the_one_before(verdict: str, tone: str) -> None:
    _, _, shown = outcome(None, report(**against_parent(verdict))).rpartition("<div")
    assert f'class="alert {tone}"' in shown
    assert all(words in shown for words in ("version 1", "6 of 7 right", "4 of 7 right", "1 of the questions"))


def test_why_there_is_no_comparison_is_shown() -> None:
    gone = {"run": "run-x", "why_not": "It was deleted."}
    assert "It was deleted." in outcome(None, report(against_parent="not_measured", parent=gone))
    assert "version" not in outcome(None, report(against_parent="not_measured", parent=None))
