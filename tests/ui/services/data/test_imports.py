"""Imports and checks in the background, as the page starts them, without one visitor
disturbing another.
"""

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadInput
from backend.records.reading import Cancelled
from tests.ui.conftest import page_of, tabs
from ui.services.app import App
from ui.services.data import imports as dataset_imports
from ui.services.selection import Choice
from ui.web.data import decisions, issues, reading_card
from ui.web.data.actions import apply_action
from ui.web.page import Page

ROW = '{"messages": [{"role": "user", "content": "what is %d?"}, {"role": "assistant", "content": "number %d"}]}\n'
PATIENCE = 60.0  # seconds, for a busy computer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(ROW % (i, i) for i in range(30)))
    return path


def append(file: Path, text: str) -> None:
    with file.open("a") as more:
        more.write(text)


def imported(app: App, choice: Choice) -> Choice:
    """The selection once its import has ended."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        known = app.validated(choice)
        now = app.datasets.progress(known)
        if not known.import_id or (now and now.error):
            return known
        time.sleep(0.02)
    raise AssertionError("the import never ended")


def test_a_finished_import_becomes_the_selected_dataset(app: App, file: Path) -> None:
    before = Choice(run_id="", row=9)
    choice = imported(app, before.replace(import_id=app.datasets.import_files([file])))
    assert (
        (choice.import_id, choice.row),
        len(app.datasets.selected(choice).rows),
    ) == (("", 1), 30)


def test_texts_that_a_comma_divides_are_joined_by_a_button_and_stay_so(
    app: App, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        "question,answer\nOpen?,Yes, always.\n"
        + "".join(f"Is {i} right?,Yes {i}.\n" for i in range(9))
    )
    choice = Choice(data_id=app.datasets.add(table, "table.csv"))
    assert "join-cells" in issues.card(app.datasets.selected(choice))
    choice = imported(app, apply_action(app, choice, "join-cells", ""))
    joined = app.datasets.selected(choice)
    assert joined.original.rows[0].messages[-1]["content"] == "Yes, always."
    assert "join-cells" not in issues.card(joined)
    assert reading_card.sent('{"encoding": "cp1252"}', joined) == {
        "encoding": "cp1252",
        "join_cells": True,
    }


def test_the_person_picks_one_of_several_answers(app: App, tmp_path: Path) -> None:
    refusals = [
        "As an AI language model, I can't open files.",
        "I'm sorry, but I can't help with that.",
    ]
    asked = ["When do you open?"] * 3 + [f"What is thing {n}?" for n in range(20)]
    said = [
        "At nine.",
        "At ten.",
        "At nine.",
        *(f"Number {n}." for n in range(18)),
        *refusals,
    ]
    table = tmp_path / "table.json"
    table.write_text(
        json.dumps(
            [{"question": q, "answer": a} for q, a in zip(asked, said, strict=True)]
        )
    )
    choice = Choice(data_id=app.datasets.add(table, "table.json"))
    card = decisions.card(app.datasets.selected(choice))
    assert "“At nine.” is right (2 of 3 examples)" in card
    assert "ten.” is right (1" in card
    assert "Keep all 3<" in card
    assert all(
        f">{named}<" in card for named in ("Example 1 and example 3", "Example 2")
    )
    undo = ("undo", "conflicting_answers")
    for act, left, dropped in (
        (("pick", "2"), 0, {1, 3}),
        (undo, 3, set()),
        (("pick", "all:1"), 0, set()),
    ):
        apply_action(app, choice, *act)
        state = app.datasets.selected(choice)
        assert sum(p.kind == "conflicting_answers" for p in state.waiting) == left
        assert set(state.dropped) == dropped
    app.fixes.accept(choice.data_id, "conflicting_answers", "all")
    assert not app.datasets.selected(choice).dropped, "stored by an older version"
    apply_action(app, choice, "accept", "refusal")
    assert set(app.datasets.selected(choice).dropped) == {22}, (
        "the other one is only worth a look"
    )


def test_an_unreadable_file_is_reported_and_the_old_dataset_stays(
    app: App, file: Path
) -> None:
    old = app.datasets.add(file, "mine.jsonl")
    photo = file.with_name("photo.png")
    photo.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    choice = imported(
        app, Choice(data_id=old, import_id=app.datasets.import_files([photo]))
    )
    assert len(app.datasets.selected(choice).rows) == 30, "waits for the check"
    tab = tabs(app)["data"]
    shown = tab.show(choice)
    assert "photo.png" in shown[tab.reading]
    assert "image" in shown[tab.reading]
    assert "30 examples, ready" in shown[tab.summary]
    closed = apply_action(app, choice, "dismiss", "")
    assert (
        tab.show(closed)[tab.reading],
        {folder.name for folder in app.workspace.datasets.iterdir()},
    ) == ("", {old})


def test_a_cancelled_import_stores_nothing(
    app: App, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_imports, "PAGE_WAIT", 0.0)
    old = app.datasets.add(file, "mine.jsonl")
    big = file.with_name("big.jsonl")
    big.write_text("".join(ROW % (i, i) for i in range(60_000)))
    choice = Choice(data_id=old, import_id=app.datasets.import_files([big]))
    app.datasets.cancel_import(choice.import_id)
    assert imported(app, choice).data_id == old
    assert {folder.name for folder in app.workspace.datasets.iterdir()} == {old}


def test_two_visitors_with_the_same_file_each_fix_their_own(
    app: App, file: Path
) -> None:
    append(file, ROW.replace("number %d", "") % 31)
    one, other = (
        imported(app, Choice(import_id=app.datasets.import_files([file])))
        for _ in range(2)
    )
    assert one.data_id != other.data_id
    app.fixes.accept(one.data_id, "empty_answer", "all")
    assert app.datasets.selected(one).blocked == ""
    assert app.datasets.selected(other).blocked


def test_a_reading_is_changed_confirmed_and_undone(app: App, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        "which tea,what else,note\n"
        + "".join(
            f"when is tea {i} served?,tea {i} is served in the garden at {i},note {i}\n"
            for i in range(20)
        )
    )
    started = app.datasets.import_files([table], task="extract")
    choice, tab = imported(app, Choice(import_id=started)), tabs(app)["data"]

    def options() -> dict[str, Any]:
        return app.dataset_store.info.read(choice.data_id).read_options

    def asked() -> bool:
        return "Is this right?" in tab.show(choice)[tab.decision]

    assert asked()
    assert not tab.show(choice)[tab.forward]["interactive"]
    form = {"delimiter": "no such", "column:which tea": "question"}
    form["column:note"] = "answer"
    changed = imported(app, apply_action(app, choice, "how", json.dumps(form)))
    assert changed.data_id == choice.data_id
    assert options() == {
        "task": "extract",
        "mapping": {"question": "which tea", "answer": "note"},
    }
    (first, *_) = app.datasets.checked(choice.data_id).dataset.rows
    assert first.messages[1]["content"] == "note 0"
    assert asked(), "until the person says yes"
    assert tab.show(choice)[tab.forward]["interactive"]
    assert 'data-do="as-found"' in tab.show(choice)[tab.decision]
    apply_action(app, choice, "confirm", "")
    assert not asked()
    imported(app, apply_action(app, choice, "as-found", ""))
    assert asked(), "of another reading"
    assert options() == {"task": "extract"}
    apply_action(app, choice, "confirm", "")
    assert not asked()
    assert app.datasets.selected(choice).questions == []


def test_a_reading_that_fails_leaves_the_one_before(app: App, tmp_path: Path) -> None:
    table, tab = tmp_path / "table.csv", tabs(app)["data"]
    table.write_text("question,answer\n" + "".join(f"{i}?,{i}\n" for i in range(20)))
    choice = Choice(data_id=app.datasets.add(table, "table.csv"))
    before = app.dataset_store.info.read(choice.data_id)
    form = json.dumps({"column:question": "question", "column:answer": ""})
    shown = tab.show(imported(app, apply_action(app, choice, "how", form)))
    assert 'role="alert"' in shown[tab.reading]
    assert shown[tab.examples]["visible"]
    assert app.dataset_store.info.read(choice.data_id) == before


def test_examples_are_found_by_number(app: App, file: Path) -> None:
    append(file, "{broken\n" + ROW % (99, 99))
    data_id = app.datasets.add(file, "mine.jsonl")
    assert app.datasets.step(Choice(data_id=data_id, row=30), 1) == 32
    assert app.datasets.step(Choice(data_id=data_id, row=32), -1) == 30
    assert app.datasets.step(Choice(data_id=data_id, row=32), 1) == 32
    with pytest.raises(BadInput, match="not used"):
        app.datasets.preview(Choice(data_id=data_id, row=31))


def test_the_downloads_contain_what_is_shown(app: App, file: Path) -> None:
    append(file, ROW.replace("number %d", "") % 31)
    data_id = app.datasets.add(file, "mine.jsonl")
    app.fixes.accept(data_id, "empty_answer", "all")
    files = app.datasets.write_files(Choice(data_id=data_id))
    assert (
        len(files.fixed.read_text().splitlines())
        == len(app.datasets.selected(Choice(data_id=data_id)).rows)
        == 30
    )
    (change,) = [json.loads(line) for line in files.log.read_text().splitlines()]
    assert (change["row"], change["kind"], files.changes) == (31, "empty_answer", 1)
    assert files.fixed.is_relative_to(app.workspace.exports)
    assert app.datasets.written_files(Choice(data_id=data_id)) == files, (
        "they stay available"
    )
    app.fixes.undo(data_id, "empty_answer")
    assert app.datasets.written_files(Choice(data_id=data_id)) is None
    app.datasets.delete(data_id)
    assert not files.fixed.exists()


def test_a_typed_table_is_restored_and_junk_is_not(app: App) -> None:
    importing = tabs(app)["data"].importing
    table = [["Where is it?", "Here."]]
    assert importing.restore({importing.stored: table}) == {importing.typed: table}
    for junk in (None, [], "x", {"a": 1}, [1, 2], [["a", 3]]):
        assert importing.restore({importing.stored: junk}) == {}


@pytest.mark.parametrize("wait", [60.0, 0.0])
def test_the_tab_names_the_validation_file(
    app: App, file: Path, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is read while the page waits, or later."""
    monkeypatch.setattr(dataset_imports, "PAGE_WAIT", wait)
    data_id = app.datasets.add(file, "mine.jsonl")
    choice = Choice(data_id=data_id, import_id="" if wait else data_id)
    own = file.with_name("own.jsonl")
    own.write_text("".join(ROW % (i, i) for i in range(500, 510)))
    assert app.datasets.set_validation(data_id, own) >= bool(wait)
    assert imported(app, choice).import_id == ""
    app.datasets.selected(choice)
    tab = tabs(app)["data"]
    assert "own.jsonl" in tab.show(Choice(data_id=data_id))[tab.tested]
    cleared = apply_action(app, Choice(data_id=data_id), "clear-test", "")
    app.datasets.selected(choice)
    assert "own.jsonl" not in tab.show(cleared)[tab.tested]
    (prices := file.with_name("prices.csv")).write_text(
        "Product,Price\n" + "Rye loaf,4.90\n" * 18
    )
    with suppress(BadInput):  # if it comes at once
        app.datasets.set_validation(data_id, prices)
    refused = app.datasets.progress(
        imported(app, choice.replace(import_id=data_id))
    ).error
    assert refused.what == "prices.csv can't be used as the validation file."
    assert refused.next.startswith(
        "Choose a file like your examples, with the same columns"
    )


