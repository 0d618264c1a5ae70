"""The Nth operation fails, for every N: after a restart nothing is lost, and a resumed run ends as if none had."""

from pathlib import Path

import pytest

from tests.faults import failing_disk
from tests.faults.failing_disk import Fault


def shown(name: str, found: dict[str, object]) -> None:
    print(f"\n{name}: {found['total']} faults injected, {found['faults']}, {found['operations']} operations each run")


def test_a_few_faults_in_the_noop_job_and_the_stores() -> None:
    for scenario, every in (("noop_job", ["29", "90"]), ("stores", ["33"])):
        found = failing_disk.run(f"tests.faults.{scenario}", *every)
        assert found["wrong"] == []
        assert found["total"] >= len(Fault)


@pytest.mark.slow
def test_every_third_operation_of_the_job_and_all_of_the_stores_fail(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = failing_disk.run("tests.faults.noop_job", "1", "3")
    stores = failing_disk.run("tests.faults.stores", "1")
    with capsys.disabled():
        shown("The no-op job and the runner", jobs)
        shown("The stores", stores)
    assert jobs["wrong"] == stores["wrong"] == []
    assert jobs["total"] + stores["total"] >= 450


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_real_training_resumes_to_the_same_weights(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAULTS_FOLDER", str(tmp_path))
    found = failing_disk.run("tests.faults.training", "56", str(seed))
    with capsys.disabled():
        shown("Training", found)
    assert found["wrong"] == []
    assert found["total"] >= 50
