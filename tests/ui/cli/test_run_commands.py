"""The commands for runs, and what following one prints."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.records.events import (
    AwakeEvent,
    DownloadedEvent,
    EvalEvent,
    Event,
    LoggedEvent,
    StepEvent,
)
from backend.records.specs import TrainSettings
from backend.settings import SAMPLES
from jobs.folder import JobFolder
from jobs.records import Failure, Job, Progress, State
from tests.ui.cli.shell import ORDERS, Shell, chat, write_lines
from tests.ui.fake_records import job
from ui.cli import run_commands
from ui.cli.follow import _Printer
from ui.cli.output import Answer
from ui.cli.run_commands import run_answer
from ui.services.app import App


def test_runs_are_listed_with_their_model_data_and_losses(app: Shell) -> None:
    services = App(app.workspace)
    data_id = services.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    run_id = services.planning.start(data_id, "", TrainSettings())
    folder = JobFolder(app.workspace.run_folder(run_id))
    result = {
        "first_eval_loss": 3.1,
        "eval_loss": 1.2,
        "eval_step": 20,
        "best_step": 20,
    }
    folder.write_status(folder.status().ended_as(State.COMPLETED, result=result))
    (listed,) = app("runs")["runs"]
    assert (listed["id"], listed["name"], listed["state"]) == (
        run_id,
        "Orders",
        "completed",
    )
    assert (listed["model_name"], listed["data_name"], listed["examples"]) == (
        "SmolLM2 135M",
        "orders.jsonl",
        216,
    )
    assert (listed["first_eval_loss"], listed["eval_loss"], listed["eval_step"]) == (
        3.1,
        1.2,
        20,
    )
    job = services.runner.job(run_id)
    assert "this step" in run_answer(services, job).text
    stopped = job.model_copy(
        update={"state": State.STOPPED, "result": {**result, "best_step": 23}}
    )
    assert "step 20" in (text := run_answer(services, stopped).text)
    assert "last step, 23" in text


def test_train_names_the_row_without_an_answer_and_starts_nothing(
    app: Shell, tmp_path: Path
) -> None:
    rows = [
        chat(f"question number {i}?", f"answer to {i}, in some words")
        for i in range(12)
    ]
    error = app(
        "train", "--data", write_lines(tmp_path / "d.jsonl", *rows, chat("alone", None))
    )
    assert app.code == 1
    assert "Example 13 (line 13)" in error["why"]
    assert app("runs") == {"runs": []}


def test_a_misspelled_setting_names_the_nearest(app: Shell) -> None:
    answer = app("train", "--data", ORDERS, "--set", "learnin_rate=1e-4")
    assert (app.code, answer["error"]) == (1, "BadSetting")
    assert "'learning_rate'" in answer["why"]


@pytest.mark.parametrize("command", ["show", "stop", "resume", "delete"])
@pytest.mark.parametrize(
    "run", ["nosuch", "../../etc", "; touch x", "$(x)", "/etc/passwd"]
)
def test_an_unknown_run_is_rejected(app: Shell, command: str, run: str) -> None:
    app(command, run)
    assert app.code == 1


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--data", ORDERS, "--from-base"],
        ["--continue", "x", "--column", "question=Subject"],
    ],
    ids=" ".join,
)
def test_options_of_train_that_do_not_go_together(
    app: Shell, options: list[str]
) -> None:
    assert (app("train", *options)["error"], app.code) == ("BadUsage", 2)


def test_a_run_that_does_not_exist_can_not_be_continued(app: Shell) -> None:
    assert (
        app("train", "--continue", "20200101-000000-abcdefgh")["error"],
        app.code,
    ) == ("RunProblem", 1)


def test_a_run_gets_a_name_and_a_note(app: Shell) -> None:
    services = App(app.workspace)
    data_id = services.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    run_id = services.planning.start(data_id, "", TrainSettings())
    assert app("rename", run_id, "Rosie")["name"] == "Rosie"
    services.versions.describe(run_id, note="Knows the shop.")
    (listed,) = app("runs")["runs"]
    shown = app("show", run_id)
    for found in (listed, shown):
        assert (found["name"], found["note"]) == ("Rosie", "Knows the shop.")
        assert (found["version"], found["parent"]) == (1, None)
    assert (shown["blind_test"], shown["against_parent"], shown["spec"]["descent"]) == (
        None,
        None,
        None,
    )
    assert app("rename", "../runs", "x")["error"] in ("WorkspaceProblem", "RunProblem")


def test_import_says_that_a_file_is_missing_or_a_folder(
    app: Shell, tmp_path: Path
) -> None:
    assert (
        f"There is no file {tmp_path / 'nope.zip'}."
        in app("import", str(tmp_path / "nope.zip"))["what"]
    )
    assert "is a folder" in app("import", str(tmp_path))["what"]


def test_it_says_why_evaluations_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = job("evaluate-1", State.RUNNING, kind="evaluate")
    failed = job(
        "evaluate-1",
        State.FAILED,
        kind="evaluate",
        failure=Failure(what="It failed.", why="No memory."),
    )
    app: Any = SimpleNamespace(
        evaluations=SimpleNamespace(latest=lambda run_id: running)
    )
    monkeypatch.setattr(run_commands, "follow", lambda *_: failed)
    monkeypatch.setattr(run_commands, "run_answer", lambda *_: Answer({}, ""))
    assert run_commands._ended(app, job("run-a", State.COMPLETED)).exit_code == 0
    assert "No memory." in capsys.readouterr().err


def training(done: int, phase: str = "Training") -> Job:
    left = 150.0 if phase == "Training" else None
    progress = Progress(phase=phase, done=done, total=60, seconds_left=left)
    return Job(
        id="r",
        kind="train",
        name="Orders",
        state=State.RUNNING,
        attempt=1,
        created=0,
        progress=progress,
    )


def logged(event: Event) -> LoggedEvent:
    return LoggedEvent(0.0, 1, event)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def run(printer: _Printer) -> None:
    for done in (11, 12):
        printer.job(training(done))
        printer.event(logged(StepEvent(step=done, loss=1.5, tokens_per_second=850)))
    printer.job(training(12, "Validating"))
    printer.event(logged(EvalEvent(step=12, loss=1.25)))
    printer.clear()


def test_a_pipe_gets_a_line_for_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    run(_Printer(terminal=False))
    text = capsys.readouterr().err
    lines = text.splitlines()
    assert "\r" not in text
    assert [line.partition(":")[0] for line in lines] == [
        "step 11 of 60",
        "step 12 of 60",
        "step 12 of 60",
    ]
    assert "1.500" in lines[0]
    assert "2 min 30 s left" in lines[0]


def test_a_terminal_shows_one_updated_line_and_keeps_validations(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(_Printer(terminal=True))
    text = capsys.readouterr().err
    assert text.count("\n") == 1  # of the validation loss, the only line that stays
    shown = [
        piece.strip() for piece in text.replace("\n", "\r").split("\r") if piece.strip()
    ]
    assert shown[1].startswith("step 12 of 60, training loss 1.500")
    assert shown[1].endswith("left")
    assert any(piece == "step 12 of 60: validation loss 1.250" for piece in shown)


def test_a_long_line_does_not_wrap(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    _Printer(terminal=True).job(training(3))
    assert max(map(len, capsys.readouterr().err.split("\r"))) < 20


def test_a_pipe_gets_the_size_of_what_is_downloaded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _Printer(terminal=False).event(logged(DownloadedEvent(700, 1536)))
    assert "700 MB of 1.5 GB" in capsys.readouterr().err


@pytest.mark.parametrize("awake", [True, False])
def test_it_says_whether_the_computer_stays_awake(
    capsys: pytest.CaptureFixture[str], awake: bool
) -> None:
    _Printer(terminal=True).event(logged(AwakeEvent(awake)))
    assert ("stays awake" in capsys.readouterr().err) is awake
