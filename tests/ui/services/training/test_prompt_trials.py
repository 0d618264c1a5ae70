"""Trials of prompts over a real workspace with the bundled model; none is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import BadInput, RunProblem
from backend.estimate import Rates
from backend.evaluation import prompt_trial
from backend.evaluation.examples import judging_items, stored_fingerprint, training_items
from backend.evaluation.report import REPORT
from backend.files.json_file import write_json
from backend.models import local
from backend.records.specs import TrainSettings
from backend.settings import SAMPLES, Workspace
from jobs.folder import JobFolder
from jobs.records import State
from tests.ui.fake_records import trial_report
from ui.services.app import App
from ui.services.selection import Choice
from ui.services.training.prompt_trials import NO_QUESTIONS


@pytest.fixture
def app(workspace_with_model: Workspace) -> App:
    return App(workspace_with_model)


@pytest.fixture
def choice(app: App) -> Choice:
    return Choice(data_id=app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl"))


def completed(app: App, job_id: str) -> None:
    """As its worker leaves a completed trial."""
    folder = JobFolder(app.runner.folder(job_id))
    write_json(folder.path / prompt_trial.SYSTEMS_FILE, {})
    write_json(folder.path / REPORT, trial_report())
    folder.write_status(folder.status().ended_as(State.COMPLETED))


def test_it_asks_the_questions_that_a_training_would_set_aside(app: App, choice: Choice) -> None:
    assert app.prompt_trials.why_not(choice) == ""
    trial = app.runner.folder(app.prompt_trials.start(choice))
    settings = app.datasets.settings(choice)
    run = app.runner.folder(app.planning.start(choice.data_id, "", settings))
    assert len(judging_items(trial)) == app.prompt_trials.questions(choice)
    assert (judging_items(trial), training_items(trial)) == (judging_items(run), training_items(run))
    assert stored_fingerprint(trial) == stored_fingerprint(run)


def test_its_time_follows_from_the_measured_speed(app: App, choice: Choice, monkeypatch: pytest.MonkeyPatch) -> None:
    assert app.prompt_trials.expected_seconds(choice) is None, "nothing was measured yet"
    slow, fast = (
        Rates(rate16=rate, rate32=rate, bandwidth=1e11, launch=0.0, spread=1.25, basis="measured")
        for rate in (1e11, 1e12)
    )
    monkeypatch.setattr(app.models, "rates", lambda: slow)
    least, most = app.prompt_trials.expected_seconds(choice) or (0, 0)
    monkeypatch.setattr(app.models, "rates", lambda: fast)
    assert 0 < (app.prompt_trials.expected_seconds(choice) or (0, 0))[1] < least < most


def test_a_second_trial_replaces_the_first(app: App, choice: Choice) -> None:
    first = app.prompt_trials.start(choice)
    app.prompt_trials.stop(choice)
    second = app.prompt_trials.start(choice)
    assert [job.id for job in app.runner.jobs(kind="try_prompts")] == [second]
    assert second != first


def test_a_result_knows_whether_the_examples_have_changed(app: App, choice: Choice) -> None:
    completed(app, app.prompt_trials.start(choice))
    job = app.prompt_trials.latest(choice)
    assert job is not None
    assert app.prompt_trials.report(job.id).best == "few_shot"
    assert app.prompt_trials.is_current(job, choice)
    assert not app.prompt_trials.is_current(job, choice.replace(settings={"seed": 7}))
    app.validation_files.set(choice.data_id, SAMPLES / "orders.held_out.jsonl", "mine.jsonl")
    assert not app.prompt_trials.is_current(job, choice)


def test_a_later_evaluation_finds_its_answers(app: App, choice: Choice) -> None:
    trial = app.prompt_trials.start(choice)
    examples = stored_fingerprint(app.runner.folder(trial))
    assert prompt_trial.find(app.runner.workspace, local.DEFAULT, examples) is None, "it is not completed"
    completed(app, trial)
    assert prompt_trial.find(app.runner.workspace, local.DEFAULT, examples) == trial
    assert prompt_trial.find(app.runner.workspace, "another/model", examples) is None
    run = app.runner.folder(app.planning.start(choice.data_id, "", TrainSettings(seed=7)))
    assert prompt_trial.find(app.runner.workspace, local.DEFAULT, stored_fingerprint(run)) is None


def test_plain_texts_have_no_questions(app: App, tmp_path: Path) -> None:
    texts = "\n".join(f'{{"text": "Chapter {n}. The river rose in the night of day {n}."}}' for n in range(40))
    (tmp_path / "texts.jsonl").write_text(texts)
    choice = Choice(data_id=app.datasets.add(tmp_path / "texts.jsonl", "texts.jsonl"))
    assert app.prompt_trials.why_not(choice) == NO_QUESTIONS
    with pytest.raises(BadInput):
        app.prompt_trials.start(choice)


def test_a_damaged_result_is_reported(app: App, choice: Choice) -> None:
    job_id = app.prompt_trials.start(choice)
    with pytest.raises(RunProblem):
        app.prompt_trials.report(job_id)
    completed(app, job_id)
    whole = trial_report()
    for missing in whole:
        write_json(app.runner.folder(job_id) / REPORT, {name: whole[name] for name in whole if name != missing})
        with pytest.raises(RunProblem):
            app.prompt_trials.report(job_id)
