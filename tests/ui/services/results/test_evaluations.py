"""Evaluations are counted, reported, cancelled and deleted with their run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BadInput, RunProblem
from backend.evaluation.report import REPORT
from backend.files.json_file import write_json
from backend.records.specs import TrainSettings
from jobs.folder import JobFolder
from jobs.records import State
from tests.ui.conftest import tabs
from tests.ui.fake_records import DATA, report, report_json
from tests.ui.made_up_app import MadeUpApp
from ui.services.selection import Choice
from ui.services.training import runs


@pytest.fixture
def app(made_up: Path, tmp_path: Path) -> Iterator[MadeUpApp]:
    """Nothing trains, and the examples are as they must be."""
    app = MadeUpApp(made_up, tmp_path / "made-up")
    app.fix()
    app.end("run-b", State.STOPPED)
    yield app
    app.close()


def test_an_evaluation_is_counted_cancelled_and_deleted_with_its_run(
    app: MadeUpApp,
) -> None:
    run_id = app.planning.start(DATA, "", TrainSettings(validation_fraction=0.5))
    folder = JobFolder(app.workspace.run_folder(run_id))
    folder.write_status(folder.status().ended_as(State.STOPPED))
    (folder.path / "result" / "adapter").mkdir(parents=True)
    assert app.evaluations.judging(run_id)[0] > 0
    job_id = app.evaluations.start(run_id)
    app.runner.stop_unfinished("evaluate", run_id)
    latest = app.evaluations.latest(run_id)
    assert (latest.id, latest.state) == (job_id, State.STOPPED)
    assert app.evaluations.latest_report(run_id) is None
    evaluation = JobFolder(app.workspace.run_folder(job_id))
    found = report_json()
    evaluation.write_status(evaluation.status().ended_as(State.COMPLETED, result=found))
    write_json(evaluation.path / REPORT, found)
    assert (
        app.evaluations.latest_report(run_id),
        set(app.evaluations.summaries()),
    ) == (report(), {run_id})
    app.delete_run(run_id)
    assert not evaluation.path.exists()
    assert app.evaluations.summaries() == {}


RUN = "run-a"  # which completed with a model


def evaluated(app: MadeUpApp, found: dict[str, Any]) -> JobFolder:
    evaluation = JobFolder(app.workspace.run_folder(app.evaluations.start(RUN)))
    write_json(evaluation.path / REPORT, found)
    evaluation.write_status(evaluation.status().ended_as(State.COMPLETED, result=found))
    return evaluation


@pytest.mark.parametrize("damage", ["questions", "report", "field", "older report"])
def test_a_damaged_file_is_reported_in_its_card_and_the_tabs_still_show(
    app: MadeUpApp, damage: str
) -> None:
    if damage == "questions":
        (app.workspace.run_folder(RUN) / "data" / "held_out.jsonl").write_text("[]\n")
    else:
        older = report_json()
        if damage == "field":
            older["general"]["kept"] = "many"
        else:
            del older["general"]["kept"]
        evaluation = evaluated(app, older)
        assert app.evaluations.summaries() == {}
        if damage == "report":
            (evaluation.path / REPORT).write_text("[]")
    drawn, choice = tabs(app), Choice(data_id="", run_id=RUN)
    train, trying = drawn["train"], drawn["try"]
    outcome = train.show(choice)[train.running.outcome]
    assert 'class="alert bad"' in outcome
    assert ("older version" in outcome, "is damaged" in outcome) == (
        damage == "older report",
        damage == "field",
    )
    shown = trying.show(choice)
    assert 'class="alert bad"' in shown[trying.evaluation.card]
    assert shown[trying.evaluation.check]["interactive"] is (damage != "questions")
    assert app.results.unseen_questions(RUN) == [] or damage != "questions"


def test_deleting_a_run_stops_its_evaluation(app: MadeUpApp) -> None:
    app.evaluations.start(RUN)
    app.delete_run(RUN)
    assert not app.workspace.run_folder(RUN).exists()
    assert app.runner.jobs(kind="evaluate") == []


def test_a_run_whose_evaluation_does_not_stop_is_not_deleted(
    app: MadeUpApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.evaluations.start(RUN)
    monkeypatch.setattr(runs, "STOPPING", 0.1)
    monkeypatch.setattr(app.runner, "stop", lambda job_id: None)
    with pytest.raises(RunProblem):
        app.delete_run(RUN)
    assert app.workspace.run_folder(RUN).exists()


@pytest.mark.parametrize("work", ["check", "export", "prompts"])
def test_a_base_model_in_use_is_not_deleted(
    app: MadeUpApp, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    base = app.runs.spec(RUN).model.id
    start = {
        "check": lambda: app.evaluations.start(RUN), "export": lambda: app.results.start_export(RUN, "adapter"),
        "prompts": lambda: app.prompt_trials.start(Choice(data_id=app.runs.spec(RUN).data.data_id)),
    }  # fmt: skip
    job_id = start[work]()
    removed: list[str] = []
    monkeypatch.setattr(app.downloads, "remove", lambda entry: removed.append(entry.id))
    with pytest.raises(BadInput, match="being used"):
        app.remove_model(base)
    another = "Qwen/Qwen3-0.6B"
    app.remove_model(another)
    app.runner.stop(job_id)
    app.remove_model(base)
    assert removed == [another, base]
