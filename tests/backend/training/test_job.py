"""The job "train" keeps the computer awake as long as it works, and says whether it can."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from backend.errors import TrainingFailed
from backend.records.training import TrainingResult
from backend.training import job as training_job
from tests.backend.tiny_run import FakeWork


@pytest.mark.parametrize("possible", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_it_trains_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, possible: bool, fails: bool) -> None:
    happened: list[str] = []

    @contextmanager
    def keep_awake() -> Iterator[bool]:
        happened.append("awake")
        try:
            yield possible
        finally:
            happened.append("released")

    def train(context: FakeWork) -> TrainingResult:
        happened.append("trained")
        if fails:
            raise TrainingFailed("It failed.")
        return TrainingResult(state="completed")

    monkeypatch.setattr(training_job, "keep_awake", keep_awake)
    monkeypatch.setattr(training_job, "_measure_and_train", train)
    work = FakeWork(tmp_path, {})
    with pytest.raises(TrainingFailed) if fails else nullcontext():
        assert training_job.run(work)["state"] == "completed"  # type: ignore[arg-type]
    assert happened == ["awake", "trained", "released"]
    assert work.events_of("awake") == [{"awake": possible}]