class TestNoTickBetween:
    """A check that takes longer than the page waits, and ends before the next tick."""

    @pytest.fixture
    def page(self, app: App, monkeypatch: pytest.MonkeyPatch) -> Page:
        """Each check waits for `ticked`."""
        monkeypatch.setattr(dataset_imports, "PAGE_WAIT", 0.0)
        self.late, self.go_on, check = False, threading.Event(), app.dataset_store.open

        def slow(*inputs: Any, **named: Any) -> Any:
            self.late = not self.go_on.wait(10)
            return check(*inputs, **named)

        monkeypatch.setattr(app.dataset_store, "open", slow)
        return page_of(app)

    def ticked(self, page: Page, choice: Choice, signature: str) -> dict[Any, Any]:
        """What the browser fetches once the check has ended and the signature has
        changed.
        """
        self.go_on.set()
        page.app.datasets.selected(choice)  # waits
        self.go_on.clear()
        assert not self.late, "the page waited for a check"
        assert page.signature_of("data", choice) != signature
        return page.show("data", page.state.inputs(choice))

    def test_the_first_check_is_shown(self, page: Page, file: Path) -> None:
        tab, choice = (
            page.tabs["data"],
            Choice(data_id=page.app.datasets.add(file, "mine.jsonl")),
        )
        signature = page.signature_of("data", choice)
        first = page.show("data", page.state.inputs(choice))
        assert first[tab.reason]
        assert not first[tab.forward]["interactive"]
        shown = self.ticked(page, choice, signature)
        assert "30 examples, ready" in shown[tab.summary]
        assert shown[tab.forward]["interactive"]

    def test_start_does_not_wait_and_is_shown_again(
        self, page: Page, file: Path
    ) -> None:
        choice = Choice(data_id=page.app.datasets.add(file, "mine.jsonl"))
        before, signature = (
            page.signature_of("start", choice),
            page.signature_of("data", choice),
        )
        assert page.show("start", page.state.inputs(choice))[
            page.tabs["start"].forward
        ]["visible"]
        self.ticked(page, choice, signature)
        assert page.signature_of("start", choice) != before

    def test_a_fix_made_in_any_window_is_shown(self, page: Page, file: Path) -> None:
        append(file, ROW.replace("number %d", "") % 31)
        tab, choice = (
            page.tabs["data"],
            Choice(data_id=page.app.datasets.add(file, "mine.jsonl")),
        )
        drawn = self.ticked(page, choice, page.signature_of("data", choice))
        assert not drawn[tab.forward]["interactive"]
        signature = page.signature_of("data", choice)
        apply_action(page.app, choice, "accept", "empty_answer")
        assert not tab.show(choice)[tab.forward]["interactive"]
        assert self.ticked(page, choice, signature)[tab.forward]["interactive"]

    def test_a_finished_import_is_no_longer_waited_for(
        self, page: Page, file: Path
    ) -> None:
        data_id = page.app.datasets.add(file, "mine.jsonl")
        signature = page.signature_of("data", Choice(data_id=data_id))
        shown = self.ticked(page, Choice(data_id=data_id, import_id=data_id), signature)
        assert page.state.changed(shown)["import_id"] == ""
        assert shown[page.tabs["data"].examples]["visible"]


