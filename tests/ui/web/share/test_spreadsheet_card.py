"""The section of Share that answers a spreadsheet."""

import csv
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from jobs.records import State
from tests.ui.conftest import answer
from tests.ui.fake_records import DATA
from tests.ui.made_up_app import MadeUpApp
from ui.services.selection import Choice
from ui.web.page import Page
from ui.web.share.spreadsheet_card import SpreadsheetCard

DONE = Choice(data_id=DATA, run_id="run-a")


@pytest.fixture
def card(page: Page) -> SpreadsheetCard:
    found: SpreadsheetCard = page.tabs["share"].spreadsheet
    return found


@pytest.fixture
def table(tmp_path: Path) -> str:
    file = tmp_path / "mails.csv"
    file.write_text(
        "id,mail,time\n1,Where is my order 7?,9:00\n2,Cancel it please <b>now</b>,9:30\n",
        "utf-8",
    )
    return str(file)


def started(page: Page, card: SpreadsheetCard, table: str) -> dict[Any, Any]:
    return answer(
        page, card.start, "click", DONE, {card.upload: table, card.column: "mail"}
    )


def test_a_table_is_answered_in_a_new_column(
    app: MadeUpApp, page: Page, card: SpreadsheetCard, table: str
) -> None:
    read = answer(page, card.upload, "upload", DONE, {card.upload: table})
    assert read[card.column]["choices"] == ["id", "mail", "time"]
    assert read[card.column]["value"] == "mail", (
        "the longest texts are likely the questions"
    )
    assert "2 rows" in read[card.counted]
    before = page.signature_of("share", DONE)
    shown = started(page, card, table)
    assert 'role="progressbar"' in shown[card.sheets]
    assert shown[card.upload] is None
    app.work()
    assert page.signature_of("share", DONE) != before
    shown = page.tabs["share"].show(DONE)
    assert "Download mails-answers.csv" in shown[card.sheets]
    (sheet,) = app.spreadsheets.all("run-a")
    with sheet.file.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["answer"][:3] for row in rows] == ["'=W", "'=C"], (
        "no answer is run as a formula"
    )
    assert list(rows[0]) == ["id", "mail", "time", "answer"]


def test_it_is_stopped_continued_and_deleted(
    app: MadeUpApp, page: Page, card: SpreadsheetCard, table: str
) -> None:
    started(page, card, table)
    (sheet,) = app.spreadsheets.all("run-a")
    shown = answer(page, card.sheets, "click", DONE, clicked=("stop", sheet.job.id))
    assert "answers so far are saved" in shown[card.sheets]
    assert [one.job.state for one in app.spreadsheets.all("run-a")] == [State.STOPPED]
    answer(page, card.sheets, "click", DONE, clicked=("resume", sheet.job.id))
    assert [one.job.state for one in app.spreadsheets.all("run-a")] == [State.QUEUED]
    answer(page, card.sheets, "click", DONE, clicked=("stop", sheet.job.id))
    started(page, card, table)
    assert [one.job.id for one in app.spreadsheets.all("run-a")] == [sheet.job.id], (
        "the same table continues"
    )
    app.work()
    answer(page, card.sheets, "click", DONE, clicked=("delete", sheet.job.id))
    assert app.spreadsheets.all("run-a") == []
    answer(page, card.sheets, "click", DONE, clicked=("delete", "run-a"))
    assert app.runs.state("run-a") == "completed", "nothing else can be deleted here"


def test_what_is_no_table_and_a_missing_column_are_named(
    page: Page, card: SpreadsheetCard, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "Open?", "answer": "Yes"}\n')
    with pytest.raises(gr.Error, match="spreadsheet"):
        answer(
            page, card.upload, "upload", DONE, {card.upload: str(tmp_path / "a.jsonl")}
        )
    (tmp_path / "q.csv").write_text("question\nOpen?\nUntil when?\n")
    with pytest.raises(gr.Error, match="no column"):
        answer(
            page,
            card.start,
            "click",
            DONE,
            {card.upload: str(tmp_path / "q.csv"), card.column: "other"},
        )


def test_without_a_model_there_is_a_reason(page: Page, card: SpreadsheetCard) -> None:
    shown = page.tabs["share"].show(Choice())
    assert shown[card.why_not]
    assert not shown[card.upload]["interactive"]
