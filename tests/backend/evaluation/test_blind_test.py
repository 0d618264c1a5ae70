"""Blind tests: sides are random and hidden until the end."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from pydantic import ValidationError

from backend.errors import BadInput
from backend.evaluation.blind_test import (
    OTHER,
    BlindTest,
    Outcome,
    Pair,
    Question,
    Vote,
    new_test,
)
from backend.records.evaluation import ReportedAnswer
from backend.statistics import e_value

SYSTEMS = ("tuned", "base")


def answers(count: int, **changes: Any) -> list[ReportedAnswer]:
    return [answer(n, **changes) for n in range(count)]


def answer(n: int, **changes: Any) -> ReportedAnswer:
    texts = {
        "question": f"Q{n}",
        "expected": "A",
        "tuned": f"tuned {n}",
        "base": f"base {n}",
    }
    return ReportedAnswer.model_validate(
        {**texts, "scores": {}, "cluster": n, **changes}
    )


def voted(test: BlindTest, choose: Callable[[Question], Vote]) -> BlindTest:
    """The test after votes up to its end."""
    while isinstance(question := test.state, Question):
        test = test.voted(question.at, choose(question))
    return test


def prefers(system: str) -> Callable[[Question], Vote]:
    return lambda question: "left" if question.left.startswith(system) else "right"


def outcome(test: BlindTest) -> Outcome:
    assert isinstance(test.state, Outcome)
    return test.state


class TestNewTest:
    def test_every_question_shows_both_answers(self) -> None:
        for pair in new_test(answers(20), SYSTEMS, 1).pairs:
            assert (
                pair.question[1:]
                == pair.answers[0].split()[1]
                == pair.answers[1].split()[1]
            )
            assert sorted(pair.sides) == sorted(pair.answers)

    def test_each_side_comes_about_as_often_and_the_order_changes(self) -> None:
        tests = [new_test(answers(20), SYSTEMS, seed) for seed in range(200)]
        swapped = [
            pair.swapped
            for test in tests
            for pair in test.pairs
            if pair.repeats is None
        ]
        assert 0.46 < sum(swapped) / len(swapped) < 0.54
        assert (
            len({test.pairs[0].question for test in tests}),
            new_test(answers(20), SYSTEMS, 3),
        ) == (20, tests[3])

    def test_identical_answers_are_skipped_whatever_their_spaces(self) -> None:
        same = [answer(n, base=f" tuned  {n}\n") for n in range(3)]
        test = new_test([*same, *answers(6)[3:]], SYSTEMS, 1)
        assert {pair.question for pair in test.pairs} == {"Q3", "Q4", "Q5"}
        with pytest.raises(BadInput):
            new_test(same, SYSTEMS, 1)

    def test_an_older_test_with_another_run_is_still_read(self) -> None:
        made = new_test(answers(3), SYSTEMS, 1)
        older = made.model_copy(
            update={"systems": ("tuned", OTHER), "other": "Orders, version 1"}
        )
        read = BlindTest.model_validate_json(older.model_dump_json())
        assert (read, outcome(read.ended()).other) == (older, "Orders, version 1")

    def test_near_copies_are_asked_once_and_one_with_identical_answers_hides_no_other(
        self,
    ) -> None:
        assert len(new_test(answers(8, cluster=1), SYSTEMS, 1).pairs) == 1
        two = [answer(0, base="tuned 0"), answer(1, cluster=0)]
        assert all(
            new_test(two, SYSTEMS, seed).pairs[0].question == "Q1" for seed in range(20)
        )

    @pytest.mark.parametrize(
        ("count", "repeated"), [(1, 0), (4, 0), (5, 1), (9, 3), (30, 3), (60, 3)]
    )
    def test_a_few_come_again_later_with_their_sides_swapped(
        self, count: int, repeated: int
    ) -> None:
        for seed in range(50):
            pairs = new_test(answers(count), SYSTEMS, seed).pairs
            again = [
                (at, pair) for at, pair in enumerate(pairs) if pair.repeats is not None
            ]
            assert (len(again), len(pairs)) == (repeated, min(count, 40) + repeated)
            for at, pair in again:
                first = pairs[pair.repeats]
                assert (first.repeats, first.sides) == (None, pair.sides[::-1])
                assert at - pair.repeats > 3


class TestVoting:
    def test_a_question_says_nothing_about_whose_answers_it_shows(self) -> None:
        names = {one.name for one in fields(Question)}
        assert names == {"at", "total", "question", "left", "right", "can_undo"}

    @pytest.mark.parametrize("system", SYSTEMS)
    def test_eight_votes_for_one_decide(self, system: str) -> None:
        ended = outcome(voted(new_test(answers(30), SYSTEMS, 5), prefers(system)))
        assert ended.better == SYSTEMS.index(system)
        assert (max(ended.wins), min(ended.wins), ended.e_value) == (
            8,
            0,
            e_value(8, 0),
        )
        assert ended.consistent == ended.repeated > 0

    def test_a_voter_who_always_takes_the_left_is_not_consistent_and_shows_nothing(
        self,
    ) -> None:
        found = [
            outcome(voted(new_test(answers(30), SYSTEMS, seed), lambda _: "left"))
            for seed in range(50)
        ]
        assert all(one.consistent == 0 for one in found)
        assert sum(one.better is not None for one in found) <= 4

    def test_no_difference_is_no_vote_for_either_and_a_repetition_counts_for_consistency_only(
        self,
    ) -> None:
        ended = outcome(voted(new_test(answers(12), SYSTEMS, 1), lambda _: "same"))
        assert (ended.wins, ended.same, ended.better, ended.e_value) == (
            (0, 0),
            12,
            None,
            1,
        )
        assert (ended.repeated, ended.consistent) == (3, 3)
        ended = outcome(voted(new_test(answers(7), SYSTEMS, 1), prefers("base")))
        assert (ended.wins, ended.repeated, ended.better) == ((0, 7), 2, None)

    def test_a_second_click_on_the_same_question_does_nothing(self) -> None:
        test = new_test(answers(9), SYSTEMS, 1).voted(1, "left")
        assert test.voted(1, "right") is test
        assert test.voted(3, "right") is test
        assert BlindTest.model_validate_json(test.model_dump_json()) == test

    def test_a_vote_can_be_undone_until_the_end(self) -> None:
        new = new_test(answers(9), SYSTEMS, 1)
        assert (
            new.undone(1).votes,
            new.voted(1, "left").voted(2, "right").undone(3).votes,
        ) == ((), ("left",))
        assert new.voted(1, "left").undone(1).votes == ("left",)
        ended = new.voted(1, "left").ended()
        assert ended.undone(2) is ended
        assert ended.voted(2, "left") is ended
        decided = voted(new_test(answers(30), SYSTEMS, 5), prefers("base"))
        assert decided.undone(len(decided.votes) + 1) is decided

    def test_ended_early_it_reveals_what_was_voted_on(self) -> None:
        test = new_test(answers(9), SYSTEMS, 1)
        first = test.pairs[0]
        ended = outcome(test.voted(1, "left").ended())
        assert [(one.question, one.answers) for one in ended.questions] == [
            (first.question, first.answers)
        ]
        assert first.answers[ended.questions[0].preferred or 0] == first.sides[0]
        assert outcome(test.ended()).questions == ()

    @pytest.mark.parametrize("swapped", [True, False])
    def test_a_vote_names_the_system_on_that_side(self, swapped: bool) -> None:
        pair = Pair(question="?", answers=("one", "other"), swapped=swapped)
        assert [
            pair.answers[pair.preferred(side) or 0] for side in ("left", "right")
        ] == list(pair.sides)
        assert pair.preferred("same") is None

    def test_an_unknown_system_and_a_repetition_of_no_earlier_question_are_rejected(
        self,
    ) -> None:
        pair = {"question": "?", "answers": ["one", "other"], "swapped": False}
        damaged = [
            {"systems": SYSTEMS, "pairs": [{**pair, "repeats": repeats}]}
            for repeats in (-1, 0, 1, 99)
        ]
        for stored in (
            *damaged,
            {
                **new_test(answers(9), SYSTEMS, 1).model_dump(),
                "systems": ("tuned", "unknown"),
            },
        ):
            with pytest.raises(ValidationError):
                BlindTest.model_validate(stored)
