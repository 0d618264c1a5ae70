"""A split is fair, repeatable, and sensible for few rows."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets.check_dataset import check
from backend.datasets.checks.report import ValidationFile
from backend.datasets.split import Roles, Split, split, split_with
from backend.errors import BadSetting
from backend.records.rows import Row
from backend.text.normalize import Groups
from tests.backend.datasets.builders import chat, clean_row, clean_rows, dataset


@pytest.mark.parametrize(
    ("count", "set_aside", "judging"),
    [
        (0, 0, 0), (1, 0, 0), (2, 1, 1), (9, 2, 2), (57, 14, 14), (92, 23, 23), (96, 24, 12), (240, 24, 12),
        (500, 50, 25),
    ],
)  # fmt: skip
def test_few_rows_keep_back_enough_to_judge_by(
    count: int, set_aside: int, judging: int
) -> None:
    """At least 24 or a quarter; from 24 on one half chooses the checkpoint and the
    other judges.
    """
    parts = split(clean_rows(count))
    assert (parts.set_aside, len(parts.judging), len(parts.train)) == (
        set_aside,
        judging,
        count - set_aside,
    )
    assert parts.chooses == (set_aside >= 24)
    assert bool({*parts.judging} & {*parts.validation}) == (0 < set_aside < 24)
    numbers = (
        [count - set_aside, set_aside, set_aside - judging, judging]
        if parts.chooses
        else []
    )
    assert [int(n) for n in re.findall(r"\d+", parts.sentence)][
        : len(numbers)
    ] == numbers


def test_the_share_and_the_seed_decide_the_split() -> None:
    assert split(clean_rows(200), fraction=0.3).set_aside == 60
    rows = clean_rows(100)
    assert split(rows, seed=3) == split(rows, seed=3)
    assert split(rows, seed=3).validation != split(rows, seed=4).validation


@given(
    st.integers(0, 40),
    st.floats(0, 0.5),
    st.integers(0, 5),
    st.lists(
        st.lists(st.integers(0, 39), min_size=2, max_size=6, unique=True).map(sorted),
        max_size=3,
    ),
)
def test_rows_stay_on_one_side_with_groups(
    count: int, fraction: float, seed: int, groups: list[list[int]]
) -> None:
    taken: set[int] = set()
    together = []
    for group in groups:
        if not taken & {*group} and max(group) < count:
            together.append(group)
            taken.update(group)
    rows = clean_rows(count)
    parts = split(rows, fraction, seed, together)
    aside = {*parts.validation, *parts.judging}
    assert sorted([*parts.train, *aside]) == list(range(count))
    for group in together:
        assert any(
            {*group} <= {*side}
            for side in (parts.train, parts.validation, parts.judging)
        )
    assert not parts.chooses or not {*parts.validation} & {*parts.judging}
    apart = count - sum(len(group) - 1 for group in together)
    assert bool(parts.validation) == (fraction > 0 and apart > 1)
    assert bool(parts.train) == (count > 0)


@pytest.mark.parametrize(
    ("groups", "aside"), [(None, (12, 12)), ([], (6, 6))]
)  # in groups they are too few to choose
def test_rows_made_from_a_text_are_set_aside_in_proportion(
    groups: Groups | None, aside: tuple[int, int]
) -> None:
    """58 rows of a file, and 54 made from a table, three of each of its rows or each
    for itself.
    """
    made = [
        replace(clean_row(i), origin="added", made="from a table", passage=i // 3)
        for i in range(60, 114)
    ]
    rows = [*clean_rows(58), *made]
    parts = split(rows, together=groups)
    sides = parts.train, parts.validation, parts.judging
    assert [
        (sum(i < 58 for i in side), sum(i >= 58 for i in side)) for side in sides
    ] == [(46, 42), aside, aside]
    assert {i for i in (*parts.validation, *parts.judging) if i < 58} <= {
        *split(rows[:58]).judging
    }
    more = split([*rows, replace(clean_row(114), made="from a table")], together=groups)
    assert len({*more.train} - {*parts.train, 112}) <= 3


def test_too_few_rows_to_judge_by_are_named() -> None:
    assert "too few" in split(clean_rows(20)).sentence
    assert "too few" not in split(clean_rows(24)).sentence


def test_duplicates_and_identical_rows_stay_on_one_side() -> None:
    rows = [Row(i, i, clean_row(i % 30).messages) for i in range(1, 121)]
    parts = split(rows)
    sides = (parts.train, parts.validation, parts.judging)
    train, choosing, judging = ({rows[i].row % 30 for i in side} for side in sides)
    assert parts.train
    assert not train & (choosing | judging)
    parts = split([Row(i, i, clean_row(1).messages) for i in range(1, 20)])
    assert (len(parts.train), parts.validation) == (19, [])
    # 29 copies and one other row are two different ones: too few to be divided.
    copies = [Row(100 + i, i, clean_row(50).messages) for i in range(29)]
    parts = split_with(clean_rows(30), [*copies, clean_row(77)])
    assert (parts.chooses, len(parts.judging)) == (False, 30)
    assert "too few" in parts.sentence
    parts = split_with(
        clean_rows(30),
        [Row(200 + i, i, clean_row(50 + i % 24).messages) for i in range(72)],
    )
    assert (parts.chooses, len(parts.judging), len(parts.validation)) == (True, 36, 36)
    assert not {parts_row % 24 for parts_row in parts.judging} & {
        parts_row % 24 for parts_row in parts.validation
    }


def test_rows_of_the_validation_file_are_left_out_of_training() -> None:
    rows = clean_rows(30)
    own = [
        *clean_rows(3),
        chat(4, *[(m["role"], m["content"] + " Thanks") for m in rows[7].messages]),
        clean_row(77),
    ]
    own = [Row(100 + i, i, row.messages) for i, row in enumerate(own, 1)]
    parts = split_with(rows, own)
    assert [rows[i].row for i in parts.leaked] == [1, 2, 3, 8]
    assert parts.train == [i for i in range(30) if i not in parts.leaked]
    assert parts.validation == [30, 31, 32, 33, 34]
    assert [int(n) for n in re.findall(r"\d+", parts.sentence)] == [26, 5, 4]
    report = check(dataset(rows), validation=ValidationFile(own, check(dataset(own))))
    leaks = [p for p in report.problems if p.kind == "leak"]
    assert [(p.row, int(re.findall(r"line (\d+)", p.message)[0])) for p in leaks] == [
        (1, 101), (2, 102), (3, 103), (8, 104),
    ]  # fmt: skip
    assert ["is the same as" in p.message for p in leaks] == [
        True,
        True,
        True,
        False,
    ]  # the last one asks the same
    document = report.to_json()
    assert document["split"] == {
        "train": 26,
        "validation": 5,
        "leaks": 4,
        "sentence": parts.sentence,
        "judging": 5,
    }
    assert document["validation"]["rows"] == 5


def test_an_invalid_validation_share_is_rejected() -> None:
    with pytest.raises(BadSetting):
        split(clean_rows(5), fraction=0.9)
    assert split(clean_rows(5), fraction=0).validation == []


def roles_of(parts: Split) -> Roles:
    """The sides of `parts` as the roles of a later version."""
    choosing = {*parts.validation} - {*parts.judging}
    return Roles(frozenset(parts.train), frozenset(choosing), frozenset(parts.judging))


@pytest.mark.parametrize(
    ("first", "later"),
    [(57, 58), (57, 120), (120, 121), (120, 400), (240, 200), (240, 900)],
)
@pytest.mark.parametrize("seed", [0, 3])
def test_rows_of_an_earlier_version_stay_on_their_sides(
    first: int, later: int, seed: int
) -> None:
    before = split(clean_rows(first))
    after = split(
        clean_rows(later),
        fraction=0.0 if seed else 0.1,
        seed=seed,
        roles=roles_of(before),
    )
    assert {i for i in before.train if i < later} <= {*after.train}
    assert {i for i in before.judging if i < later} <= {*after.judging}
    if after.chooses:
        assert {i for i in before.validation if i < later} - {*before.judging} <= {
            *after.validation
        }
        assert not {*after.validation} & {*after.judging}
    assert sorted({*after.train, *after.validation, *after.judging}) == list(
        range(later)
    )


def test_corrected_rows_train_and_a_grown_dataset_is_divided_once() -> None:
    """Rows that judged the first version don't choose for the second."""
    before = split(clean_rows(92))
    assert (before.chooses, len(before.judging)) == (False, 23)
    assert not split(clean_rows(100), roles=roles_of(before)).chooses
    after = split(clean_rows(400), roles=roles_of(before))
    assert (after.chooses, len(after.judging), len(after.validation)) == (True, 23, 17)
    before = split(clean_rows(57))
    corrected, twin = before.judging[0], before.judging[1]
    roles = Roles(
        frozenset({*before.train, corrected}), frozenset(), frozenset(before.judging)
    )
    after = split(clean_rows(57), together=[sorted([corrected, twin])], roles=roles)
    assert {corrected, twin} <= {*after.train}
    assert {*before.judging} - {corrected, twin} == {*after.judging}


def test_roles_hold_beside_a_validation_file() -> None:
    rows, own = clean_rows(30), clean_rows(12)
    parts = split_with(rows, own, roles=Roles(train=frozenset({3})))
    assert 3 in parts.train
    assert 33 not in {*parts.judging, *parts.validation}
    assert {*parts.leaked} == {*range(12)} - {3}
    own = [Row(200 + i, i, clean_row(50 + i).messages) for i in range(6)]
    parts = split_with(clean_rows(30), own, roles=Roles(judging=frozenset({4, 5})))
    assert parts.judging == [4, 5, *range(30, 36)]
    assert not {4, 5} & {*parts.train}
