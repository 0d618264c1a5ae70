"""A later version leaves the rows of an earlier one on their sides, and knows which
rows judge both fairly.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.datasets.split import split
from backend.records.rows import Row
from backend.runs import division
from backend.runs.division import Divided, divided, roles, unseen
from tests.backend.datasets.builders import clean_row, clean_rows


def saved(
    tmp_path: Path, rows: list[Row], before: list[Divided] | None = None
) -> list[Divided]:
    """The division of a run on `rows`, as a later version reads it."""
    (tmp_path / "data").mkdir(exist_ok=True)
    decided = roles(rows, before) if before else None
    parts = split(rows, roles=decided) if decided else split(rows)
    division.write(tmp_path, divided(rows, parts, before or (), continues=True))
    return division.read(tmp_path)


def on(side: str, rows: list[Divided]) -> set[str]:
    return {str(one.row.messages) for one in rows if one.side == side}


def test_the_sides_are_stored(tmp_path: Path) -> None:
    before = saved(tmp_path, clean_rows(120))
    assert [
        sum(one.side == side for one in before)
        for side in ("train", "choosing", "judging")
    ] == [96, 12, 12]
    assert division.exists(tmp_path)


def test_two_runs_with_the_same_rows_aside_are_recognized(tmp_path: Path) -> None:
    rows = clean_rows(120)
    before = saved(tmp_path, rows)
    same = division.held_out_digest(tmp_path)
    later = [*rows[1:], clean_row(200), clean_row(201)]
    judging = len(roles(later, before).judging)
    found = division.changes(later, before, judging, [0, 1])
    assert (found.new, found.gone, found.judging > 0, found.moved) == (2, 1, True, 0)
    saved(tmp_path, rows)
    assert division.held_out_digest(tmp_path) == same
    saved(tmp_path, [clean_row(n) for n in range(300, 420)])
    assert division.held_out_digest(tmp_path) != same
    assert division.held_out_digest(tmp_path / "none") == ""


def test_documents_and_pairs_are_stored(tmp_path: Path) -> None:
    rows = [
        Row(1, 1, text="A long text about bread."),
        replace(clean_row(2), rejected=[{"role": "assistant"}]),
    ]
    (tmp_path / "data").mkdir()
    division.write(tmp_path, [Divided("train", rows[0]), Divided("judging", rows[1])])
    text, pair = division.read(tmp_path)
    assert (text.row.text, text.side) == ("A long text about bread.", "train")
    assert (pair.row.messages, pair.row.rejected) == (
        rows[1].messages,
        rows[1].rejected,
    )


@pytest.mark.parametrize("line", ["{", "[]", '{"side": "other"}'])
def test_a_damaged_division_is_reported(tmp_path: Path, line: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "division.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"line|Expecting"):
        division.read(tmp_path)


def test_rows_stay_on_their_sides_when_others_come_and_go(tmp_path: Path) -> None:
    """In another order, with some deleted and many added; also when the deleted ones
    come back.
    """
    before = saved(tmp_path, clean_rows(120))
    rows = [clean_row(number) for number in range(400, 10, -1)]
    after = saved(tmp_path, rows, before)
    left = {str(row.messages) for row in rows}
    for side in ("train", "choosing", "judging"):
        assert on(side, before) & left <= on(side, after)
    third = saved(tmp_path, clean_rows(500), after)
    for side in ("train", "choosing", "judging"):
        assert on(side, before) <= on(side, third)


def test_a_held_out_row_stays_held_out_when_its_answer_is_edited(
    tmp_path: Path,
) -> None:
    rows = clean_rows(120)
    before = saved(tmp_path, rows)
    held = next(
        i for i, row in enumerate(rows) if str(row.messages) in on("judging", before)
    )
    *asked, _ = rows[held].messages
    rows[held] = replace(
        rows[held],
        messages=[*asked, {"role": "assistant", "content": "Quite another answer."}],
    )
    assert held in roles(rows, before).judging


def test_near_copies_train_and_only_unseen_rows_are_fair() -> None:
    learned = clean_row(3)
    near = [{**m, "content": f"{m['content']} Thanks"} for m in learned.messages]
    found = roles(
        [Row(1, 1, near), clean_row(9)],
        [Divided("train", learned, gone=True), Divided("judging", clean_row(9))],
    )
    assert (found.train, found.judging) == (frozenset({0}), frozenset({1}))
    rows = clean_rows(5)
    sides = [
        [
            Divided("train", rows[0]),
            Divided("judging", rows[1]),
            Divided("choosing", rows[2]),
        ],
        [Divided("train", rows[3], gone=True), Divided("judging", rows[4])],
    ]
    assert unseen(rows, [one for part in sides for one in part]) == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_what_the_version_before_learned_is_remembered_only_by_one_that_continues_it() -> (
    None
):
    before = [
        Divided("train", clean_row(1)), Divided("train", clean_row(2), gone=True), Divided("judging", clean_row(3)),
    ]  # fmt: skip
    rows = clean_rows(60)[3:]
    for continues in (True, False):
        found = divided(rows, split(rows), before, continues=continues)
        gone = [(one.row.row, one.side) for one in found if one.gone]
        assert gone == [
            *([(1, "train"), (2, "train")] if continues else []),
            (3, "judging"),
        ]
