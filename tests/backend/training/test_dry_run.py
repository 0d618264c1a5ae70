"""The job of a training run: its dry run measures memory and time, and what does not
fit is not started.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend import child_process, training
from backend.errors import BadSetting, DoesNotFit, NotEnough, TrainingFailed
from backend.records.specs import RunSpec, TrainSettings
from backend.records.training import TrainingResult
from backend.runs.token_rows import read_rows, truncate
from backend.settings import Workspace
from backend.training import dry_run, dry_run_session, oom, session
from backend.training import job as training_job
from backend.training import measured as measurements
from backend.training.device import Device
from backend.training.dry_run import run_steps
from backend.training.dry_run_session import choose_batches
from backend.training.job import ladder
from backend.training.measured import Measured
from backend.training.sampler import epoch_batches, packs
from backend.training.state import checkpoints
from tests.backend.test_child_process import gone, killed_parent
from tests.backend.tiny_run import FakeWork, make_pairs_run, make_run

FITS = {
    "fits": True, "memory_mib": 700, "startup": 4.0, "seconds_per_step": 0.5, "tokens_per_second": 300.0,
    "evaluation_seconds": 1.0, "sample_seconds": 2.0,
}  # fmt: skip
SHORT = {"fits": False}


@pytest.fixture
def work(tmp_path: Path, tiny_model: Path) -> FakeWork:
    workspace = Workspace.open(tmp_path / "Jürgens Übungen für 東京")
    made = make_run(
        workspace.runs / "one",
        tiny_model,
        per_device_train_batch_size=4,
        max_length=512,
    )
    made.workspace = workspace
    return made


def spec_of(work: FakeWork) -> RunSpec:
    return RunSpec.model_validate(work.spec)


def measured_of(work: FakeWork) -> Measured | None:
    return training_job.measure(work, spec_of(work))


def dry_runs(
    monkeypatch: pytest.MonkeyPatch, *outcomes: dict[str, Any] | None
) -> list[TrainSettings]:
    """Replaces the dry runs by these outcomes, in order; returns the settings that they
    were started with.
    """
    tried: list[TrainSettings] = []
    waiting = iter(outcomes)

    def outcome_of(context: Any, spec: RunSpec) -> dict[str, Any] | None:
        tried.append(spec.settings)
        outcome = next(waiting)
        return dict(outcome) if outcome else None

    monkeypatch.setattr(training_job, "_dry_run", outcome_of)
    return tried


def test_a_run_is_measured_in_its_own_process_then_trained(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_job, "_BUSY_AFTER", 0.0)
    monkeypatch.setattr(training_job.OtherPrograms, "share", lambda others: 0.45)
    result = training_job.run(work)
    assert result["state"] == "completed"
    assert result["weights_changed"]
    event = work.events_of("dry_run")[0]
    assert 100 < event["memory_mib"] < 3000
    assert event["tokens_per_second"] > 0
    assert event["save_seconds"] > 0
    assert not (work.folder / "dry_run" / "checkpoints").exists()
    assert result["measured"]["memory_mib"] == event["memory_mib"]
    assert "tokens" in work.details[-1], "what it tried"
    assert [note["what"].split(" of ")[0] for note in work.events_of("note")] == [
        "Other programs used 45%"
    ]
    assert work.phases.index(training_job.PHASE) < work.phases.index("Training")


@pytest.mark.parametrize("possible", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_a_computer_is_kept_awake(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch, possible: bool, fails: bool
) -> None:
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
    with pytest.raises(TrainingFailed) if fails else nullcontext():
        assert training_job.run(work)["state"] == "completed"
    assert (happened, work.events_of("awake")) == (
        ["awake", "trained", "released"],
        [{"awake": possible}],
    )


def test_a_measurement_is_reused_and_changes_no_settings(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = dry_runs(monkeypatch, FITS)
    spec = spec_of(work)
    first = training_job.measure(work, spec)
    assert (
        training_job.measure(work, spec)
        == first
        == measurements.find(work.workspace, measurements.key_of(spec))
    )
    own = spec.settings.changed(
        learning_rate=1e-4, num_train_epochs=7, seed=3, max_length=256
    )
    again = training_job.measure(work, spec.model_copy(update={"settings": own}))
    assert (again.settings, len(tried), oom.settings_used(work.folder, own)) == (
        own,
        1,
        own,
    )
    assert not (work.folder / oom.NAME).exists()


@pytest.mark.parametrize(
    "changes",
    [
        [{"packing": True, "max_length": length} for length in (512, 256)],
        [{"optim": optim} for optim in ("adamw", "adamw_8bit", "paged_adamw_8bit")], [{}, {"lora_rank": 64}],
    ],
)  # fmt: skip
def test_what_changes_memory_is_measured_again(
    work: FakeWork, changes: list[dict[str, Any]]
) -> None:
    spec = spec_of(work)
    changed = [
        spec.model_copy(update={"settings": spec.settings.changed(**change)})
        for change in changes
    ]
    assert len(set(map(measurements.key_of, changed))) == len(changes)


def test_the_peak_of_the_whole_run_is_stored(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry_runs(monkeypatch, {**FITS, "seconds_per_step": 500.0})
    monkeypatch.setattr(
        training, "run", lambda context: TrainingResult(peak_memory_mib=900)
    )
    work.spec["settings"]["keep_general"] = 0.5
    assert training_job.run(work)["measured"]["memory_mib"] == 700
    rows, settings = 2 * spec_of(work).data.train_rows, spec_of(work).settings
    assert (
        work.left[0]
        > 500 * settings.num_train_epochs * rows // settings.effective_batch
    ), "general ones, too"
    assert (
        measurements.find(work.workspace, measurements.key_of(spec_of(work))).memory_mib
        == 900
    )


def test_a_measured_run_resumes_without_a_dry_run(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry_runs(monkeypatch, FITS)
    trained: list[Any] = []
    monkeypatch.setattr(
        training, "run", lambda context: trained.append(1) or TrainingResult(steps=1)
    )
    training_job.run(work)
    (work.workspace.cache / "dry_run").rename(work.workspace.cache / "gone")
    training_job.run(work)
    assert trained == [1, 1]


def test_a_run_with_a_checkpoint_keeps_its_settings(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = dry_runs(monkeypatch, SHORT, FITS)
    monkeypatch.setattr(training, "run", lambda context: TrainingResult(steps=1))
    with checkpoints.writing(work.folder / "checkpoints", 3) as folder:
        (folder / "weights.safetensors").write_bytes(b"weights")
    assert training_job.run(work)["measured"] is None
    assert tried == []
    assert not (work.folder / oom.NAME).exists()


def test_a_run_that_does_not_fit_gets_settings_that_do(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = dry_runs(monkeypatch, SHORT, SHORT, FITS)
    measured = measured_of(work)
    assert (
        [s.per_device_train_batch_size for s in tried],
        {s.effective_batch for s in tried},
    ) == ([4, 2, 1], {4})
    assert work.oom_resets == 3, "a dry run that the system killed costs no attempt"
    assert (
        oom.settings_used(work.folder, spec_of(work).settings)
        == measured.settings
        == tried[-1]
    )
    assert "2 instead of 4" in work.events_of("note")[0]["what"]


def test_shorter_examples_are_offered_but_not_used(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = dry_runs(monkeypatch, SHORT, SHORT, SHORT, SHORT, FITS)
    work.spec["data"]["longest"] = 512
    with pytest.raises(DoesNotFit) as refused:
        measured_of(work)
    assert (tried[-1].method, tried[-1].max_length) == ("qlora", 256)
    assert work.events_of("dry_run")[-1]["max_length"] == 256
    assert "256 tokens" in refused.value.next
    assert (
        oom.settings_used(work.folder, spec_of(work).settings) == spec_of(work).settings
    )


def test_when_nothing_fits_the_run_fails(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry_runs(monkeypatch, *[SHORT] * 20)
    with pytest.raises(NotEnough, match="does not fit") as refused:
        measured_of(work)
    assert not isinstance(
        refused.value, DoesNotFit
    )  # shorter examples do not fit either


def test_a_failed_or_endless_dry_run_stops_no_training(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        dry_runs(patch, None)
        assert measured_of(work) is None
    monkeypatch.setattr(training_job, "_TIMEOUT", 0.0)
    assert measured_of(work) is None
    assert not (work.folder / "dry_run" / "outcome.json").exists(), "it is killed"
    assert [note["title"] for note in work.events_of("note")] == ["Not measured"] * 2


@pytest.mark.parametrize(
    ("code", "found"), [(-9, SHORT), (-6, SHORT), (-11, None), (-4, None), (1, None)]
)
def test_only_some_exit_codes_mean_out_of_memory(
    tmp_path: Path, code: int, found: dict[str, Any] | None
) -> None:
    assert training_job._outcome(tmp_path / "outcome.json", code) == found


def test_a_lower_peak_does_not_replace_a_higher_one(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    dry_runs(monkeypatch, {**FITS, "memory_mib": 900}, {**FITS, "memory_mib": 600})
    measured_of(work)
    monkeypatch.setattr(training_job, "available", lambda hardware: 800.0)
    measured = measured_of(work)
    stored = measurements.find(work.workspace, measurements.key_of(spec_of(work)))
    assert (measured.memory_mib, stored.memory_mib) == (600, 900)


def test_a_stop_during_the_dry_run_ends_it_and_trains_nothing(work: FakeWork) -> None:
    work.stop_at = 0
    assert training_job.run(work)["state"] == "stopped"
    assert not (work.folder / "result").exists()
    assert not (work.folder / "dry_run" / "outcome.json").exists()


WORKER = """
import os, sys, time
from pathlib import Path
from backend import child_process
from backend.records.specs import RunSpec
from backend.settings import Workspace
from backend.training import job
from tests.backend.training.test_dry_run import IN_A_LONG_CALL, FakeWork
folder = Path(sys.argv[1])
start = child_process.start
child_process.start = lambda arguments: start(["-c", IN_A_LONG_CALL, *arguments[2:]], stdout=sys.stdout)
spec = RunSpec.model_validate_json((folder / "spec.json").read_text())
job._dry_run(FakeWork(folder, {}, workspace=Workspace.open(Path(sys.argv[2]))), spec)
"""
IN_A_LONG_CALL = """
import importlib, os, runpy, time
def hold_still(*_, **__):
    print(os.getpid(), flush=True)
    time.sleep(600)
