"""The command train, once its training has ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jobs.records import Failure, State
from tests.ui.fake_records import job
from ui.cli import run_commands
from ui.cli.output import Answer


def test_it_says_why_the_evaluation_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = job("evaluate-1", State.RUNNING, kind="evaluate")
    failed = job("evaluate-1", State.FAILED, kind="evaluate", failure=Failure(what="It failed.", why="No memory."))
    app: Any = SimpleNamespace(evaluations=SimpleNamespace(latest=lambda run_id: running))
    monkeypatch.setattr(run_commands, "follow", lambda *_: failed)
    monkeypatch.setattr(run_commands, "run_answer", lambda *_: Answer({}, ""))
    assert run_commands._ended(app, job("run-a", State.COMPLETED)).exit_code == 0
    assert "No memory." in capsys.readouterr().err