def test_a_problem_revealed_by_a_fix_is_listed_and_fixed(app: App, file: Path) -> None:
    append(file, ROW.replace("number %d", "\\u0000") % 31)
    tab, choice = (
        tabs(app)["data"],
        Choice(data_id=app.datasets.add(file, "mine.jsonl")),
    )
    apply_action(app, choice, "accept", "nul_character")
    shown = tab.show(choice)
    assert "Example 31" in shown[tab.reason]
    assert 'data-kind="empty_answer"' in shown[tab.problems]
    apply_action(app, choice, "accept", "empty_answer")
    shown = tab.show(choice)
    assert (shown[tab.reason], len(app.datasets.selected(choice).rows)) == ("", 30)
    assert 'data-do="undo" data-value="empty_answer"' in shown[tab.problems], (
        "it can be undone"
    )
    apply_action(app, choice, "undo", "empty_answer")
    assert "Example 31" in tab.show(choice)[tab.reason]


def test_an_unreadable_row_is_left_out_once_the_person_agrees(
    app: App, file: Path
) -> None:
    append(file, "{broken\n")
    tab, choice = (
        tabs(app)["data"],
        Choice(data_id=app.datasets.add(file, "mine.jsonl")),
    )
    shown = tab.show(choice)
    assert (
        "0 removed. Not included: 1 example that can&#39;t be read."
        in shown[tab.download]
    )
    assert "Leave as is" not in shown[tab.problems], (
        "it blocks training until it is removed"
    )
    apply_action(app, choice, "accept", "bad_json")
    assert "1 removed." in tab.show(choice)[tab.download]
    with pytest.raises(BadInput) as caught:
        app.datasets.preview(choice.replace(row=31))
    assert "not valid JSON" in caught.value.why, (
        "why it was removed, not what the fix does"
    )