importlib.import_module("backend.training.run").set_up = hold_still
runpy.run_module("backend.training.dry_run", run_name="__main__")
"""


def test_a_dry_run_ends_within_seconds_of_its_killed_worker(work: FakeWork) -> None:
    (work.folder / "spec.json").write_text(json.dumps(work.spec))
    assert gone(killed_parent(WORKER, str(work.folder), str(work.workspace.root)))


def test_bad_settings_are_reported_before_training(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work of the dry run's process is done in this one, which has imported all
    that it needs.
    """
    start = child_process.start
    monkeypatch.setattr(
        training_job, "available", lambda hardware: float("inf")
    )  # which sets no limit
    monkeypatch.setattr(
        child_process,
        "start",
        lambda given: dry_run.main(Path(given[-1])) or start(["-c", ""]),
    )
    work.spec["settings"]["target_modules"] = ["no_such_layer"]
    with pytest.raises(BadSetting, match="no_such_layer"):
        measured_of(work)


def test_a_dry_run_stops_at_the_free_memory(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_job, "available", lambda hardware: 150.0)
    assert training_job._dry_run(work, spec_of(work)) == SHORT


PACKED = {"packing": True}
SPARING = {
    "per_device_train_batch_size": 1,
    "gradient_checkpointing": True,
    "method": "qlora",
}


