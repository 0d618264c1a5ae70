"""A base model that answers while the person looks at the examples, in a real process."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from backend.models import local
from backend.records.specs import TrainSettings
from backend.runs import own_answers
from tests.backend.test_child_process import gone
from tests.backend.tiny_run import conversations, make_model
from tests.jobs.conftest import until
from tests.ui.conftest import tabs
from ui.services.app import App
from ui.services.selection import Choice
from ui.services.training import asking


@pytest.fixture
def choice(app: App, tmp_path: Path) -> Choice:
    """Examples, and a model other than the bundled one."""
    file = tmp_path / "toys.jsonl"
    file.write_text(
        "".join(json.dumps({"messages": each}) + "\n" for each in conversations(40))
    )
    model_id = local.register_folder(app.workspace, make_model(tmp_path / "model"))
    return Choice(data_id=app.datasets.add(file, file.name), model_id=model_id)


@pytest.mark.slow
def test_the_answers_are_there_when_the_run_starts(app: App, choice: Choice) -> None:
    one = {
        "keep_general": 0.02
    }  # answer: for each, a random model writes four to its limit
    run_id = app.planning.start(choice.data_id, choice.model_id, TrainSettings(**one))
    spec = app.runs.spec(run_id)
    app.runner.stop(run_id)
    assert own_answers.unasked(own_answers.known(app.workspace, spec), spec)
    tabs(app)["data"].show(choice.replace(settings=one))
    until(
        lambda: not own_answers.unasked(own_answers.known(app.workspace, spec), spec),
        120,
    )


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[psutil.Process]:
    """The processes that are started to ask, each of which only waits."""
    started: list[psutil.Process] = []

    def start(arguments: list[str], **options: object) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"],
            stdin=subprocess.PIPE,
        )
        started.append(psutil.Process(child.pid))
        return child

    monkeypatch.setattr(asking.child_process, "start", start)
    return started


def test_what_a_run_has_asked_meanwhile_is_not_asked_again(
    app: App,
    choice: Choice,
    begun: list[psutil.Process],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = app.runner.submit("calibrate", {}, "It waits, as nothing ticks")
    tabs(app)["data"].show(choice)
    monkeypatch.setattr(own_answers, "unasked", lambda *_: [])
    app.runner.stop(job)
    until(lambda: all(thread.name != "asking" for thread in threading.enumerate()))
    assert not begun


def test_what_can_not_be_asked_ahead_breaks_no_tab(app: App, choice: Choice) -> None:
    app.asking.begin = Mock(side_effect=OSError)  # type: ignore[method-assign]
    drawn = tabs(app)
    assert drawn["data"].show(choice)[drawn["data"].forward]["interactive"]
    assert drawn["train"].show(choice)[drawn["train"].planning.start]["interactive"]
    assert app.asking.begin.call_count == 2


def test_it_is_never_asked_beside_a_job_that_computes(
    app: App, choice: Choice, begun: list[psutil.Process]
) -> None:
    job = app.runner.submit("calibrate", {}, "It waits, as nothing ticks")
    page = tabs(app)
    page["data"].show(choice)
    time.sleep(3 * asking._POLL)
    assert not begun
    for count in (1, 2):
        app.runner.stop(job)
        until(lambda count=count: len(begun) == count)
        job = app.runner.submit("calibrate", {}, "Another")
        if count == 2:
            app._free_memory(
                "training"
            )  # as before its worker starts, which measures the memory that is free
            assert not begun[-1].is_running()
        assert gone(begun[-1].pid, 30)
    app.runner.stop(job)
    until(lambda: len(begun) == 3)
    page["train"].show(choice)
    app.close()
    assert gone(begun[-1].pid, 30)
    assert len(begun) == 3