def test_an_example_with_two_problems_of_a_kind_counts_once(
    app: App, file: Path
) -> None:
    turns = [
        {"role": role, "content": "" if role == "assistant" else "so?"}
        for role in ("user", "assistant") * 2
    ]
    append(file, json.dumps({"messages": turns}) + "\n")
    tab, choice = (
        tabs(app)["data"],
        Choice(data_id=app.datasets.add(file, "mine.jsonl")),
    )
    shown = tab.show(choice)[tab.problems]
    assert "1 example," in shown
    assert "Leave as is" not in shown, "it blocks training"


def test_an_earlier_dataset_can_be_opened_and_deleted(app: App, file: Path) -> None:
    old, new = app.datasets.add(file, "old.jsonl"), app.datasets.add(file, "new.jsonl")
    tab, choice = tabs(app)["data"], Choice(data_id=new, run_id="run-a", row=7)
    listed = tab.show(choice)[tab.importing.earlier]
    assert listed.count("old.jsonl") == 2, "its name, and its button"
    assert f">{file.stat().st_size / 1024:.1f} KB<" in listed
    assert "just now" in listed
    assert f'data-do="open" data-value="{new}"' not in listed, "it is open"
    opened = apply_action(app, choice, "open", old)
    assert (opened.data_id, opened.run_id, opened.row) == (old, "run-a", 1)
    after = app.validated(apply_action(app, opened, "delete", old))
    shown = tab.show(after)
    assert after.data_id == ""
    assert "old.jsonl" not in shown[tab.importing.earlier]
    assert not shown[tab.forward]["interactive"]
    assert {folder.name for folder in app.workspace.datasets.iterdir()} == {new}