@pytest.mark.parametrize(
    ("settings", "longest", "tried"),
    [
        ({}, 700, {350}),
        ({}, 300, set()),
        (PACKED | SPARING, 300, {512, 256}),
        (PACKED, 300, set()),
    ],
)
def test_only_lengths_that_save_memory_are_tried(
    settings: dict[str, Any], longest: int, tried: set[int]
) -> None:
    rungs = ladder(TrainSettings(max_length=1024, **settings), longest)
    assert {s.max_length for s, _ in rungs} - {1024} == tried


def test_a_length_that_leaves_no_answer_is_not_offered(work: FakeWork) -> None:
    spec = spec_of(work)
    short = spec.model_copy(
        update={"settings": spec.settings.model_copy(update={"max_length": 2})}
    )
    with pytest.raises(NotEnough):
        run_steps(work.folder, short, 0.0)


def test_with_packing_the_step_with_the_fullest_pack_is_measured() -> None:
    lengths = [*range(20, 120)] * 4
    batches = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 8}
    settings = TrainSettings(**batches, packing=True, max_length=512)
    _, longest, usual, *_ = choose_batches(lengths, settings)

    def fullest(rows: list[int]) -> int:
        return max(
            sum(lengths[row] for row in part) for part in packs(rows, lengths, 512)
        )

    assert (fullest(longest), len(usual)) == (
        max(map(fullest, epoch_batches(lengths, 16, settings.seed, 0))),
        16,
    )


