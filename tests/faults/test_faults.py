"""The Nth operation fails, for every N: after a restart nothing is lost, and a resumed
run ends as if none had.
"""

from pathlib import Path

import pytest

from tests.faults import failing_disk
from tests.faults.failing_disk import Fault


def shown(name: str, found: dict[str, object]) -> None:
    print(
        f"\n{name}: {found['total']} faults injected, {found['faults']}, {found['operations']} operations each run"
    )


def test_a_few_faults_in_the_noop_job_and_the_stores() -> None:
    for scenario, every in (("noop_job", ["29", "90"]), ("stores", ["33"])):
        found = failing_disk.run(f"tests.faults.{scenario}", *every)
        assert found["wrong"] == []
        assert found["total"] >= len(Fault)


@pytest.mark.slow
def test_every_third_operation_of_the_job_and_all_of_the_stores_fail(
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = failing_disk.run("tests.faults.noop_job", "1", "3")
    stores = failing_disk.run("tests.faults.stores", "1")
    with capsys.disabled():
        shown("The no-op job and the runner", jobs)
        shown("The stores", stores)
    assert jobs["wrong"] == stores["wrong"] == []
    assert jobs["total"] + stores["total"] >= 450


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "faults"),
    [
        ("training", 84),
        ("evaluation", 21),
        ("export", 21),
        ("import", 21),
        ("download", 21),
    ],
)
def test_a_real_job_makes_the_same_after_any_fault(
    kind: str,
    faults: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Half of the kills or more are at a write: four of seven kinds of faults are, ten
    others at any moment.
    """
    monkeypatch.setenv("FAULTS_FOLDER", str(tmp_path))
    found = failing_disk.run("tests.faults.real_jobs", kind, str(faults), "1")
    with capsys.disabled():
        shown(kind.capitalize(), found)
    assert found["wrong"] == []
    assert found["total"] >= faults + 12
    assert found["operations"]["killed"] >= 20
