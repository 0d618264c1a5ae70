"""Two runs side by side, and a retry with one change."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import RunProblem
from backend.files.json_file import to_json
from backend.records.encoded import Encoded
from backend.records.events import StepEvent
from backend.records.specs import Descent
from backend.training import oom
from jobs.records import State
from tests.backend.tiny_run import run_of
from tests.ui.conftest import tabs
from tests.ui.made_up_app import MadeUpApp
from tests.ui.made_up_workspace import add_run, respec
from ui.services.selection import Choice
from ui.web.html import compare_runs

ROW = Encoded([1, 2, 3], [-100, 2, 3])


def queued(app: MadeUpApp, folder: Path, events: list[StepEvent], **settings: Any) -> str:
    """A run whose worker has emitted `events`."""
    work = run_of(folder, folder, [ROW] * 8, [ROW], **settings)

    def write(new: Path) -> None:
        (folder / "data").rename(new / "data")
        lines = [{"time": 0.0, "attempt": 1, "kind": "step", "data": event.data()} for event in events]
        (new / "events.jsonl").write_bytes(b"".join(to_json(line) + b"\n" for line in lines))

    return app.runner.submit("train", work.spec, "Orders", prepare=write)


def broken(count: int) -> list[StepEvent]:
    return [StepEvent(i, math.nan if i == count else 2.0, epoch=i / 10) for i in range(1, count + 1)]


def test_only_differences_are_listed(app: MadeUpApp) -> None:
    add_run(app.workspace, "run-d", State.COMPLETED)
    respec(app.workspace, "run-d", settings={"learning_rate": 1e-4})
    first, again = app.runs.details("run-a"), app.runs.details("run-d")
    assert list(compare_runs.differences(first, again)) == [("Learning rate", "0.0002", "0.0001")]
    html = compare_runs.card(first, again)
    assert ">A <tspan>" in html
    assert ">B <tspan>" in html
    assert "different examples" not in html
    assert not list(compare_runs.differences(first, first))


def test_a_run_is_compared_with_the_settings_that_it_used(app: MadeUpApp, tmp_path: Path) -> None:
    planned, stepped = queued(app, tmp_path / "a", []), queued(app, tmp_path / "b", [])
    oom.save_settings(app.runner.folder(stepped), app.runs.spec(stepped).settings.changed(method="qlora"))
    found = compare_runs.differences(app.runs.details(planned), app.runs.details(stepped))
    assert [(of_a, of_b) for _, of_a, of_b in found] == [("lora", "qlora")]


def test_a_caution_warns_of_different_validation_examples(app: MadeUpApp) -> None:
    one = replace(app.runs.details("run-a"), held_out="")
    other = one.spec.model_copy(update={"data": one.spec.data.model_copy(update={"sha256": "1" * 64})})
    assert "different examples" in compare_runs.card(one, type(one)(other, one.job, one.curve))
    descent = Descent(first="run-a", parent="run-a", version=2, weights="0" * 64)
    later = other.model_copy(update={"descent": descent})
    first, second = replace(one, held_out="a"), replace(one, spec=later, held_out="a")
    html = compare_runs.card(first, second)
    assert "different examples" not in html  # those set aside stay the same
    assert "version 2" in html
    assert "different examples" in compare_runs.card(first, replace(second, held_out="b")), "trained on other data"


def test_a_retry_takes_the_same_rows_and_changes_one_number(app: MadeUpApp, tmp_path: Path) -> None:
    first = queued(app, tmp_path / "made", broken(12), learning_rate=2e-3)
    again = app.retries.retry(first)
    old, new = app.runs.spec(first), app.runs.spec(again)
    assert new.settings == old.settings.changed(learning_rate=1e-3)
    assert new.name == "toy (learning rate 0.001)"
    assert app.retries.first_run(again) == first
    rows = [(app.runner.folder(run) / "data" / "train.arrow").read_bytes() for run in (first, again)]
    assert rows[0] == rows[1]
    assert 'class="compared"' in tabs(app)["train"].running._comparison(again)
    app.runner.stop(first)
    app.delete_run(first)
    assert app.retries.first_run(again) == ""


def test_a_run_without_a_verdict_cannot_be_retried(app: MadeUpApp, tmp_path: Path) -> None:
    run = queued(app, tmp_path / "made", [])
    with pytest.raises(RunProblem, match="nothing to change"):
        app.retries.retry(run)


def test_my_models_compares_with_the_open_run(app: MadeUpApp) -> None:
    tab = tabs(app)["runs"]
    listed = tab.show(Choice(run_id="run-a"))
    assert 'data-do="compare" data-value="run-b"' in listed[tab.listing]
    assert 'data-do="compare" data-value="run-a"' not in listed[tab.listing]
    assert listed[tab.compared] == ""
    compared = tab.show(Choice(run_id="run-a", compared_run="run-b"))
    assert 'class="compared"' in compared[tab.compared]
    assert compared[tab.listing].count('data-value="run-b" aria-label="Stop comparing') == 1
    assert 'aria-label="Stop comparing' not in listed[tab.listing]
    assert 'data-do="compare"' not in tab.show(Choice())[tab.listing]
