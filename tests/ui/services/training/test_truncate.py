"""After running out of memory, a run is offered shorter examples, with what they lose."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import RunProblem
from backend.files.json_file import to_json
from backend.records.encoded import Encoded
from backend.records.events import DryRunEvent
from backend.runs.token_rows import read_rows
from backend.settings import Workspace
from backend.training import oom
from jobs.failures import failure_of
from jobs.folder import JobFolder
from jobs.records import Failure, State
from tests.backend.tiny_run import run_of
from tests.ui.conftest import tabs
from ui.cli import run_commands
from ui.services.app import App
from ui.services.selection import Choice

LONGEST = 600
EXHAUSTED = failure_of(oom.ladder_exhausted(LONGEST))


def row(asked: int, answered: int) -> Encoded:
    return Encoded([7] * (asked + answered), [-100] * asked + [7] * answered)


ROWS = [row(10, 10), row(100, 500), row(400, 100), row(250, 100)]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(Workspace.open(tmp_path))
    yield made
    made.close()


def failed(app: App, folder: Path, failure: Failure, rows: list[Encoded] = ROWS, fits: int = 0, **settings: Any) -> str:
    """A run that failed this way. fits: the length measured to fit."""
    work = run_of(folder, folder, rows, [ROWS[0]], **settings)
    measured = {"time": 0.0, "attempt": 1, "kind": "dry_run", "data": DryRunEvent(fits, 1.0, 1.0).data()}

    def write(new: Path) -> None:
        (folder / "data").rename(new / "data")
        (new / "events.jsonl").write_bytes(to_json(measured) + b"\n")

    run = app.runner.submit("train", work.spec, "Orders", prepare=write)
    app.runner.stop(run)
    job = JobFolder(app.runner.folder(run))
    job.write_status(job.status().ended_as(State.FAILED, failure))
    return run


def test_the_offer_says_what_shorter_examples_lose(app: App, tmp_path: Path) -> None:
    run = failed(app, tmp_path / "made", EXHAUSTED)
    tab = tabs(app)["train"]
    drawn = tab.show(Choice(run_id=run))[tab.running.status]
    assert "300 tokens" in drawn
    assert "3 of 5 examples" in drawn
    assert 'data-do="shorter"' in drawn
    answer = run_commands.run_answer(app, app.runner.job(run))
    assert answer.document["failure"]["error"] == "DoesNotFit"
    assert answer.document["failure"]["shorter"] == {
        "max_length": 300, "examples": 5, "cut": 3, "left_out": 1, "divided": 0
    }  # fmt: skip
    assert "3 of 5 examples" in answer.text


def test_the_retry_trains_on_shorter_examples_and_is_compared(app: App, tmp_path: Path) -> None:
    run = failed(app, tmp_path / "made", EXHAUSTED)
    again = app.retries.retry_shortened(run)
    old, new = app.runs.spec(run), app.runs.spec(again)
    assert new.settings == old.settings.changed(max_length=300)
    assert new.name == "toy (maximum length 300)"
    train, validation = read_rows(app.runner.folder(again))
    assert [len(one.input_ids) for one in train] == [20, 300, 300]
    assert [one.learned for one in train] == [10, 200, 50]
    assert (new.data.train_rows, new.data.longest, new.data.learned_tokens) == (3, 300, 260)
    assert len(validation) == 1
    assert "different examples" in tabs(app)["train"].running._comparison(again)


def test_each_length_is_offered_once(app: App, tmp_path: Path) -> None:
    run = failed(app, tmp_path / "made", EXHAUSTED)
    again = app.retries.retry_shortened(run)
    assert app.retries.shortening(run) is None
    with pytest.raises(RunProblem):
        app.retries.retry_shortened(run)
    app.runner.stop(again)
    app.delete_run(again)
    assert app.retries.shortening(run) is not None


def test_the_length_measured_to_fit_is_offered_first(app: App, tmp_path: Path) -> None:
    run = failed(app, tmp_path / "made", EXHAUSTED, fits=256)
    offered = app.retries.shortening(run)
    assert offered.max_length == 256
    whole = failed(app, tmp_path / "other", EXHAUSTED, fits=1024)
    offered = app.retries.shortening(whole)
    assert offered.max_length == 300


@pytest.mark.parametrize(
    ("failure", "rows"),
    [
        (Failure(what="The disk is full.", error="NotEnough"), ROWS),
        (Failure(what="Something was not foreseen."), ROWS),
        (EXHAUSTED, [row(10, 400)]),  # half is too short to help
        (EXHAUSTED, [row(500, 100)]),  # no learned token is left
    ],
    ids=["disk", "unknown", "short", "nothing left"],
)
def test_useless_shortening_is_not_offered(app: App, tmp_path: Path, failure: Failure, rows: list[Encoded]) -> None:
    run = failed(app, tmp_path / "made", failure, rows)
    assert app.retries.shortening(run) is None
    with pytest.raises(RunProblem):
        app.retries.retry_shortened(run)
    assert "shorter" not in run_commands.run_answer(app, app.runner.job(run)).document["failure"]
