"""What is lost by training is found: only what the base model knew, and only beyond chance."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backend.evaluation import general
from backend.evaluation.items import Item
from backend.records.evaluation import GeneralCheck
from tests.backend.evaluation.spoken import Spoken

ASKED = [question for question, _ in general.QUESTIONS]


class Known(Spoken):
    def loss(self, pane: str, item: Item) -> float:
        return 3.0


def check(right: Callable[[str, int], bool]) -> GeneralCheck:
    """right: whether a pane answers the question of a number correctly."""

    def said(pane: str, given: str) -> str:
        number = ASKED.index(given)
        return f"It is {general.QUESTIONS[number][1][0].upper()}." if right(pane, number) else "Hm."

    return general.check(Known(said), lambda done, total: None)


def test_what_was_lost_is_named() -> None:
    found = check(lambda pane, n: n < 10 if pane == "base" else n < 9)
    assert (found.asked, found.base_right, found.tuned_right) == (len(general.QUESTIONS), 10, 9)
    assert (found.kept, found.lost) == (9, (general.QUESTIONS[9][0],))
    assert not found.dropped, "one may be chance"
    assert (found.loss.base, found.loss.tuned) == (3.0, 3.0)


def test_a_real_drop_is_named() -> None:
    assert check(lambda pane, n: pane == "base" or n >= 8).dropped
    assert not check(lambda pane, n: False).dropped


def test_as_many_gained_as_lost_is_no_drop() -> None:
    assert not check(lambda pane, n: n < 12 if pane == "base" else 6 <= n < 18).dropped


@pytest.mark.parametrize(
    ("answer", "right"), [("Paris", True), ("It's **Paris**!", True), ("Parisian food", False), ("", False)]
)
def test_a_word_must_stand_in_the_answer(answer: str, right: bool) -> None:
    assert general.is_right(0, answer) == right
