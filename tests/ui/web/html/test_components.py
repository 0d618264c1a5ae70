"""Text from a person or a file stays text on the page; two runs are shown side by side."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.datasets.checks.fix import Change
from backend.datasets.dataset import CheckedDataset, check_and_fix
from backend.datasets.info import DatasetInfo
from backend.errors import BadInput, RunProblem
from backend.files.json_file import to_json
from backend.records.encoded import Encoded, Piece
from backend.records.events import NoteEvent, SampleEvent, StepEvent
from backend.records.lengths import UNLIMITED
from backend.records.rows import Dataset, FileDetails, Problem, Row, Source
from backend.records.specs import Descent
from backend.training import oom
from jobs.records import State
from tests.backend.datasets.builders import load_text
from tests.backend.tiny_run import run_of
from tests.ui.conftest import tabs
from tests.ui.made_up_app import MadeUpApp
from tests.ui.made_up_workspace import add_run, examples, respec
from ui.records.data import DatasetFiles, DatasetProgress
from ui.records.runs import Losses, RunInfo, RunSummary, UnseenQuestion
from ui.services.selection import Choice
from ui.text import format as fmt
from ui.web.data import before_after, reading_card
from ui.web.data import issues as issues_panel
from ui.web.data import views as data_views
from ui.web.html import compare_runs, components, conversations, tables
from ui.web.runs import views as runs_views
from ui.web.train import run_view
from ui.web.try_it import views as try_it_views
from ui.web.try_it.talk import Turn

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def problem() -> Problem:
    return Problem(4, 3, EVIL, "error", EVIL, EVIL, EVIL)


TURN = Turn(EVIL, EVIL, EVIL, EVIL, loading=EVIL)

DRAWN = {
    "card": lambda: components.card(EVIL, lead=EVIL),
    "badge": lambda: components.badge(EVIL),
    "facts": lambda: components.facts([(EVIL, EVIL)]),
    "rows": lambda: components.rows([(EVIL, EVIL, EVIL)]),
    "progress": lambda: components.progress(4, EVIL),
    "memory bar": lambda: components.memory_bar([(EVIL, 1.0)], 2.0, EVIL),
    "button": lambda: components.button(EVIL, EVIL, EVIL, label=EVIL),
    "form": lambda: components.form(EVIL, components.text(EVIL)),
    "finder": lambda: tables.finder(EVIL, EVIL, [EVIL]),
    "fold": lambda: components.fold(EVIL),
    "delete": lambda: components.delete(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL),
    "guide": lambda: components.guide(1, EVIL, EVIL),
    "run line": lambda: components.run_line(RunInfo(EVIL, EVIL, EVIL, EVIL, 1)),
    "bubbles": lambda: conversations.bubbles(
        [{"role": EVIL, "content": EVIL, "tool_calls": [{"name": EVIL}]}]
    ),
    "tokens": lambda: conversations.tokens([Piece(EVIL, "learned", 3)]),
    "proofs": lambda: components.checklist([(True, EVIL), (False, EVIL), (None, EVIL)]),
    "alert": lambda: components.alert("bad", EVIL, EVIL, EVIL),
    "problems": lambda: issues_panel.card(evil_data()),
    "how it was read": lambda: reading_card.card(evil_data()),
    "before and after": lambda: before_after.changes(
        [Change(1, 1, EVIL, EVIL, f"a {EVIL}", f"b {EVIL}")]
    ),
    "reading": lambda: data_views.reading(
        DatasetProgress(EVIL, EVIL, 0.5, evil_data().original), True
    ),
    "reading failed": lambda: data_views.reading(
        DatasetProgress(EVIL, "", 0.5, error=BadInput(EVIL, EVIL, EVIL)), True
    ),
    "files": lambda: data_views.download(
        data(), DatasetFiles(Path("<img src=x>"), Path("<img src=x>"), 2)
    ),
    "samples while training": lambda: run_view.sample_card(
        [SampleEvent(1, [{"role": "user", "content": EVIL}], EVIL, EVIL)] * 2
    ),
    "conversation": lambda: (
        try_it_views.conversation([TURN]) + try_it_views.conversation([TURN], True)
    ),
    "suggestions": lambda: try_it_views.suggestions([UnseenQuestion(EVIL, [], EVIL)]),
    "runs": lambda: runs_views.listing(
        [RunSummary(RunInfo(EVIL, EVIL, EVIL, EVIL, 1), State.STOPPED, 1.0, Losses())],
        "",
        2.0,
    ),
}


def evil_data() -> CheckedDataset:
    """A dataset in which every name and text is markup."""
    source = Source(
        EVIL,
        EVIL,
        EVIL,
        EVIL,
        "",
        {"question": EVIL},
        (),
        (EVIL,),
        FileDetails(EVIL, delimiter=EVIL, sheet=EVIL),
    )
    rows = [Row(1, 1, [{"role": EVIL, "content": EVIL}]), Row(2, 2, text=EVIL)]
    original = Dataset(source, rows, [problem()], 2, {1: {EVIL: EVIL}, 2: EVIL})
    found = [problem(), Problem(1, 1, "duplicate", "warning", EVIL, EVIL, EVIL)]
    return replace(
        data(), original=original, report=replace(data().report, problems=found)
    )


@pytest.mark.parametrize("piece", DRAWN)
def test_markup_in_texts_is_shown_not_run(piece: str) -> None:
    html = DRAWN[piece]()
    assert "&lt;img" in html or "&lt;script" in html
    assert "<img" not in html
    assert "<script" not in html


@pytest.mark.parametrize(
    ("version", "words"),
    [(1, "<strong>Orders</strong>"), (2, "<strong>Orders, version 2</strong>")],
)
def test_a_later_version_of_a_model_is_named_as_such(version: int, words: str) -> None:
    descent = (
        Descent(first="run-0", parent="run-0", version=version) if version > 1 else None
    )
    assert words in components.run_line(
        RunInfo("run-a", "Orders", "SmolLM2", "orders.jsonl", 216, descent)
    )


def test_reading_and_checking_and_a_need_beyond_the_memory() -> None:
    now = DatasetProgress("orders.csv", "Reading", 0.5)
    assert "<h2>Reading orders.csv</h2>" in data_views.reading(now, True)
    assert "<h2>Checking orders.csv</h2>" in data_views.reading(now, False)
    assert "over" in components.memory_bar(
        [("weights", 9.0)], 8.0, "Needs 9, you have 8."
    )
    assert "over" not in components.memory_bar(
        [("weights", 7.0)], 8.0, "Needs 7, you have 8."
    )


def data(**accepted: Any) -> CheckedDataset:
    read = load_text(
        "\n".join(json.dumps({"messages": chat}) for chat in examples()), "orders.jsonl"
    )
    return check_and_fix(
        "", DatasetInfo("orders.jsonl", accepted=accepted), read, None, UNLIMITED
    )


def test_problems_are_listed_once_and_a_fix_can_be_undone() -> None:
    html = issues_panel.card(data())
    assert html.count("answer is empty") == 1
    assert '<span class="badge bad">2 examples' in html
    assert "Example 18, line 18" in html
    assert "Example 51, line 51" in html
    assert html.index("empty") < html.index("same as example 12"), "errors come first"
    html = issues_panel.card(data(empty_answer="all", duplicate=[40]))
    assert "2 examples removed" in html
    assert 'data-do="undo" data-value="empty_answer"' in html
    shown = re.findall(">([^<]+)<", issues_panel.card(data(empty_answer=[18])))
    assert {"1 example removed", "1 example, must be fixed"} <= set(shown)
    assert "Add the most common" in issues_panel.card(data(add_system="all"))


def test_states_and_notes_have_words() -> None:
    assert {state.value for state in State} <= set(fmt.STATES)
    drawn = run_view.notices(
        [
            NoteEvent(f"Notice {n}", "It reads <4> at a time.")
            for n in (0, 1, 2, 3, 4, 5, 1)
        ]
    )
    assert "It reads &lt;4&gt; at a time." in drawn
    assert re.findall(r"Notice \d", drawn) == [
        "Notice 3",
        "Notice 4",
        "Notice 5",
        "Notice 1",
    ], "repeated: the last"
    assert run_view.notices([]) == ""


ROW = Encoded([1, 2, 3], [-100, 2, 3])


def queued(
    app: MadeUpApp, folder: Path, events: list[StepEvent], **settings: Any
) -> str:
    """A run whose worker has emitted `events`."""
    work = run_of(folder, folder, [ROW] * 8, [ROW], **settings)

    def write(new: Path) -> None:
        (folder / "data").rename(new / "data")
        lines = [
            {"time": 0.0, "attempt": 1, "kind": "step", "data": event.data()}
            for event in events
        ]
        (new / "events.jsonl").write_bytes(
            b"".join(to_json(line) + b"\n" for line in lines)
        )

    return app.runner.submit("train", work.spec, "Orders", prepare=write)


def broken(count: int) -> list[StepEvent]:
    return [
        StepEvent(i, math.nan if i == count else 2.0, epoch=i / 10)
        for i in range(1, count + 1)
    ]


def test_only_differences_are_listed(app: MadeUpApp) -> None:
    add_run(app.workspace, "run-d", State.COMPLETED)
    respec(app.workspace, "run-d", settings={"learning_rate": 1e-4})
    first, again = app.runs.details("run-a"), app.runs.details("run-d")
    assert list(compare_runs.differences(first, again)) == [
        ("Learning rate", "0.0002", "0.0001")
    ]
    html = compare_runs.card(first, again)
    assert ">A <tspan>" in html
    assert ">B <tspan>" in html
    assert "different examples" not in html
    assert not list(compare_runs.differences(first, first))


def test_a_run_is_compared_with_the_settings_that_it_used(
    app: MadeUpApp, tmp_path: Path
) -> None:
    planned, stepped = queued(app, tmp_path / "a", []), queued(app, tmp_path / "b", [])
    oom.save_settings(
        app.runner.folder(stepped),
        app.runs.spec(stepped).settings.changed(method="qlora"),
    )
    found = compare_runs.differences(
        app.runs.details(planned), app.runs.details(stepped)
    )
    assert [(of_a, of_b) for _, of_a, of_b in found] == [("lora", "qlora")]


def test_a_caution_warns_of_different_validation_examples(app: MadeUpApp) -> None:
    one = replace(app.runs.details("run-a"), held_out="")
    other = one.spec.model_copy(
        update={"data": one.spec.data.model_copy(update={"sha256": "1" * 64})}
    )
    assert "different examples" in compare_runs.card(
        one, type(one)(other, one.job, one.curve)
    )
    descent = Descent(first="run-a", parent="run-a", version=2, weights="0" * 64)
    later = other.model_copy(update={"descent": descent})
    first, second = replace(one, held_out="a"), replace(one, spec=later, held_out="a")
    html = compare_runs.card(first, second)
    assert "different examples" not in html  # those set aside stay the same
    assert "version 2" in html
    assert "different examples" in compare_runs.card(
        first, replace(second, held_out="b")
    ), "trained on other data"


def test_a_retry_takes_the_same_rows_and_changes_one_number(
    app: MadeUpApp, tmp_path: Path
) -> None:
    first = queued(app, tmp_path / "made", broken(12), learning_rate=2e-3)
    again = app.versions.retry(first, app.runs.verdict(first))
    old, new = app.runs.spec(first), app.runs.spec(again)
    assert new.settings == old.settings.changed(learning_rate=1e-3)
    assert (new.name, app.versions.first_run(again)) == (
        "toy (learning rate 0.001)",
        first,
    )
    rows = [
        (app.runner.folder(run) / "data" / "train.arrow").read_bytes()
        for run in (first, again)
    ]
    assert rows[0] == rows[1]
    running = tabs(app)["train"].running
    assert 'class="compared"' in running.show(again)[running.comparison]
    app.runner.stop(first)
    app.delete_run(first)
    assert app.versions.first_run(again) == ""


def test_a_run_without_a_verdict_cannot_be_retried(
    app: MadeUpApp, tmp_path: Path
) -> None:
    run = queued(app, tmp_path / "made", [])
    with pytest.raises(RunProblem, match="nothing to change"):
        app.versions.retry(run, app.runs.verdict(run))


def test_my_models_compares_with_the_open_run(app: MadeUpApp) -> None:
    tab = tabs(app)["runs"]
    listed = tab.show(Choice(run_id="run-a"))
    assert 'data-do="compare" data-value="run-b"' in listed[tab.listing]
    assert 'data-do="compare" data-value="run-a"' not in listed[tab.listing]
    assert listed[tab.compared] == ""
    compared = tab.show(Choice(run_id="run-a", compared_run="run-b"))
    assert 'class="compared"' in compared[tab.compared]
    assert (
        compared[tab.listing].count('data-value="run-b" aria-label="Stop comparing')
        == 1
    )
    assert 'aria-label="Stop comparing' not in listed[tab.listing]
    assert 'data-do="compare"' not in tab.show(Choice())[tab.listing]


def test_only_answers_that_are_learned_look_learned() -> None:
    said = [
        {"role": "user", "content": "Open?"}, {"role": "assistant", "content": "Maybe.", "weight": 0},
        {"role": "assistant", "content": "Yes."}, {"role": "rejected", "content": "No."},
    ]  # fmt: skip
    kinds = re.findall(r'class="bubble (\w+)"', conversations.bubbles(said))
    assert kinds == ["user", "rejected", "assistant", "rejected"]
