"""How far a job is, with the total and the time left: one updated line on a terminal, plain lines in a pipe."""

from __future__ import annotations

import pytest

from backend.records.events import AwakeEvent, DownloadedEvent, EvalEvent, Event, LoggedEvent, StepEvent
from jobs.records import Job, Progress, State
from ui.cli.follow import _Printer


def training(done: int, phase: str = "Training") -> Job:
    left = 150.0 if phase == "Training" else None
    progress = Progress(phase=phase, done=done, total=60, seconds_left=left)
    return Job(id="r", kind="train", name="Orders", state=State.RUNNING, attempt=1, created=0, progress=progress)


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
    assert [line.partition(":")[0] for line in lines] == ["step 11 of 60", "step 12 of 60", "step 12 of 60"]
    assert "1.500" in lines[0]
    assert "2 min 30 s left" in lines[0]


def test_a_terminal_shows_one_updated_line_and_keeps_validations(capsys: pytest.CaptureFixture[str]) -> None:
    run(_Printer(terminal=True))
    text = capsys.readouterr().err
    assert text.count("\n") == 1  # of the validation loss, the only line that stays
    shown = [piece.strip() for piece in text.replace("\n", "\r").split("\r") if piece.strip()]
    assert shown[1].startswith("step 12 of 60, training loss 1.500")
    assert shown[1].endswith("left")
    assert any(piece == "step 12 of 60: validation loss 1.250" for piece in shown)


def test_a_long_line_does_not_wrap(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    _Printer(terminal=True).job(training(3))
    assert max(map(len, capsys.readouterr().err.split("\r"))) < 20


def test_a_pipe_gets_the_size_of_what_is_downloaded(capsys: pytest.CaptureFixture[str]) -> None:
    _Printer(terminal=False).event(logged(DownloadedEvent(700, 1536)))
    assert "700 MB of 1.5 GB" in capsys.readouterr().err


@pytest.mark.parametrize("awake", [True, False])
def test_it_says_whether_the_computer_stays_awake(capsys: pytest.CaptureFixture[str], awake: bool) -> None:
    _Printer(terminal=True).event(logged(AwakeEvent(awake)))
    assert ("stays awake" in capsys.readouterr().err) is awake
