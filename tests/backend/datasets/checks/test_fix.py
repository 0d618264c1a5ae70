"""Accepted fixes are applied and listed, refused ones are not, and fixing twice changes
nothing more.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.datasets.check_dataset import check
from backend.datasets.checks import fix
from backend.datasets.checks.fix import FIXABLE, FixedDataset, write_fixed
from backend.errors import BadSetting, WorkspaceProblem
from backend.records.rows import Dataset, Problem, Row
from backend.tokens.token_counts import TokenCounter
from tests.backend.datasets.builders import (
    SYSTEM,
    WordTokenizer,
    chat,
    clean_row,
    clean_rows,
    dataset,
)
from tests.backend.datasets.test_check import PLANTED

ALL = {kind: "all" for kind in fix.FIXABLE if kind not in fix.WHOLE_FILE_FIXES}


def fixed_by(data: Dataset, accept: Mapping[str, object]) -> FixedDataset:
    return fix.apply(data, check(data), accept)  # type: ignore[arg-type]


def planted() -> Dataset:
    count = 3 * len(PLANTED)
    rows = clean_rows(count)
    for place, turns in enumerate(PLANTED.values()):
        rows[3 * place] = chat(3 * place + 1, *turns)
    rows[-1] = Row(count, count, clean_row(2).messages)
    return dataset(rows)


def test_all_fixes_leave_nothing_and_safe_ones_no_error() -> None:
    data = planted()
    before = copy.deepcopy(data.rows)
    fixed = fixed_by(data, ALL)
    assert data.rows == before
    assert {p.kind for p in check(fixed.dataset).problems} <= {
        "too_few",
        "conflicting_answers",
    }
    assert fixed_by(fixed.dataset, ALL).changes == []
    report = check(fixed_by(planted(), dict.fromkeys(fix.SAFE_FIXES, "all")).dataset)
    assert report.usable == report.rows
    assert not report.error_rows()


def test_every_difference_is_listed_and_one_row_can_be_fixed() -> None:
    data = planted()
    fixed = fixed_by(data, ALL)
    source = {row.row: row for row in data.rows}
    differing = {row.row for row in fixed.dataset.rows if row != source[row.row]}
    missing = set(source) - {row.row for row in fixed.dataset.rows}
    assert {change.row for change in fixed.changes} == differing | missing
    assert (fixed.changed, fixed.dropped) == (len(differing), len(missing))
    assert all(
        change.before != change.after and change.what for change in fixed.changes
    )
    rows = clean_rows(5)
    for row in rows[1:4]:
        row.messages[2]["content"] += "\x07"
    fixed = fixed_by(dataset(rows), {"control_characters": {3}})
    assert [change.row for change in fixed.changes] == [3]
    assert [p.row for p in check(fixed.dataset).problems if p.row] == [2, 4]
    changed = [
        fixed_by(dataset(rows), accepted).changes
        for accepted in ({}, {"very_short_answer": {2}})
    ]
    assert [[change.row for change in changes] for changes in changed] == [
        [],
        [2],
    ]  # the second: of an older version


def test_letters_are_restored_before_anything_takes_parts_of_them_away() -> None:
    rows, kinds = (
        clean_rows(3),
        ("control_characters", "invisible_characters", "mojibake"),
    )
    rows[0].messages[2]["content"] = "Đồng ý, cửa 日本.".encode().decode("latin-1")
    fixed = [
        fixed_by(dataset(rows), dict.fromkeys(kinds[at:], "all")).dataset.rows[0]
        for at in (0, 2)
    ]
    assert [row.messages[2]["content"] for row in fixed] == ["Đồng ý, cửa 日本."] * 2


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("ends_with_user", "user: And tomorrow?", ""), ("mojibake", "At the cafÃ©.", "At the café."),
        ("personal_iban", "DE89 3704 0044 0532 0130 00", "[account number]"),
        ("same_role_twice", "user: I mean the green one.", "tonight?\n\nI mean the green one."),
        ("system_not_first", f"tonight?\nsystem: {SYSTEM}", f"system: {SYSTEM}\nuser: "),
        ("system_inconsistent", "", f"system: {SYSTEM}"), ("empty_answer", "user: ", ""),
    ],
)  # fmt: skip
def test_a_change_shows_before_and_after(kind: str, before: str, after: str) -> None:
    data = dataset([*clean_rows(9), chat(10, *PLANTED[kind])])
    (change,) = fixed_by(data, {kind: "all"}).changes
    assert (change.row, change.line, change.kind) == (10, 10, kind)
    assert before in change.before
    assert after in change.after


def test_the_system_message_can_be_added_to_or_removed_from_every_row() -> None:
    rows = clean_rows(6)
    for row in rows[:2]:
        row.messages = row.messages[1:]
    added, removed = (
        fixed_by(dataset(rows), {kind: "all"})
        for kind in ("add_system", "remove_system")
    )
    assert all(
        row.messages[0] == {"role": "system", "content": SYSTEM}
        for row in added.dataset.rows
    )
    assert {change.row for change in added.changes} == {1, 2}
    assert all(row.messages[0]["role"] == "user" for row in removed.dataset.rows)
    assert {change.row for change in removed.changes} == {3, 4, 5, 6}


def test_the_first_of_duplicates_and_an_accepted_row_stay() -> None:
    rows = [Row(i, i, clean_row(i % 10).messages) for i in range(1, 101)]
    fixed = fixed_by(dataset(rows), {"duplicate": "all"})
    assert [row.row for row in fixed.dataset.rows] == list(range(1, 11))
    assert fixed.dropped == len(fixed.changes) == 90
    data = dataset([*clean_rows(5), chat(6, *PLANTED["system_not_first"])])
    counter = TokenCounter(WordTokenizer())
    report = check(data, counter=counter)
    assert "template_refuses" in report.counts()
    accept = {"template_refuses": "all", "system_not_first": "all"}
    fixed = fix.apply(data, report, accept, counter=counter)  # type: ignore[arg-type]
    assert [row.row for row in fixed.dataset.rows] == [1, 2, 3, 4, 5, 6]
    alone = fix.apply(data, report, {"template_refuses": "all"}, counter=counter)
    assert [row.row for row in alone.dataset.rows] == [1, 2, 3, 4, 5]


def test_unreadable_rows_are_listed_as_left_out() -> None:
    unread = Problem(2, 2, "bad_json", "error", "This line is not JSON.", "", "{oops")
    data = Dataset(dataset([]).source, [clean_row(1), clean_row(3)], [unread], 3)
    (change,) = fixed_by(data, {}).changes
    assert (change.row, change.before, change.after) == (2, "{oops", "")
    assert unread.message in change.what


def test_fixes_that_are_unknown_or_exclude_each_other_are_rejected() -> None:
    with pytest.raises(BadSetting, match="too_few"):
        fixed_by(dataset(clean_rows(3)), {"too_few": "all"})
    with pytest.raises(BadSetting, match="system_inconsistent and remove_system"):
        fixed_by(
            dataset(clean_rows(3)),
            {"system_inconsistent": "all", "remove_system": "all"},
        )


def test_writing_creates_clean_lines_and_a_log(tmp_path: Path) -> None:
    text, pair = Row(902, 902, text="A document of its own."), clean_row(901)
    pair.rejected = [{"role": "assistant", "content": "I will not say."}]
    data = planted()
    data.rows += [pair, text]
    fixed = fixed_by(data, ALL)
    log = write_fixed(fixed, tmp_path / "clean.jsonl")
    lines = [
        json.loads(line)
        for line in (tmp_path / "clean.jsonl").read_text("utf-8").splitlines()
    ]
    assert [line["messages"] for line in lines[:-2]] == [
        row.messages for row in fixed.dataset.rows[:-2]
    ]
    assert (lines[-2]["chosen"], lines[-2]["rejected"]) == (
        pair.messages[-1:],
        pair.rejected,
    )
    assert lines[-1] == {"text": text.text}
    logged = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [(change["row"], change["kind"]) for change in logged] == [
        (c.row, c.kind) for c in fixed.changes
    ]
    with pytest.raises(WorkspaceProblem):
        write_fixed(fixed, tmp_path / "nowhere" / "clean.jsonl")


_pieces = st.sampled_from(
    ["", " ", "Hello there, friend. ", "I am sorry to say. " * 5, "\x00", "\x07", "\u200b", "\u202e", "CafÃ© ",
     "Ã", "©", "â€™", "<|im_", "end|>", "<|im_end|>", "[INST]", "</s>", "a@b", ".example.com ", "+49 170 1234567 ",
     "4111 1111 ", "1111 1111 ", "sk-abcdefghij0123456789", "Ok", "garden bicycle ladder museum orange pencil "]
)  # fmt: skip
_texts = st.lists(_pieces, max_size=5).map("".join)
_turns = st.lists(
    st.tuples(st.sampled_from(["system", "user", "assistant"]), _texts),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(_turns, max_size=8))
def test_fixing_everything_ends_clean_for_any_input(
    conversations: list[list[tuple[str, str]]],
) -> None:
    data = dataset(chat(i, *turns) for i, turns in enumerate(conversations, 1))
    fixed = fixed_by(data, ALL)
    again = check(fixed.dataset)
    assert not {*again.counts()} & set(FIXABLE) - {"conflicting_answers"}
    assert again.usable == again.rows
    assert fixed_by(fixed.dataset, ALL).changes == []
    assert {c.row for c in fixed.changes} >= {row.row for row in data.rows} - {
        row.row for row in fixed.dataset.rows
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(_turns, max_size=6), st.sets(st.sampled_from(sorted(FIXABLE))))
def test_any_choice_of_fixes_converges(
    conversations: list[list[tuple[str, str]]], kinds: set[str]
) -> None:
    about_system = sorted(kinds & {"system_inconsistent", *fix.WHOLE_FILE_FIXES})
    accept = dict.fromkeys(kinds - {*about_system[1:]}, "all")
    fixed = fixed_by(
        dataset(chat(i, *turns) for i, turns in enumerate(conversations, 1)), accept
    )
    assert fixed_by(fixed.dataset, accept).changes == []
