"""The run that Train, Try and Share are about, and the runs offered while it has no
model yet.
"""

import argparse
from pathlib import Path

import pytest

from backend.errors import RunProblem
from backend.records.specs import TrainSettings
from jobs.folder import JobFolder
from jobs.records import State
from tests.ui.conftest import answer, tabs
from tests.ui.fake_records import DATA
from tests.ui.made_up_app import MadeUpApp
from tests.ui.made_up_workspace import RUNS, add_run, respec
from ui.cli import run_commands
from ui.services.results.trained_models import DELETED
from ui.services.selection import Choice
from ui.web.page import Page
from ui.web.runs import tab as runs_tab
from ui.web.train import plan_view
from ui.web.try_it.ready_models import no_model

RUNNING, DONE = (
    Choice(data_id=DATA, run_id="run-b"),
    Choice(data_id=DATA, run_id="run-a"),
)


@pytest.mark.parametrize("choice", [RUNNING, DONE])
def test_three_tabs_name_the_open_run(app: MadeUpApp, choice: Choice) -> None:
    made = tabs(app)
    line = "<strong>Orders to fields</strong> · based on SmolLM2 135M · 42 examples from orders.jsonl"
    for name in ("train", "try", "share"):
        assert line in made[name].show(choice)[made[name].line], name
        assert "based on" not in made[name].show(Choice())[made[name].line], name


def test_models_are_offered_until_there_is_one(app: MadeUpApp) -> None:
    made = tabs(app)
    for name in ("try", "share"):
        tab = made[name]
        assert 'data-do="open" data-value="run-a"' in tab.show(RUNNING)[tab.offered], (
            name
        )
        assert 'data-do="open" data-value="run-a"' in tab.show(Choice())[tab.offered], (
            name
        )
        assert tab.show(DONE)[tab.offered] == "", name
    assert "interrupted" in no_model(app, Choice(run_id="run-c"))
    app.end("run-c", State.FAILED)
    assert "failed" in no_model(app, Choice(run_id="run-c"))


def test_a_reason_stands_only_beside_a_disabled_button(app: MadeUpApp) -> None:
    tab = tabs(app)["try"]
    begins, waits = tab.show(Choice()), tab.show(RUNNING)
    assert (begins[tab.begin]["visible"], begins[tab.why_not]) == (True, "")
    assert (waits[tab.begin]["visible"], waits[tab.why_not]) == (
        False,
        no_model(app, RUNNING),
    )


def test_a_run_that_finishes_is_offered(app: MadeUpApp) -> None:
    app.delete_run("run-a")
    made = tabs(app)
    before = {name: made[name].signature(RUNNING) for name in ("try", "share")}
    assert [made[name].show(RUNNING)[made[name].offered] for name in before] == ["", ""]
    add_run(app.workspace, "run-d", State.COMPLETED, "Another")
    for name, seen in before.items():
        assert made[name].signature(RUNNING) != seen, name
        assert "Another" in made[name].show(RUNNING)[made[name].offered], name


def test_the_button_of_a_later_version_names_it(app: MadeUpApp) -> None:
    add_run(app.workspace, "run-d", State.COMPLETED)
    respec(
        app.workspace,
        "run-d",
        descent={"first": "run-a", "parent": "run-a", "version": 2},
    )
    tab = tabs(app)["try"]
    offered = tab.show(RUNNING)[tab.offered]
    assert 'aria-label="Open Orders to fields"' in offered
    assert 'aria-label="Open Orders to fields, version 2"' in offered


@pytest.mark.parametrize("name", ["try", "share"])
def test_a_click_opens_the_offered_model_in_the_same_tab(page: Page, name: str) -> None:
    tab = page.tabs[name]
    shown = answer(
        page, tab.offered, "click", Choice(run_id="run-b"), clicked=("open", "run-a")
    )
    assert (page.state.changed(shown)["run_id"], shown[tab.offered]) == ("run-a", "")
    button = tab.ask if name == "try" else tab.make
    assert shown[button]["interactive"] is True


