"""What takes seconds is worked out beside the page."""

from __future__ import annotations

import threading
import time

import pytest

from ui.services.background_cache import Comparing


def answered(comparing: Comparing[int], question: str) -> int | None:
    """The answer, once it is there."""
    for _ in range(500):
        if (found := comparing.get(question, lambda: 0)) is not None:
            return found
        time.sleep(0.01)
    return None


def test_nobody_waits_and_each_question_is_answered_once() -> None:
    gate, asked = threading.Event(), []

    def work() -> int:
        asked.append(1)
        gate.wait(10)
        return 7

    comparing: Comparing[int] = Comparing()
    assert comparing.get("a", work) is None
    assert comparing.get("a", work) is None
    gate.set()
    assert answered(comparing, "a") == 7
    assert len(asked) == 1


def test_a_failure_is_told_to_whoever_asks_and_stops_nothing() -> None:
    def broken() -> int:
        raise ValueError("no")

    comparing: Comparing[int] = Comparing()
    comparing.get("bad", broken)
    with pytest.raises(ValueError, match="no"):
        answered(comparing, "bad")
    comparing.get("good", lambda: 3)
    assert answered(comparing, "good") == 3


def test_what_failed_is_tried_anew_when_it_is_asked_again() -> None:
    def broken() -> int:
        raise ValueError("no")

    comparing: Comparing[int] = Comparing()
    comparing.get("a", broken)
    with pytest.raises(ValueError, match="no"):
        answered(comparing, "a")
    comparing.get("a", lambda: 3)
    assert answered(comparing, "a") == 3


def test_only_the_latest_answers_are_kept() -> None:
    comparing: Comparing[int] = Comparing()
    for number in range(200):
        comparing.get(str(number), lambda: 1)
        assert answered(comparing, str(number)) == 1
    assert len(comparing._found) < 100
    assert comparing.get("199", lambda: 2) == 1
