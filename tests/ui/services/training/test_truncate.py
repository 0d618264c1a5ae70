"""After running out of memory, a run is planned again with shorter examples."""

from pathlib import Path

import pytest

from backend.errors import RunProblem
from backend.files.json_file import to_json
from backend.records.encoded import Encoded
from backend.records.events import DryRunEvent
from backend.training import oom
from jobs.folder import JobFolder
from jobs.records import Failure, State
from jobs.worker import failure_of
from tests.backend.tiny_run import run_of
from tests.ui.conftest import tabs
from ui.services.app import App
from ui.services.selection import Choice

EXHAUSTED = failure_of(oom.ladder_exhausted(600))


def row(asked: int, answered: int) -> Encoded:
    return Encoded([7] * (asked + answered), [-100] * asked + [7] * answered)


def failed(
    app: App, folder: Path, failure: Failure, longest: int = 600, fits: int = 0
) -> str:
    """A run that failed this way. longest: tokens of its longest example. fits: the
    length measured to fit.
    """
    work = run_of(folder, folder, [row(10, 10), row(100, longest - 100)], [row(10, 10)])
    measured = {
        "time": 0.0,
        "attempt": 1,
        "kind": "dry_run",
        "data": DryRunEvent(fits, 1.0, 1.0).data(),
    }

    def write(new: Path) -> None:
        (folder / "data").rename(new / "data")
        (new / "events.jsonl").write_bytes(to_json(measured) + b"\n")

    run = app.runner.submit("train", work.spec, "Orders", prepare=write)
    app.runner.stop(run)
    job = JobFolder(app.runner.folder(run))
    job.write_status(job.status().ended_as(State.FAILED, failure))
    return run


@pytest.mark.parametrize(("fits", "length"), [(0, 300), (256, 256), (1024, 300)])
def test_it_is_planned_with_the_length_measured_to_fit_or_half(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: int, length: int
) -> None:
    run = failed(app, tmp_path / "made", EXHAUSTED, fits=fits)
    tab = tabs(app)["train"]
    drawn = tab.show(Choice(run_id=run))[tab.running.status]
    assert f"at most {length} tokens" in drawn
    assert 'data-do="shorter"' in drawn
    with pytest.raises(RunProblem):  # its examples are no longer here
        app.for_shorter(Choice(run_id=run), run)
    monkeypatch.setattr(app.versions, "data_id", lambda run_id: "data")
    planned = app.for_shorter(Choice(run_id=run, settings={"seed": 4}), run)
    assert planned == Choice(data_id="data", settings={"seed": 4, "max_length": length})


@pytest.mark.parametrize(
    ("failure", "longest"),
    [
        (Failure(what="Full.", error="NotEnough"), 600),
        (Failure(what="Not foreseen."), 600),
        (EXHAUSTED, 410),
    ],
    ids=["disk", "unknown", "half is too short to help"],
)
def test_otherwise_no_length_is_offered(
    app: App, tmp_path: Path, failure: Failure, longest: int
) -> None:
    assert (
        app.versions.shorter_length(failed(app, tmp_path / "made", failure, longest))
        is None
    )
