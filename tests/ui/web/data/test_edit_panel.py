"""Editing examples on Data."""

import json
from typing import Any

import gradio as gr
import pytest
from markupsafe import escape

from tests.ui.conftest import answer
from tests.ui.fake_records import DATA
from tests.ui.made_up_workspace import ROWS, examples
from ui.records.data import EditableExample, ExampleField, Instruction
from ui.services.selection import Choice
from ui.web.data import edit_views
from ui.web.page import Page

CHOICE = Choice(data_id=DATA, row=3)


def click(page: Page, do: str, value: str = "", form: bool = False) -> dict[Any, Any]:
    panel = page.tabs["data"].preview.editing
    return answer(page, panel.form if form else panel.buttons, "click", CHOICE, clicked=(do, value))


def kinds(page: Page) -> list[str]:
    return list(page.app.datasets.state(CHOICE).original.source.edits)


def test_an_example_is_edited_in_a_form_that_closes_when_it_is_saved(page: Page) -> None:
    panel = page.tabs["data"].preview.editing
    (drawn,) = click(page, "edit-row").values()
    assert f'data-send="save-row:{DATA}:3"' in drawn
    assert all(str(escape(text)) in drawn for text in (message["content"] for message in examples()[3 - 1]))
    texts = json.dumps({"message-0": "Hello?", "message-1": "Hi."})
    updates = click(page, f"save-row:{DATA}:3", texts, form=True)
    assert (kinds(page), updates[panel.form]) == (["replace"], "")
    assert "Version 1" in updates[panel.buttons]


def test_a_refused_edit_leaves_the_form_as_it_is(page: Page) -> None:
    with pytest.raises(gr.Error, match="empty"):
        click(page, f"save-row:{DATA}:3", json.dumps({"message-0": "Hello?", "message-1": " "}), form=True)
    assert kinds(page) == []


def test_a_new_example_is_shown_once_it_is_added(page: Page) -> None:
    (drawn,) = click(page, "new-row").values()
    assert f'data-send="add-row:{DATA}"' in drawn
    updates = click(page, f"add-row:{DATA}", json.dumps({"message-0": "Hello?", "message-1": "Hi."}), form=True)
    assert (kinds(page), page.state.changed(updates)) == (["add"], {"row": ROWS + 1})


@pytest.mark.parametrize("do", ["save-row:data-2:3", "add-row:data-2", "add-row"])
def test_a_form_of_other_examples_changes_nothing(page: Page, do: str) -> None:
    with pytest.raises(gr.Error, match="no longer open"):
        click(page, do, json.dumps({"message-0": "Hello?", "message-1": "Hi."}), form=True)
    assert kinds(page) == []


@pytest.mark.parametrize(
    "do", [("set-instruction:data-2", '{"instruction": "Be warm."}'), ("remove-instruction", "data-2")]
)
def test_an_instruction_of_other_examples_changes_nothing(page: Page, do: tuple[str, str]) -> None:
    with pytest.raises(gr.Error, match="no longer open"):
        answer(page, page.tabs["data"].instruction, "click", CHOICE, clicked=do)
    assert kinds(page) == []


def test_a_second_click_on_a_form_is_ignored_while_the_first_is_saved(page: Page) -> None:
    panel = page.tabs["data"].preview.editing
    modes = {target: fn.trigger_mode for fn in page.blocks.fns.values() if fn.fn for target in fn.targets}
    assert (modes[panel.form._id, "click"], modes[panel.buttons._id, "click"]) == ("once", "multiple")


def test_deleting_can_be_undone_and_redone(page: Page) -> None:
    panel = page.tabs["data"].preview.editing
    shown = click(page, "delete-row")[panel.buttons]
    assert ("undo-edit" in shown, "redo-edit" in shown, kinds(page)) == (True, False, ["delete"])
    shown = click(page, "undo-edit")[panel.buttons]
    assert ("undo-edit" in shown, "redo-edit" in shown, kinds(page)) == (False, True, [])
    click(page, "redo-edit")
    assert kinds(page) == ["delete"]


def test_drawing_the_tab_again_leaves_the_open_form(page: Page) -> None:
    tab = page.tabs["data"]
    assert tab.preview.editing.form not in tab.show(CHOICE)
    assert tab.preview.editing.form in tab.outputs


def test_moving_to_another_example_closes_the_form(page: Page) -> None:
    preview = page.tabs["data"].preview
    assert answer(page, preview.on, "click", CHOICE, {preview.row: 3})[preview.editing.form] == ""


def test_the_instruction_is_set_and_removed(page: Page) -> None:
    tab = page.tabs["data"]
    assert "helpful AI assistant" in tab.show(CHOICE)[tab.instruction]
    sent = (f"set-instruction:{DATA}", json.dumps({"instruction": "Be <b>warm</b>."}))
    shown = answer(page, tab.instruction, "click", CHOICE, clicked=sent)[tab.instruction]
    assert "Be &lt;b&gt;warm" in shown
    assert "remove-instruction" in shown
    shown = answer(page, tab.instruction, "click", CHOICE, clicked=("remove-instruction", DATA))[tab.instruction]
    assert "remove-instruction" not in shown
    assert kinds(page) == ["instruction", "instruction"]


def test_what_an_example_holds_is_escaped_in_its_form() -> None:
    fields = (ExampleField("message-0", "Question", "</textarea><script>x</script>"),)
    drawn = edit_views.form(EditableExample(1, fields), "<data>")
    assert "<script" not in drawn
    assert drawn.count("</textarea>") == 1


def test_plain_texts_show_no_instruction() -> None:
    assert edit_views.instruction(Instruction("", 0, 0, 0), DATA) == ""


@pytest.mark.parametrize(
    ("found", "numbers"),
    [
        (Instruction("Be brief.", 12, 0, 12), "12"),
        (Instruction("Be brief.", 9, 2, 12), "9 of your 12"),
        (Instruction("Be brief.", 1, 0, 1), "Your only example starts"),
        (Instruction("Be brief.", 10, 1, 12), "1 starts with another one and 1 has none"),
    ],
)
def test_the_share_of_examples_with_the_instruction_is_named(found: Instruction, numbers: str) -> None:
    assert numbers in edit_views.instruction(found, DATA)