class TestReadAgain:
    """Reading a fixed dataset again with other read options."""

    def fixed(self, app: App, file: Path) -> Choice:
        append(file, ROW.replace("number %d", "") % 31)
        choice = Choice(data_id=app.datasets.add(file, "mine.jsonl"))
        app.fixes.accept(choice.data_id, "empty_answer", "all")
        return choice

    def test_the_same_options_keep_the_fixes_and_others_warn(
        self, app: App, file: Path
    ) -> None:
        choice = self.fixed(app, file)
        form = {"column:messages": "messages"}
        imported(app, apply_action(app, choice, "how", json.dumps(form)))
        assert app.datasets.selected(choice).blocked == ""
        assert reading_card.DISCARDS in reading_card.card(app.datasets.selected(choice))
        app.fixes.undo(choice.data_id, "empty_answer")
        assert reading_card.DISCARDS not in reading_card.card(
            app.datasets.selected(choice)
        )

    def test_a_cancelled_check_changes_nothing(
        self, app: App, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        choice, store = self.fixed(app, file), app.dataset_store
        before = store.info.read(choice.data_id)

        def cancelled(*_: Any, **__: Any) -> None:
            assert store.info.read(choice.data_id).read_options == {
                "encoding": "cp1252"
            }, "read, not yet checked"
            raise Cancelled

        with monkeypatch.context() as checking:
            checking.setattr(store, "open", cancelled)
            app.datasets.read_again(choice.data_id, {"encoding": "cp1252"})
            imported(app, choice.replace(import_id=choice.data_id))
        assert (
            store.info.read(choice.data_id),
            app.datasets.selected(choice).blocked,
        ) == (before, "")

    def test_options_that_do_not_fit_the_validation_file_are_rejected(
        self, app: App, tmp_path: Path
    ) -> None:
        table, own = tmp_path / "table.csv", tmp_path / "own.csv"
        for path, first in ((table, 0), (own, 50)):
            path.write_text(
                "a1,b2\n"
                + "".join(
                    f"what is {i}?,number {i}\n" for i in range(first, first + 20)
                )
            )
        options = {
            "shape": "question_answer",
            "mapping": {"question": "a1", "answer": "b2"},
        }
        data_id = app.dataset_store.add(table, "table.csv", options=options)
        app.validation_files.set(data_id, own, "own.csv")
        validation = app.datasets.checked(data_id).validation
        assert [m["content"] for m in validation.rows[0].messages] == [
            "what is 50?",
            "number 50",
        ]
        talks = tmp_path / "talks.jsonl"
        talks.write_text("".join(ROW % (i, i) for i in range(50, 60)))
        app.validation_files.set(data_id, talks, "talks.jsonl")
        before, choice = (
            app.dataset_store.info.read(data_id),
            Choice(data_id=data_id, import_id=data_id),
        )
        app.datasets.read_again(data_id, {"shape": "text", "mapping": {"text": "a1"}})
        now = app.datasets.progress(imported(app, choice))
        assert isinstance(now.error, BadInput)
        assert app.dataset_store.info.read(data_id) == before


def test_a_browser_cannot_store_fixes_of_problems_that_do_not_exist(
    app: App, file: Path
) -> None:
    data_id = app.datasets.add(file, "mine.jsonl")
    before = app.dataset_store.info.read(data_id)
    for kind, rows in (("x" * 9000, "all"), ("duplicate", [10**9]), ("duplicate", [0])):
        for act in (app.fixes.accept, app.fixes.refuse):
            with pytest.raises(BadInput):
                act(data_id, kind, rows)
    assert app.dataset_store.info.read(data_id) == before
