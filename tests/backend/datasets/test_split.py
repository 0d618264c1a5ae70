"""A split is fair, can be repeated, and is sensible for few rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets.check_dataset import check
from backend.datasets.checks.report import ValidationFile
from backend.datasets.split import split, split_with
from backend.errors import BadSetting
from backend.records.rows import Row
from tests.backend.datasets.builders import chat, clean_row, clean_rows, dataset


def test_a_tenth_is_kept_back_and_said_in_a_sentence() -> None:
    divided = split(clean_rows(216), fraction=24 / 216)
    assert divided.sentence == "192 will be used for practice, 24 are kept back to test it."
    assert len(split(clean_rows(200)).validation) == 20


def test_the_seed_decides() -> None:
    rows = clean_rows(100)
    assert split(rows, seed=3) == split(rows, seed=3)
    assert split(rows, seed=3).validation != split(rows, seed=4).validation


@given(
    st.integers(0, 40),
    st.floats(0, 0.5),
    st.integers(0, 5),
    st.lists(st.lists(st.integers(0, 39), min_size=2, max_size=6, unique=True).map(sorted), max_size=3),
)
def test_every_row_is_on_one_side_and_groups_are_whole(
    count: int, fraction: float, seed: int, groups: list[list[int]]
) -> None:
    taken: set[int] = set()
    together = []
    for group in groups:
        if not taken & {*group} and max(group) < count:
            together.append(group)
            taken.update(group)
    rows = clean_rows(count)
    divided = split(rows, fraction, seed, together)
    assert sorted(divided.train + divided.validation) == list(range(count))
    for group in together:
        assert {*group} <= {*divided.train} or {*group} <= {*divided.validation}
    apart = count - sum(len(group) - 1 for group in together)
    assert bool(divided.validation) == (fraction > 0 and apart > 1)
    assert bool(divided.train) == (count > 0)


@pytest.mark.parametrize(("count", "train", "validation"), [(0, 0, 0), (1, 1, 0), (2, 1, 1), (9, 8, 1), (10, 9, 1)])
def test_few_rows_still_keep_one_back(count: int, train: int, validation: int) -> None:
    divided = split(clean_rows(count))
    assert (len(divided.train), len(divided.validation)) == (train, validation)
    assert ("too" in divided.sentence) == (count < 10)


def test_duplicates_never_stand_on_both_sides() -> None:
    rows = [Row(i, i, clean_row(i % 30).messages) for i in range(1, 91)]
    divided = split(rows)
    kept = {rows[i].row % 30 for i in divided.validation}
    assert kept
    assert not kept & {rows[i].row % 30 for i in divided.train}


def test_rows_that_all_say_the_same_can_not_be_split() -> None:
    divided = split([Row(i, i, clean_row(1).messages) for i in range(1, 20)])
    assert divided.validation == []
    assert "too little" in divided.sentence


def test_leaks_from_a_test_file_are_found_and_taken_out_of_practice() -> None:
    rows = clean_rows(30)
    checked = [
        *clean_rows(3),
        chat(4, *[(m["role"], m["content"] + " Thanks") for m in rows[7].messages]),
        clean_row(77),
    ]
    checked = [Row(100 + i, i, row.messages) for i, row in enumerate(checked, 1)]
    divided = split_with(rows, checked)
    assert [rows[i].row for i in divided.leaked] == [1, 2, 3, 8]
    assert divided.train == [i for i in range(30) if i not in divided.leaked]
    assert divided.validation == [30, 31, 32, 33, 34]
    assert divided.sentence == (
        "26 will be used for practice, 5 are kept back to test it. "
        "4 rows stand in your test file too, or almost, and will not be practised."
    )
    test = ValidationFile(checked, check(dataset(checked)))
    report = check(dataset(rows), validation=test)
    assert [(p.row, p.message.partition(" of your")[0]) for p in report.problems if p.kind == "leak"] == [
        (1, "This row says the same as line 101"),
        (2, "This row says the same as line 102"),
        (3, "This row says the same as line 103"),
        (8, "This row says almost the same as line 104"),
    ]
    document = report.to_json()
    assert document["split"] == {"train": 26, "validation": 5, "leaks": 4, "sentence": divided.sentence}
    assert document["validation"]["rows"] == 5


def test_a_share_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(BadSetting, match="from 0 to"):
        split(clean_rows(5), fraction=0.9)
    assert "as you chose" in split(clean_rows(5), fraction=0).sentence
