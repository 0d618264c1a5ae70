"""Stored edits, applied to the rows of a file."""

from __future__ import annotations

import json

import pytest

from backend.datasets import edits
from backend.datasets.edits import Edit
from backend.datasets.split import corrected_among, split, split_with
from backend.records.rows import Problem, Row
from tests.backend.datasets.builders import chat, clean_row, clean_rows, dataset
from tests.backend.datasets.test_editing import turns


def test_every_kind_of_edit_survives_being_stored() -> None:
    pair = Row(0, 0, turns("a?", "b"), [{"role": "assistant", "content": "c\ud800"}], [{"name": "t"}])
    for edit in (
        Edit("add", example=pair, run_id="run-a"),
        Edit("replace", 3, Row(0, 0, text="Ein Text.")),
        Edit("delete", 4),
        Edit("instruction", instruction="Be brief."),
    ):
        assert Edit.from_json(json.loads(json.dumps(edit.to_json()))) == edit
    assert "run-a" in Edit("add", example=pair, run_id="run-a").origin
    for damaged in (
        {**Edit("delete", 4).to_json(), "kind": "explode"},
        {**Edit("add", example=pair).to_json(), "example": None},
    ):
        with pytest.raises(ValueError, match="not an edit"):
            Edit.from_json(damaged)


def test_the_version_counts_the_edits() -> None:
    assert edits.summary(()) == ""
    assert edits.summary(("add", "replace", "add")) == "Version 3: 2 examples added, 1 changed."
    assert "deleted" in edits.summary(("delete",))
    assert [edits.summary(("instruction",) * times).split()[-1] for times in (1, 2)] == ["once.", "twice."]


# The instruction


def test_conversations_that_ask_a_corrected_question_are_found() -> None:
    long = "Could you please tell me whether the bakery in town sells rye bread with seeds on every Friday morning"
    conversations = [
        turns("do you have RYE", "no"),
        turns(f"{long}?", "yes"),
        turns(f"{long} too?", "yes"),
        turns("Where are you?", "Here."),
        [*turns("Hello, I am new in town", "Hi"), *turns("Do you have rye?", "no")],
    ]
    assert corrected_among(conversations, ["Do you have rye?", long]) == {0, 1, 2}
    assert corrected_among(conversations, ["Hello, I am new in town\nDo you have rye?"]) == {4}
    assert corrected_among(conversations, []) == set()


# The split


def test_an_edit_leaves_the_rows_set_aside_where_they_are() -> None:
    rows = clean_rows(60)
    before = {rows[i].row for i in (*split(rows).judging, *split(rows).validation)}
    added = [Row(row.row, row.row, row.messages, origin="added") for row in map(clean_row, range(61, 69))]
    for changed in (
        [*rows, *added],
        [chat(7, ("user", "New?"), ("assistant", "Yes.")) if r.row == 7 else r for r in rows],
    ):
        parts = split(changed)
        assert before <= {changed[i].row for i in (*parts.judging, *parts.validation)}
    gone = next(iter(before))
    left = [row for row in rows if row.row != gone]
    parts = split(left)
    assert before - {gone} <= {left[i].row for i in (*parts.judging, *parts.validation)}
    parts = split([*rows, *added])
    assert not {61, *range(62, 69)} & {[*rows, *added][i].row for i in parts.judging}


def test_a_corrected_answer_is_learned_and_its_question_judges_nothing() -> None:
    rows = clean_rows(60)
    held_out = rows[split(rows).judging[0]]
    corrected = Row(
        61, 61, [held_out.messages[1], {"role": "assistant", "content": "The right one."}], origin="corrected"
    )
    parts = split([*rows, corrected])
    assert {60, held_out.row - 1} <= {*parts.train}
    own = [Row(100 + i, i, clean_row(70 + i).messages) for i in range(8)]
    asks = Row(61, 61, [own[2].messages[1], {"role": "assistant", "content": "The right one."}], origin="corrected")
    parts = split_with([*rows, asks], own)
    assert (60 in parts.train, parts.leaked, 61 + 2 in parts.judging, len(parts.judging)) == (True, {}, False, 7)


def test_problems_of_untouched_rows_stay() -> None:
    faulty = dataset(clean_rows(3))
    faulty.problems = [Problem(n, n, "kind", "warning", "") for n in (0, 1, 2)]
    edited = edits.apply(faulty, [Edit("delete", 2)], "newest")
    assert [p.row for p in edited.problems] == [0, 1]
    assert edits.apply(faulty, [], "") is faulty
