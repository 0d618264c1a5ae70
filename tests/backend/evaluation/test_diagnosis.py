"""Each fault of a model's answers is recognized, and right answers never count as one."""

from types import SimpleNamespace
from typing import Any

import pytest

from backend.evaluation import diagnosis
from backend.evaluation.diagnosis import findings
from backend.evaluation.items import Item, items_from
from backend.records.specs import TrainSettings
from tests.ui import fake_records

PLACES = (
    "harbour",
    "market",
    "museum",
    "station",
    "library",
    "castle",
    "garden",
    "bridge",
    "theatre",
    "bakery",
)


def items(first: int) -> list[Item]:
    return items_from(
        [
            [
                {
                    "role": "user",
                    "content": f"When does the {place} open, case {first + i}{place}?",
                },
                {
                    "role": "assistant",
                    "content": f"The {place} opens at {first + i} o'clock, dear.",
                },
            ]
            for i, place in enumerate(PLACES)
        ]
    )


HELD_OUT, TRAIN = items(10), items(50)
RIGHT = [item.answer for item in HELD_OUT]


def found(texts: list[str], ended: bool = True) -> list[str]:
    wrong = [text != item.answer for text, item in zip(texts, HELD_OUT, strict=True)]
    strange = ["qorv" in text for text in texts]
    return [
        one.kind
        for one in findings(
            HELD_OUT, TRAIN, texts, [ended] * len(texts), wrong, strange
        )
    ]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("gibberish", [f"qorv{i} zumplet brask{i} {i}vint" for i in range(10)]),
        ("loops", ["The bakery, the bakery, the bakery, the bakery"] * 5 + RIGHT[5:]),
        ("same_answer", ["The museum opens at the station."] * 6 + RIGHT[6:]),
        ("repeats_question", [item.question for item in HELD_OUT]),
        ("memorized", [item.answer for item in TRAIN[:4]] + RIGHT[4:]),
    ],
)
def test_a_fault_is_recognized(kind: str, texts: list[str]) -> None:
    assert found(texts)[0] == kind


def test_faults_are_found_only_where_they_are() -> None:
    assert found([f"{text} and then" for text in RIGHT], ended=False) == ["never_ends"]
    assert (found(RIGHT), found(RIGHT, ended=False)) == ([], [])
    assert found(["no idea", *RIGHT[1:]]) == [], "one in ten is not often"
    # As a wrong label is: it stands in the examples, and is right elsewhere.
    assert found([RIGHT[1], RIGHT[0], RIGHT[3], RIGHT[2], *RIGHT[4:]]) == []
    few, texts = (
        HELD_OUT[:5],
        ["The bakery, the bakery, the bakery, the bakery"] * 2 + RIGHT[2:5],
    )
    assert (
        findings(few, TRAIN, texts, [True] * 5, [True] * 2 + [False] * 3, [False] * 5)
        == []
    )


def test_a_memorized_answer_names_the_example() -> None:
    texts = [item.answer for item in TRAIN[:4]] + RIGHT[4:]
    wrong = [True] * 4 + [False] * 6
    (one,) = findings(HELD_OUT, TRAIN, texts, [True] * 10, wrong, [False] * 10)
    assert (one.share, one.example) == (0.4, TRAIN[0].answer)
    assert one.to_json()["example"] == TRAIN[0].answer


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("gibberish", {"learning_rate": 1e-4}), ("worse", {"learning_rate": 1e-4}),
        ("loops", {"num_train_epochs": 6.0}), ("memorized", {"num_train_epochs": 1.5}), ("use_it", {}),
    ],
)  # fmt: skip
def test_a_finding_changes_one_setting(kind: str, change: dict[str, float]) -> None:
    assert (
        diagnosis.change(kind, TrainSettings(learning_rate=2e-4, num_train_epochs=3))
        == change
    )


@pytest.mark.parametrize(
    ("losses", "falling"),
    [
        ([2.0, 1.5, 1.2], True),
        ([2.0, 1.2, 1.19], False),
        ([1.0, 2.0], False),
        ([1.0], None),
    ],
)
def test_more_epochs_are_advised_only_where_the_loss_was_falling(
    losses: list[float], falling: bool | None
) -> None:
    assert diagnosis.still_falling(losses) is falling
    for kind in ("loops", "train_longer"):
        assert ("too briefly" in diagnosis.sentence(kind, falling)) is (falling is True)
        assert (
            "num_train_epochs" in diagnosis.change(kind, TrainSettings(), falling)
        ) is (falling is not False)
    brief = fake_records.report(findings=[{"kind": "loops", "share": 0.5}])
    assert diagnosis.change("continue", TrainSettings(), falling) == {}
    limits = [
        TrainSettings(num_train_epochs=3, keep_general=0, max_steps=most)
        for most in (-1, 10)
    ]
    runs: list[Any] = [
        SimpleNamespace(settings=limit, data=SimpleNamespace(train_rows=80))
        for limit in limits
    ]
    whole, short = (diagnosis.cut_short(run, 10) for run in runs)
    assert (whole, "after 10 of 30 steps" in short) == ("", True)
    assert diagnosis.cut_short(runs[1], 4) == "", "early stopping ended it"
    for stopped, cut, kind in (
        (True, "", "continue"),
        (False, short, "cut_short"),
        (False, "", "loops"),
    ):
        step = diagnosis.with_next_step(brief, falling, stopped=stopped, cut=cut)
        assert step.next_kind == ("loops" if falling is False else kind)
        assert step.next.startswith(cut)
        assert ("cut short" in step.next) == bool(cut)


def test_epochs_are_not_raised_where_steps_end_the_training() -> None:
    assert diagnosis.change("loops", TrainSettings(max_steps=20)) == {}
    assert diagnosis.change("cut_short", TrainSettings(max_steps=20)) == {
        "max_steps": -1
    }
    assert diagnosis.change("memorized", TrainSettings(max_steps=20)) == {}
    assert diagnosis.change("loops", TrainSettings(num_train_epochs=100)) == {}
