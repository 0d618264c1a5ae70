"""Stored edits and fixes, applied to the rows of a file."""

import json
from pathlib import Path

import pytest

from backend.datasets import edits
from backend.datasets.choices import FixChoices
from backend.datasets.edits import Edit
from backend.datasets.split import corrected_among, split, split_with
from backend.datasets.store import DatasetStore
from backend.records.rows import Problem, Row
from tests.backend.datasets.builders import ROW, chat, clean_row, clean_rows, dataset
from tests.backend.datasets.test_editing import turns


def test_every_kind_of_edit_survives_being_stored() -> None:
    pair = Row(
        0,
        0,
        turns("a?", "b"),
        [{"role": "assistant", "content": "c\ud800"}],
        [{"name": "t"}],
    )
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


def test_edits_are_counted_and_corrected_questions_found() -> None:
    assert edits.summary(()) == ""
    assert (
        edits.summary(("add", "replace", "add"))
        == "Version 3: 2 examples added, 1 changed."
    )
    assert "deleted" in edits.summary(("delete",))
    assert [
        edits.summary(("instruction",) * times).split()[-1] for times in (1, 2)
    ] == ["once.", "twice."]
    long = "Could you please tell me whether the bakery in town sells rye bread with seeds on every Friday morning"
    conversations = [
        turns("do you have RYE", "no"), turns(f"{long}?", "yes"), turns(f"{long} too?", "yes"),
        turns("Where are you?", "Here."), [*turns("Hello, I am new in town", "Hi"), *turns("Do you have rye?", "no")],
    ]  # fmt: skip
    assert corrected_among(conversations, ["Do you have rye?", long]) == {0, 1, 2}
    assert corrected_among(
        conversations, ["Hello, I am new in town\nDo you have rye?"]
    ) == {4}
    assert corrected_among(conversations, []) == set()


# The instruction


# The split


def test_an_edit_leaves_the_rows_set_aside_where_they_are() -> None:
    rows = clean_rows(60)
    before = {rows[i].row for i in (*split(rows).judging, *split(rows).validation)}
    added = [
        Row(row.row, row.row, row.messages, origin="added")
        for row in map(clean_row, range(61, 69))
    ]
    for changed in (
        [*rows, *added],
        [
            chat(7, ("user", "New?"), ("assistant", "Yes.")) if r.row == 7 else r
            for r in rows
        ],
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
        61,
        61,
        [held_out.messages[1], {"role": "assistant", "content": "The right one."}],
        origin="corrected",
    )
    parts = split([*rows, corrected])
    assert {60, held_out.row - 1} <= {*parts.train}
    own = [Row(100 + i, i, clean_row(70 + i).messages) for i in range(8)]
    asks = Row(
        61,
        61,
        [own[2].messages[1], {"role": "assistant", "content": "The right one."}],
        origin="corrected",
    )
    parts = split_with([*rows, asks], own)
    assert (
        60 in parts.train,
        parts.leaked,
        61 + 2 in parts.judging,
        len(parts.judging),
    ) == (True, {}, False, 7)


def test_problems_of_untouched_rows_stay() -> None:
    faulty = dataset(clean_rows(3))
    faulty.problems = [Problem(n, n, "kind", "warning", "") for n in (0, 1, 2)]
    assert [
        p.row for p in edits.apply(faulty, [Edit("delete", 2)], "newest").problems
    ] == [0, 1]
    assert edits.apply(faulty, [], "") is faulty


@pytest.fixture
def fixes(store: DatasetStore) -> FixChoices:
    return FixChoices(store)


def test_one_row_can_be_fixed_after_all_were_refused(
    store: DatasetStore, fixes: FixChoices
) -> None:
    rows = [
        {"question": f"What is {i}?", "answer": "" if i % 10 == 0 else f"It is {i}."}
        for i in range(1, 41)
    ]
    data_id = store.add("".join(json.dumps(row) + "\n" for row in rows), "faults.jsonl")
    fixes.refuse(data_id, "empty_answer")
    fixes.accept(data_id, "empty_answer", [20])
    checked = store.open(data_id, None)
    at_fault = [
        problem for problem in checked.report.problems if problem.kind == "empty_answer"
    ]
    assert [
        problem.row for problem in at_fault if checked.info.is_accepted(problem)
    ] == [20]
    assert [
        problem.row for problem in at_fault if checked.info.is_refused(problem)
    ] == [10, 30, 40]
    assert 20 not in [row.row for row in checked.dataset.rows]


def test_a_refused_row_stays_when_all_are_accepted(
    store: DatasetStore, fixes: FixChoices, tmp_path: Path
) -> None:
    file = tmp_path / "copies.jsonl"
    file.write_text(
        "".join(
            ROW % (f"where is {word}", f"{word} is here")
            for word in ("a", "a", "a", "b")
        )
    )
    data_id = store.add(file, "copies.jsonl")
    fixes.refuse(data_id, "duplicate", [3])
    fixes.accept(data_id, "duplicate", "all")
    assert [row.row for row in store.open(data_id, None).dataset.rows] == [1, 3, 4]
    fixes.accept(data_id, "duplicate", [3])
    assert [row.row for row in store.open(data_id, None).dataset.rows] == [1, 4]
    fixes.refuse(data_id, "duplicate")
    assert len(store.open(data_id, None).dataset.rows) == 4
    fixes.accept(data_id, "duplicate", "all")
    assert [row.row for row in store.open(data_id, None).dataset.rows] == [1, 4]
    fixes.undo(data_id, "duplicate")
    assert len(store.open(data_id, None).dataset.rows) == 4


def test_one_excluded_unreadable_row_accepts_no_other(
    store: DatasetStore, fixes: FixChoices, tmp_path: Path
) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text(
        "".join(ROW % (f"what is {i}", f"it is {i}") for i in range(12))
        + "{broken\n{broken too\n"
    )
    data_id = store.add(file, "broken.jsonl")
    fixes.accept(data_id, "bad_json", [13])
    assert "Example 14" in store.open(data_id, None).blocked
    fixes.accept(data_id, "bad_json", [14])
    assert store.open(data_id, None).blocked == ""


def test_a_fix_of_the_system_message_replaces_the_other(
    store: DatasetStore, fixes: FixChoices, file: Path
) -> None:
    data_id = store.add(file, "orders.jsonl")
    fixes.accept(data_id, "remove_system", "all")
    fixes.accept(data_id, "add_system", "all")
    assert store.open(data_id, None).info.accepted == {"add_system": "all"}


def test_each_fix_has_a_preview(store: DatasetStore, tmp_path: Path) -> None:
    file = tmp_path / "faults.jsonl"
    faulty = ROW % ("may I call then", "yes call her on +49 170 5551234") + ROW % (
        "empty one",
        "",
    )
    file.write_text(
        "".join(ROW % (f"what is {i}", f"it is {i}") for i in range(12)) + faulty
    )
    fix_previews = store.open(store.add(file, "faults.jsonl"), None).fix_previews
    (phone,) = fix_previews["personal_phone"]
    assert (phone.row, phone.after) == (13, "assistant: yes call her on [phone]")
    (empty,) = fix_previews["empty_answer"]
    assert (empty.row, empty.after) == (14, "")