def test_without_a_model_only_the_script_can_be_exported(app: MadeUpApp) -> None:
    share = tabs(app)["share"]
    shown, parts = share.show(RUNNING), (share.make, share.kind, share.script)
    assert [shown[part]["visible"] for part in parts] == [False, False, True]
    assert "script" in shown[share.why_not]
    app.end("run-b", State.STOPPED)
    shown = share.show(RUNNING)
    assert [shown[part]["visible"] for part in parts] == [True, True, False]
    assert "value" not in shown[share.kind], "the selection stays"


class TestReady:
    """Runs that ended by hand, and no others."""

    @pytest.fixture
    def app(self, app: MadeUpApp) -> MadeUpApp:
        app.fix()
        app.end("run-b", State.STOPPED)
        for run_id in RUNS:
            app.delete_run(run_id)
        return app

    def train(self, app: MadeUpApp, name: str, ended: float | None = None) -> str:
        """A run; a completed one has a saved adapter."""
        run_id = app.planning.start(DATA, "", TrainSettings(), name)
        folder = JobFolder(app.workspace.run_folder(run_id))
        if ended is not None:
            (folder.path / "result" / "adapter").mkdir(parents=True)
            folder.write_status(
                folder.status().changed(state=State.COMPLETED, ended=ended)
            )
        return run_id

    def test_the_latest_three_runs_with_a_model_are_offered(
        self, app: MadeUpApp
    ) -> None:
        for number in (3.0, 1.0, 4.0, 2.0):
            self.train(app, f"Model {number:.0f}", ended=number)
        empty = self.train(app, "Stopped at once", ended=9.0)
        (app.workspace.run_folder(empty) / "result" / "adapter").rmdir()
        waiting = Choice(data_id=DATA, run_id=self.train(app, "Waiting"))
        assert [one.name for one in app.results.ready_to_try()] == [
            "Model 4",
            "Model 3",
            "Model 2",
        ]
        latest = app.results.ready_to_try()[0]
        assert (latest.model_name, latest.examples) == ("SmolLM2 135M", 42)
        tab = tabs(app)["try"]
        offered = tab.show(waiting)[tab.offered]
        assert (
            "Model 4</strong> · based on SmolLM2 135M · 42 examples from orders.jsonl"
            in offered
        )
        opened = app.with_run(waiting, latest.id)
        assert tab.show(opened)[tab.offered] == ""
        assert tab.show(opened)[tab.ask]["interactive"] is True

    def test_a_model_whose_files_were_deleted_is_named(self, app: MadeUpApp) -> None:
        run_id = self.train(app, "Done", ended=1.0)
        (app.workspace.run_folder(run_id) / "result" / "adapter").rmdir()
        made, choice = tabs(app), Choice(data_id=DATA, run_id=run_id)
        assert DELETED in made["try"].show(choice)[made["try"].why_not]
        assert DELETED in made["train"].show(choice)[made["train"].line]
        with pytest.raises(RunProblem, match="deleted"):
            app.evaluations.start(run_id)

    def test_a_damaged_run_does_not_affect_the_others(self, app: MadeUpApp) -> None:
        self.train(app, "Sound", ended=1.0)
        damaged = self.train(app, "Damaged", ended=2.0)
        (Path(app.runner.folder(damaged)) / "spec.json").write_text("{")
        assert [one.name for one in app.results.ready_to_try()] == ["Sound"]
        assert {one.info.name: one.info.examples > 0 for one in app.runs.all()} == {
            "Sound": True,
            "Damaged": False,
        }
        drawn_tabs = tabs(app)
        assert (
            plan_view.PLAN
            in drawn_tabs["train"].show(Choice(data_id=DATA))[
                drawn_tabs["train"].planning.plan
            ]
        )
        assert app.validated(Choice(run_id=damaged, compared_run=damaged)) == Choice()
        listed = run_commands.runs(argparse.Namespace(), app.workspace).document["runs"]
        promised = {one["name"]: "eval_loss" in one for one in listed}
        assert promised == {"Sound": True, "Damaged": True}
        listed = runs_tab.listing(app.runs.all(), "", 3.0)
        assert "can&#39;t be read" in listed
        assert f'data-do="delete" data-value="{damaged}"' in listed