def test_the_measured_steps_have_the_longest_rows_and_usual_ones() -> None:
    lengths = [10] * 40 + [500] * 4 + [100] * 40
    warm, longest, *others = choose_batches(
        lengths, TrainSettings(per_device_train_batch_size=4)
    )
    usual = others[0]
    assert (len({tuple(rows) for rows in others}), [lengths[row] for row in warm]) == (
        len(others),
        [10],
    )
    assert [lengths[row] for row in longest] == [500] * 4
    assert sum(lengths[row] for row in usual) == pytest.approx(
        sum(lengths) / (len(lengths) / 4), rel=0.5
    )


def test_the_time_of_a_run_is_the_sum_of_its_parts() -> None:
    measured = Measured(
        settings=TrainSettings(), **{k: v for k, v in FITS.items() if k != "fits"}
    )
    assert measured.seconds(100, 0) == 4 + 50
    assert (
        measured.seconds(100, 5) == 4 + 50 + 6 * 1 + 6 * 1
    )  # answers that take two seconds are cut after one
    around = measured.model_copy(
        update={"reference_seconds": 30.0, "verification_seconds": 3.0}
    )
    assert around.seconds(100, 0) == 4 + 30 + 50 + 3
    saving = measured.model_copy(update={"save_seconds": 2.0})
    for steps, evaluations, saved in (
        (100, 5, 5), (100, 0, 1), (6000, 0, 10),  # a checkpoint every five minutes,
        (9600, 4, 16), (10800, 4, 20),  # also between evaluations 20 minutes apart, each of which restarts them
    ):  # fmt: skip
        assert (
            saving.seconds(steps, evaluations) - measured.seconds(steps, evaluations)
            == 2 * saved
        )
    assert json.loads(measured.model_dump_json())["memory_mib"] == 700


def test_computing_reference_logprobs_is_timed(
    tmp_path: Path, tiny_model: Path
) -> None:
    made = make_pairs_run(tmp_path / "pairs", tiny_model, per_device_train_batch_size=4)
    assert run_steps(made.folder, spec_of(made), time.time())["reference_seconds"] > 0


def test_rows_are_truncated_to_max_length(work: FakeWork) -> None:
    short = truncate(read_rows(work.folder)[0], 6)
    assert max(row.tokens for row in short) == 6
    assert all(row.learned for row in short)


def test_the_clock_is_read_when_the_device_is_done(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that takes a second to finish what it was given, each time that it is
    waited for.
    """
    clock = SimpleNamespace(
        now=0.0,
        time=time.time,
        monotonic=time.monotonic,
        perf_counter=lambda: clock.now,
    )
    monkeypatch.setattr(
        Device, "wait", lambda self: setattr(clock, "now", clock.now + 1)
    )
    for module in (dry_run, dry_run_session, session):
        monkeypatch.setattr(module, "time", clock)
    found = run_steps(work.folder, spec_of(work), time.time())
    assert found["seconds_per_step"] == pytest.approx(1, rel=0.3)
    assert (found["save_seconds"], found["sample_seconds"]) == (1, 1)
    assert found["evaluation_seconds"] > 0


def test_more_memory_than_the_gpu_has_does_not_fit(
    work: FakeWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Device, "peak_memory_mib", lambda self: 5000)
    with pytest.raises(NotEnough):
        run_steps(work.folder, spec_of(work), time.time(), 4999, on_processor=False)
    assert (
        run_steps(work.folder, spec_of(work), time.time(), 5000, on_processor=False)[
            "memory_mib"
        ]
        == 5000
    )
