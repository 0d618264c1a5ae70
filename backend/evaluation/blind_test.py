"""A blind test: a person chooses between the answers of two systems without knowing
whose they are.

The sides are drawn when the test is made. A `Question` holds no more than the page may
know; names come with the `Outcome`, once nothing can be changed any more. A test ends
when the e-value of its votes reaches VERDICT_AT, after its last question, or by
`ended`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import model_validator

from backend.errors import BadInput
from backend.records.base import Record
from backend.records.evaluation import SYSTEMS, ReportedAnswer
from backend.statistics import VERDICT_AT, e_value

Vote = Literal["left", "right", "same"]
VOTES: tuple[Vote, ...] = ("left", "right", "same")

OTHER = "other"  # in older files: the model of another run, in place of a system
_LONGEST = 40  # questions
_REPEATED_FROM = 6  # only so many of the first are repeated, since a clear test may end after eight votes
_APART = 3, 5  # questions from one to its repetition


class Pair(Record):
    """Two answers to a question. answers: in the order of the test's systems. swapped:
    the second is on the left. repeats: it is asked for the second time.
    """

    question: str
    answers: tuple[str, str]
    swapped: bool
    repeats: int | None = None  # the position of the first time

    @property
    def sides(self) -> tuple[str, str]:
        """The answers (left, right)."""
        first, second = self.answers
        return (second, first) if self.swapped else (first, second)

    def preferred(self, vote: Vote) -> int | None:
        """The system that a vote prefers, 0 or 1; None for neither."""
        return None if vote == "same" else int((vote == "right") != self.swapped)


@dataclass(frozen=True)
class Question:
    """A question as a voter sees it. at: its number, from 1. can_undo: whether there is
    a vote before it.
    """

    at: int
    total: int
    question: str
    left: str
    right: str
    can_undo: bool


@dataclass(frozen=True)
class Revealed:
    """A question of an ended test. answers: in the order of the systems. preferred: 0,
    1, or None for neither.
    """

    question: str
    answers: tuple[str, str]
    preferred: int | None


@dataclass(frozen=True)
class Outcome:
    """How a test ended. systems, other: as in `BlindTest`. wins: of each. better: the
    system that is shown to be better, 0 or 1. repeated: questions that were asked
    twice; consistent: how many of them were answered the same way.
    """

    systems: tuple[str, str]
    wins: tuple[int, int]
    same: int
    e_value: float
    better: int | None
    repeated: int
    consistent: int
    questions: tuple[Revealed, ...]
    other: str = ""

    def to_json(self) -> dict[str, Any]:
        """The verdict without the answers; `better` is the name of a system, None where
        no difference is shown.
        """
        better = None if self.better is None else self.systems[self.better]
        names = ("systems", "other", "wins", "same", "e_value")
        return {**{name: getattr(self, name) for name in names}, "better": better}


class BlindTest(Record):
    """systems: their names in the report. votes: one for each of the first pairs.
    stopped: ended before its end. other: what the person calls the model OTHER.
    """

    systems: tuple[str, str]
    pairs: tuple[Pair, ...]
    votes: tuple[Vote, ...] = ()
    stopped: bool = False
    other: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        """A file may be damaged."""
        if not set(self.systems) <= {*SYSTEMS, OTHER}:
            raise ValueError("unknown systems")
        for at, pair in enumerate(self.pairs):
            if pair.repeats is not None and not 0 <= pair.repeats < at:
                raise ValueError("a pair repeats none of those before it")
        return self

    @property
    def has_ended(self) -> bool:
        return (
            self.stopped
            or len(self.votes) >= len(self.pairs)
            or self._e_value >= VERDICT_AT
        )

    @property
    def _e_value(self) -> float:
        return e_value(*self._wins())

    def _choices(self) -> list[tuple[Pair, int | None]]:
        """Each pair with a vote, and the system that was preferred."""
        return [
            (pair, pair.preferred(vote))
            for pair, vote in zip(self.pairs, self.votes, strict=False)
        ]

    def _wins(self) -> tuple[int, int]:
        """The votes for each system; a repetition is no further vote."""
        choices = [choice for pair, choice in self._choices() if pair.repeats is None]
        return choices.count(0), choices.count(1)

    def voted(self, at: int, vote: Vote) -> Self:
        """The test with a vote on the question with this number; unchanged if that is
        not the current one.
        """
        if self.has_ended or at != len(self.votes) + 1:
            return self
        return self.model_copy(update={"votes": (*self.votes, vote)})

    def undone(self, at: int) -> Self:
        """The test without the last vote; unchanged if `at` is not the current
        question, or the names are known.
        """
        if self.has_ended or at != len(self.votes) + 1:
            return self
        return self.model_copy(update={"votes": self.votes[:-1]})

    def ended(self) -> Self:
        return self.model_copy(update={"stopped": True})

    @property
    def state(self) -> Question | Outcome:
        """The current question, or how the test ended."""
        if self.has_ended:
            return self._outcome()
        at = len(self.votes)
        pair = self.pairs[at]
        return Question(
            at + 1, len(self.pairs), pair.question, *pair.sides, can_undo=at > 0
        )

    def _outcome(self) -> Outcome:
        voted = self._choices()
        first = [(pair, choice) for pair, choice in voted if pair.repeats is None]
        again = [
            voted[pair.repeats][1] == choice
            for pair, choice in voted
            if pair.repeats is not None
        ]
        wins = self._wins()
        return Outcome(
            systems=self.systems,
            wins=wins,
            same=len(first) - sum(wins),
            e_value=self._e_value,
            better=wins.index(max(wins)) if self._e_value >= VERDICT_AT else None,
            repeated=len(again),
            consistent=sum(again),
            questions=tuple(
                Revealed(pair.question, pair.answers, choice) for pair, choice in first
            ),
            other=self.other,
        )


def new_test(
    answers: Sequence[ReportedAnswer], systems: tuple[str, str], seed: int
) -> BlindTest:
    """A test of two systems. Raises BadInput when no question remains. One question of
    each cluster, since answers that depend on each other would count twice; none where
    both systems answered the same. answers: of an evaluation's report. systems: the
    names of the two. seed: decides the order and the sides.
    """
    draw = random.Random(seed)  # noqa: S311 (a person is to be kept from guessing, not an attacker)
    by_cluster: dict[int, Pair] = {}
    for answer in draw.sample(answers, len(answers)):
        first, second = (answer.texts[name].strip() for name in systems)
        if first.split() != second.split():
            pair = Pair(
                question=answer.question,
                answers=(first, second),
                swapped=draw.random() < 0.5,
            )
            by_cluster.setdefault(answer.cluster, pair)
    pairs = list(by_cluster.values())[:_LONGEST]
    if not pairs:
        why = "Both answered every question the same way."
        raise BadInput("There is nothing to choose between.", why, "Choose two others.")
    return BlindTest(systems=systems, pairs=tuple(_with_repetitions(pairs, draw)))


def _with_repetitions(pairs: Sequence[Pair], draw: random.Random) -> list[Pair]:
    """The pairs, with up to three of the first ones repeated a few questions later,
    their sides swapped.
    """
    last = len(pairs) - _APART[0]  # the first pair that has too few after it
    repeated = draw.sample(
        range(max(0, min(last, _REPEATED_FROM))), min(max(0, last), _REPEATED_FROM) // 2
    )
    order = [(at, False) for at in range(len(pairs))]
    for at in sorted(repeated, reverse=True):
        order.insert(at + 1 + draw.randint(*_APART), (at, True))
    place = {at: position for position, (at, again) in enumerate(order) if not again}
    return [
        pairs[at].model_copy(
            update={"swapped": not pairs[at].swapped, "repeats": place[at]}
        )
        if again
        else pairs[at]
        for at, again in order
    ]
