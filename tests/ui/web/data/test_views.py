"""What Data shows of a file and of one example, which can be edited."""

import json
import re
from dataclasses import replace
from typing import Any, Literal

import gradio as gr
import pytest
from markupsafe import escape

from backend.datasets.checks.fix import Change
from backend.datasets.dataset import CheckedDataset, check_and_fix
from backend.datasets.info import DatasetInfo
from backend.records.lengths import UNLIMITED
from backend.records.rows import Dataset, Row
from tests.backend.datasets.builders import SOURCE, chat, clean_row, load_text, question
from tests.backend.datasets.builders import answer as answer_of
from tests.ui.conftest import answer, text_of
from tests.ui.fake_records import DATA
from tests.ui.made_up_workspace import ROWS, examples
from ui.records.data import EditableExample, ExampleField, Instruction
from ui.services.selection import Choice
from ui.web.data import before_after, decisions, edit_panel, issues, views
from ui.web.page import Page


def state_of(rows: list[Row], **accepted: Literal["all"]) -> CheckedDataset:
    """The state of a dataset with these rows, with the fixes of these kinds accepted."""
    data = Dataset(SOURCE, rows, [], len(rows))
    return check_and_fix(
        "", DatasetInfo("rows.jsonl", accepted=dict(accepted)), data, None, UNLIMITED
    )


def test_few_examples_are_not_called_alike_unless_they_are() -> None:
    state = state_of(
        [replace(clean_row(1), row=number, line=number) for number in (1, 2, 3)]
    )
    assert "too few of them differ" not in views.guide(state)
    assert state.blocked
    assert state.blocked in views.guide(state).unescape()
    assert not state_of([clean_row(number) for number in range(60)]).too_few
    few = state_of([clean_row(number) for number in range(1, 42)])
    copies = state_of(
        [
            replace(clean_row(number % 41), row=number, line=number)
            for number in range(1, 83)
        ]
    )
    assert "differ." not in views.guide(few)
    assert "41 different" in few.too_few
    assert copies.too_few in views.guide(copies).unescape()
    kept = replace(copies, info=copies.info.refuse("duplicate", "all"))
    assert "too few of them differ" in views.guide(kept)
    assert state_of([clean_row(1)]).blocked
    assert not state_of([clean_row(1), clean_row(2)]).blocked


def test_the_counts_of_the_summary_are_those_after_the_fixes() -> None:
    rows = [clean_row(number) for number in range(1, 61)]
    rows += [replace(clean_row(1), row=61, line=61), chat(62, question(62))]
    before, after = state_of(rows), state_of(rows, duplicate="all", no_assistant="all")
    assert "62 examples, not ready" in (shown := text_of(views.summary(before, None)))
    assert re.search("1 still with errors .*1 the same", shown)
    assert "60 examples, ready" in (shown := text_of(views.summary(after, None)))
    assert re.search("0 still with errors .*0 the same.* 62 examples, 2 removed", shown)
    counted = [
        problem.message for problem in after.problems if problem.kind == "too_few"
    ]
    assert counted
    assert all("60 different" in message for message in counted)


def test_what_a_fix_changes_in_a_long_text_is_marked_and_nothing_else() -> None:
    again = "Pump the tyres a little harder than usual. " * 60
    change = Change(
        1,
        2,
        "repetition",
        "",
        f"Dry it. {again}Ride safe!",
        "Dry it. Pump the tyres. Ride safe!",
    )
    html = before_after.changes([change])
    assert "Ride safe!</p>" in html, "unchanged, and its end is shown"
    assert "</del> …" in html, "a cut is marked"
    assert "Ride" not in "".join(re.findall("<(?:ins|del)>(.*?)</", html))


def test_the_count_of_examples_and_joining_cells() -> None:
    assert "25" in views.example_label(25, 25)
    assert {"20", "25"} <= {*re.findall(r"\d+", views.example_label(20, 25))}
    rows = "".join(f"Where is number {n}?,In row {n}.\n" for n in range(20))
    data = load_text(
        "question,answer\nWhat costs it?,It costs 5 euros, with tax.\n" + rows
    )
    state = check_and_fix("", DatasetInfo("rows.csv"), data, None, UNLIMITED)
    assert re.findall('data-do="([^"]+)"', decisions.card(state)) == [
        "drop-cells",
        "join-cells",
        "accept",
    ]
    assert 'data-do="join-cells"' in issues.card(state)
    (spare,) = (problem for problem in state.problems if problem.kind == "ragged_row")
    short = replace(spare, row=spare.row + 1, fix="Add or remove delimiters.")
    more = replace(state.report, problems=[*state.report.problems, short])
    assert answers_of(replace(state, report=more))[0] == "Drop the spare cell"


def answers_of(state: CheckedDataset) -> list[str]:
    return re.findall('data-do="[^"]+"[^>]*>([^<]+)<', decisions.card(state))


