"""Trainings of a demo's visitors in calls of a GPU: over several calls, with a small quota, and without any."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.files.json_file import read_json
from backend.hosting.policy import DEMO
from backend.records.events import NoteEvent
from backend.records.specs import TrainSettings
from backend.settings import SAMPLES, Workspace
from jobs import process
from jobs.records import Job, State
from tests.jobs.conftest import until
from tests.ui.gpu_contract import FakeGpu
from ui.services.app import App
from ui.services.demo import gpu_calls
from ui.services.demo.gpu_calls import GpuCalls
from ui.services.demo.visitor_apps import VisitorApps

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ZeroGPU is Linux"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # the fake forks it
]
Made = Callable[[float], tuple[VisitorApps, FakeGpu]]


@pytest.fixture
def make(workspace_with_model: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """A demo on a GPU of which each visitor may use so many seconds. Its trainings only count for two seconds."""
    limits = {"LONGEST": 2.5, "SHORTEST": 1.0, "SAVING": 1.0, "WORK": "tests.ui.gpu_contract:count"}
    for name, value in limits.items():
        monkeypatch.setattr(gpu_calls, name, value)
    made: list[VisitorApps] = []

    def making(quota: float) -> tuple[VisitorApps, FakeGpu]:
        gpu = FakeGpu(quota)
        made.append(VisitorApps(workspace_with_model, DEMO, gpu=GpuCalls(gpu.call)))
        return made[-1], gpu

    yield making
    for apps in made:
        apps.close()


def start(apps: VisitorApps) -> tuple[App, str]:
    """A visitor, and the training of the sample that they started."""
    app = apps.app(apps.visitors.of_key(apps.visitors.new_key()) or "")
    data = app.datasets.add(SAMPLES / "orders.jsonl", "orders.jsonl")
    return app, app.planning.start(data, "", TrainSettings(), evaluate=False)


def wait(apps: VisitorApps, app: App, run: str, condition: Callable[[Job], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition(app.runner.job(run)):
        assert time.monotonic() < deadline, app.runner.job(run)
        apps._queue.tick()
        time.sleep(0.02)


def test_a_training_goes_on_in_a_second_call(make: Made) -> None:
    apps, gpu = make(100)
    app, run = start(apps)
    wait(apps, app, run, lambda job: job.state is State.COMPLETED)
    assert (gpu.asked, app.runner.job(run).result) == ([2.5, 2.5], {"steps": 40})
    until(lambda: (known := app.runs.gpu_time()) and known.used >= 2)


def test_a_small_quota_is_used_before_the_processor_takes_over(make: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    spawned: list[int] = []
    monkeypatch.setattr(process, "spawn", lambda folder, attempt, workspace: spawned.append(attempt))
    apps, gpu = make(2.2)
    app, run = start(apps)
    wait(apps, app, run, lambda job: bool(spawned))
    assert gpu.asked[:2] == [2.5, 2], "what is left, in whole seconds"
    assert spawned == [2]
    assert 0 < read_json(app.runner.folder(run) / "counter.json")["step"] < 40
    notes = [logged.event for logged in app.runner.events(run).events if isinstance(logged.event, NoteEvent)]
    assert [note.title for note in notes] == [gpu_calls.NO_GPU[0]]
    known = app.runs.gpu_time()
    assert known.left is not None
    assert known.left < 1


def test_the_time_of_a_limited_number_of_visitors_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_calls, "VISITORS", 2)
    calls = gpu_calls.GpuCalls(lambda *given: 1.0)
    for visitor in "abcb":
        calls.add(visitor, 1.5)
    assert [calls.time(visitor).used for visitor in "abc"] == [0.0, 3.0, 1.5]


def test_other_jobs_use_no_gpu(make: Made, monkeypatch: pytest.MonkeyPatch, noop_kind: None) -> None:
    spawned: list[str] = []
    monkeypatch.setattr(process, "spawn", lambda folder, attempt, workspace: spawned.append(folder.id))
    apps, gpu = make(100)
    app = apps.app(apps.visitors.of_key(apps.visitors.new_key()) or "")
    job = app.runner.submit("noop", {}, "")
    wait(apps, app, job, lambda job: bool(spawned))
    assert (spawned, gpu.asked) == ([job], [])


def test_the_sample_needs_less_than_a_minute(make: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    apps, _ = make(0)
    app, run = start(apps)
    folder, spec = app.runner.folder(run), app.runs.spec(run)
    assert 20 < gpu_calls.seconds_needed(folder, spec) < 60
    monkeypatch.setattr(gpu_calls.speed, "time", lambda *_: None)
    assert gpu_calls.seconds_needed(folder, spec) == gpu_calls.LONGEST, "its work is not modeled"
