"""The cards of the Data tab."""

import html
import re
from dataclasses import replace
from typing import Literal

import pytest

from backend.datasets.chats.people import WhoToImitate
from backend.datasets.checks.fix import Change
from backend.datasets.convert.mapping import SeveralReadings
from backend.datasets.dataset import check_and_fix
from backend.datasets.info import DatasetInfo
from backend.records.lengths import UNLIMITED
from backend.records.rows import Dataset, Row
from tests.backend.datasets.builders import SOURCE, chat, clean_row, load_text, question
from ui.records.data import DatasetProgress, DatasetState
from ui.services.data.dataset_state import dataset_state
from ui.web.data import before_after, issues, views
from ui.web.data.read_options import sent_columns, sent_people


@pytest.mark.parametrize(("imports", "title"), [(True, "Reading orders.csv"), (False, "Checking orders.csv")])
def test_progress_is_headed_by_what_happens_to_which_file(imports: bool, title: str) -> None:
    card = views.reading(DatasetProgress("orders.csv", "Counting tokens", 0.5), imports)
    assert f">{title}<" in card


def state_of(rows: list[Row], **accepted: Literal["all"]) -> DatasetState:
    """The state of a dataset with these rows, with the fixes of these kinds accepted."""
    data = Dataset(SOURCE, rows, [], len(rows))
    checked = check_and_fix("", DatasetInfo("rows.jsonl", accepted=dict(accepted)), data, None, UNLIMITED)
    return dataset_state(checked)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_identical_examples_are_too_few_however_many_there_are() -> None:
    state = state_of([replace(clean_row(1), row=number, line=number) for number in (1, 2, 3)])
    assert "too few of them differ" not in views.guide(state)
    assert state.blocked
    assert state.blocked in views.guide(state).unescape()
    assert not state_of([clean_row(number) for number in range(60)]).too_few


def test_few_examples_that_all_differ_are_not_called_alike() -> None:
    few = state_of([clean_row(number) for number in range(1, 42)])
    copies = state_of([replace(clean_row(number % 41), row=number, line=number) for number in range(1, 83)])
    assert "differ." not in views.guide(few)
    assert "41 different" in few.too_few
    assert "too few of them differ" in views.guide(copies)


def test_a_single_example_can_not_be_trained_on_and_two_can() -> None:
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
    counted = [problem.message for problem in after.problems if problem.kind == "too_few"]
    assert counted
    assert all("60 different" in message for message in counted)


def test_what_a_fix_changes_in_a_long_text_is_marked_and_nothing_else() -> None:
    again = "Pump the tyres a little harder than usual. " * 60
    change = Change(1, 2, "repetition", "", f"Dry it. {again}Ride safe!", "Dry it. Pump the tyres. Ride safe!")
    html = before_after.changes([change])
    assert "Ride safe!</p>" in html, "unchanged, and its end is shown"
    assert "</del> …" in html, "a cut is marked"
    assert "Ride" not in "".join(re.findall("<(?:ins|del)>(.*?)</", html))


def test_whom_to_imitate_is_asked_with_a_box_for_each_person() -> None:
    error = WhoToImitate("a WhatsApp chat", [("Anna <b>", 12), ("Ben", 1)])
    card = views.reading(DatasetProgress("chat.txt", "", 0.0, error=error), imports=True)
    assert "Which of these people" in card
    assert re.findall(r'type="checkbox" name="([^"]+)" value="([^"]+)"', card) == [
        ("person-0", "Anna &lt;b&gt;"),
        ("person-1", "Ben"),
    ]
    assert "12 messages" in text_of(card)


def test_a_text_with_some_questions_is_asked_about_with_a_button_for_each_reading() -> None:
    card = views.reading(DatasetProgress("faq.txt", "", 0.0, error=SeveralReadings(12, ("messages", "text"))), True)
    sent = [html.unescape(value) for value in re.findall(r'data-do="columns" data-value="([^"]+)"', card)]
    assert [sent_columns(value) for value in sent] == [{"shape": "messages"}, {"shape": "text"}]
    assert "12 questions" in text_of(card)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"person-0": "Anna", "person-4": "Ben"}', {"imitate": ["Anna", "Ben"]}),
        ("{}", {}),
        ('{"person-0": 7, "shape": "text"}', {}),
        ("no JSON", {}),
    ],
)
def test_ticked_people_as_the_browser_sends_them(value: str, expected: dict[str, list[str]]) -> None:
    assert sent_people(value) == expected


def test_the_field_for_a_number_agrees_with_the_count_of_examples() -> None:
    assert "25" in views.example_label(25, 25)
    assert {"20", "25"} <= {*re.findall(r"\d+", views.example_label(20, 25))}


def test_joining_cells_comes_before_leaving_their_rows_out() -> None:
    rows = "".join(f"Where is number {n}?,In row {n}.\n" for n in range(20))
    data = load_text("question,answer\nWhat costs it?,It costs 5 euros, with tax.\n" + rows)
    shown = issues.card(dataset_state(check_and_fix("", DatasetInfo("rows.csv"), data, None, UNLIMITED)))
    assert re.search('data-kind="([^"]+)"', shown)[1] == "split_texts"  # type: ignore[index]
    assert 'data-do="join-cells"' in shown
    assert "accept-all" not in shown