def test_one_decision_is_asked_at_a_time_with_at_most_three_answers_in_words() -> None:
    rows = [clean_row(number) for number in range(1, 61)]
    copies = [replace(clean_row(n), row=61 + n, line=61 + n) for n in (1, 2)]
    rows += [chat(61, question(61), ("assistant", "")), *copies]
    state = state_of(rows)
    assert "60 good, 3 need you." in views.guide(state)
    assert "3 examples to decide" in decisions.card(state)
    assert answers_of(state) == ["Remove this example", "Edit it"]
    two = state_of(rows, empty_answer="all")
    assert answers_of(two) == [
        "Remove this example and keep the first",
        "Remove both extra copies",
        "Keep it as it is",
    ]
    assert "Example 1, which stays" in decisions.card(two)
    assert "What the model will learn" not in views.examples(two)
    refused = replace(two, info=two.info.refuse("duplicate", [62]))
    assert answers_of(refused) == [
        "Remove this example and keep the first",
        "Keep it as it is",
        "Edit it",
    ]
    done = state_of(rows, empty_answer="all", duplicate="all")
    assert decisions.card(done) == ""
    assert "60 examples, ready." in views.guide(done)
    assert views.examples(done).count('class="bubbles"') == 3
    assert (
        issues.card(done).count("3 removed (Empty answers: 1 and Duplicates: 2)") == 1
    ), "not once more for the table"


def test_what_can_be_kept_and_what_waits() -> None:
    rows = [clean_row(number) for number in range(1, 61)]
    rows += [
        replace(clean_row(number), row=60 + number, line=60 + number)
        for number in (1, 2, 3)
    ]
    state = state_of(rows)
    refused = replace(state, info=state.info.refuse("duplicate", [61]))
    assert answers_of(refused)[-1] == "Keep both as they are"
    rows = [chat(n, ("user", "Where?"), answer_of(n)) for n in range(1, 61)]
    assert "The same question in every example" in decisions.warnings(state_of(rows))
    assert 'class="alert warn"' in decisions.warnings(state_of(rows))
    same = state_of(rows)
    assert 'data-do="refuse" data-value="same_input_everywhere"' in decisions.warnings(
        same
    )
    dismissed = replace(same, info=same.info.refuse("same_input_everywhere", "all"))
    assert "The same question" not in decisions.warnings(dismissed)
    assert 'data-value="same_input_everywhere"' in issues.card(dismissed), (
        "it can be undone"
    )
    few = state_of([clean_row(number) for number in range(1, 61)])
    assert 'class="alert calm"' in decisions.warnings(few)
    colors = ["red", "blue", "green", "black", "white", "gray"]
    said = [
        chat(60 + n, question(1), ("assistant", f"A {color} one."))
        for n, color in enumerate(colors)
    ]
    meant = state_of([*(clean_row(number) for number in range(2, 60)), *said])
    assert {problem.kind for problem in meant.waiting} == {"system_inconsistent"}
    dropped = replace(meant, info=meant.info.refuse("system_inconsistent", "all"))
    assert "Different answers" not in decisions.warnings(dropped)
    found, _, noted = issues.card(meant).partition(issues.WORTH_A_LOOK)
    assert ("Different answers" in found, noted.count('data-do="pick"')) == (
        False,
        7,
    ), "six answers, or all"
    assert "removed" not in noted, "before the person has picked one"
    again = [
        chat(
            n, question(n), ("assistant", f"{answer_of(n)[1]} {'It is open now. ' * 5}")
        )
        for n in range(1, 11)
    ]
    some = state_of(again)
    first = replace(some, info=some.info.refuse("repetition", [*range(1, 9)]))
    found, _, noted = issues.card(first).partition(issues.WORTH_A_LOOK)
    assert re.findall('data-do="refuse" data-value="repetition:([0-9]+)"', noted) == [
        "9",
        "10",
    ], "not yet decided"
    assert "left as" not in found
    calls = [
        chat(
            n,
            question(n),
            ("assistant", f"{answer_of(n)[1]} Call her on +49 170 1234567."),
        )
        for n in range(9)
    ]
    assert 'data-do="accept" data-value="personal_phone"' in decisions.warnings(
        state_of(calls)
    )
    assert "personal_phone" not in decisions.warnings(
        state_of(calls, personal_phone="all")
    )
    waits = state_of(
        [
            *(clean_row(number) for number in range(1, 61)),
            chat(61, question(61), ("assistant", "")),
        ]
    )
    assert "Few examples" not in decisions.warnings(waits)
    assert decisions.card(waits)


CHOICE = Choice(data_id=DATA, row=3)


def click(page: Page, do: str, value: str = "", form: bool = False) -> dict[Any, Any]:
    panel = page.tabs["data"].preview.editing
    return answer(
        page,
        panel.form if form else panel.buttons,
        "click",
        CHOICE,
        clicked=(do, value),
    )


def kinds(page: Page) -> list[str]:
    return list(page.app.datasets.selected(CHOICE).original.source.edits)


def test_an_example_is_edited_in_a_form_that_closes_when_it_is_saved(
    page: Page,
) -> None:
    panel = page.tabs["data"].preview.editing
    (drawn,) = click(page, "edit-row").values()
    assert f'data-send="save-row:{DATA}:3"' in drawn
    assert all(
        str(escape(text)) in drawn
        for text in (message["content"] for message in examples()[3 - 1])
    )
    texts = json.dumps({"message-0": "Hello?", "message-1": "Hi."})
    updates = click(page, f"save-row:{DATA}:3", texts, form=True)
    assert (kinds(page), updates[panel.form]) == (["replace"], "")
    assert "Version 1" in updates[panel.buttons]


def test_a_refused_edit_leaves_the_form_as_it_is(page: Page) -> None:
    with pytest.raises(gr.Error, match="empty"):
        click(
            page,
            f"save-row:{DATA}:3",
            json.dumps({"message-0": "Hello?", "message-1": " "}),
            form=True,
        )
    assert kinds(page) == []


def test_a_new_example_is_shown_once_it_is_added(page: Page) -> None:
    (drawn,) = click(page, "new-row").values()
    assert f'data-send="add-row:{DATA}"' in drawn
    updates = click(
        page,
        f"add-row:{DATA}",
        json.dumps({"message-0": "Hello?", "message-1": "Hi."}),
        form=True,
    )
    assert (kinds(page), page.state.changed(updates)) == (["add"], {"row": ROWS + 1})


@pytest.mark.parametrize("do", ["save-row:data-2:3", "add-row:data-2", "add-row"])
def test_a_form_of_other_examples_changes_nothing(page: Page, do: str) -> None:
    with pytest.raises(gr.Error, match="no longer open"):
        click(
            page, do, json.dumps({"message-0": "Hello?", "message-1": "Hi."}), form=True
        )
    for clicked in (
        ("set-instruction:data-2", '{"instruction": "Be warm."}'),
        ("remove-instruction", "data-2"),
    ):
        with pytest.raises(gr.Error, match="no longer open"):
            answer(
                page, page.tabs["data"].instruction, "click", CHOICE, clicked=clicked
            )
    assert kinds(page) == []


def test_a_second_click_on_a_form_is_ignored_while_the_first_is_saved(
    page: Page,
) -> None:
    panel = page.tabs["data"].preview.editing
    modes = {
        target: fn.trigger_mode
        for fn in page.blocks.fns.values()
        if fn.fn
        for target in fn.targets
    }
    assert (modes[panel.form._id, "click"], modes[panel.buttons._id, "click"]) == (
        "once",
        "multiple",
    )


def test_deleting_can_be_undone(page: Page) -> None:
    panel = page.tabs["data"].preview.editing
    shown = click(page, "delete-row")[panel.buttons]
    assert ("undo-edit" in shown, kinds(page)) == (True, ["delete"])
    shown = click(page, "undo-edit")[panel.buttons]
    assert ("undo-edit" in shown, kinds(page)) == (False, [])


def test_an_open_form_stays_until_another_example_is_shown(page: Page) -> None:
    tab = page.tabs["data"]
    assert tab.preview.editing.form not in tab.show(CHOICE)
    assert tab.preview.editing.form in tab.outputs
    preview = page.tabs["data"].preview
    assert (
        answer(page, preview.on, "click", CHOICE, {preview.row: 3})[
            preview.editing.form
        ]
        == ""
    )


def test_the_instruction_is_set_and_removed(page: Page) -> None:
    tab = page.tabs["data"]
    assert "helpful AI assistant" in tab.show(CHOICE)[tab.instruction]
    sent = (f"set-instruction:{DATA}", json.dumps({"instruction": "Be <b>warm</b>."}))
    shown = answer(page, tab.instruction, "click", CHOICE, clicked=sent)[
        tab.instruction
    ]
    assert "Be &lt;b&gt;warm" in shown
    assert "remove-instruction" in shown
    shown = answer(
        page, tab.instruction, "click", CHOICE, clicked=("remove-instruction", DATA)
    )[tab.instruction]
    assert "remove-instruction" not in shown
    assert kinds(page) == ["instruction", "instruction"]


def test_a_form_escapes_its_example_and_plain_texts_have_no_instruction() -> None:
    fields = (ExampleField("message-0", "Question", "</textarea><script>x</script>"),)
    drawn = edit_panel.form(EditableExample(1, fields), "<data>")
    assert "<script" not in drawn
    assert (
        drawn.count("</textarea>"),
        edit_panel.instruction(Instruction("", 0, 0, 0), DATA),
    ) == (1, "")


@pytest.mark.parametrize(
    ("found", "numbers"),
    [
        (Instruction("Be brief.", 12, 0, 12), "12"), (Instruction("Be brief.", 9, 2, 12), "9 of your 12"),
        (Instruction("Be brief.", 1, 0, 1), "Your only example starts"),
        (Instruction("Be brief.", 10, 1, 12), "1 starts with another one and 1 has none"),
    ],
)  # fmt: skip
def test_the_share_of_examples_with_the_instruction_is_named(
    found: Instruction, numbers: str
) -> None:
    assert numbers in edit_panel.instruction(found, DATA)
