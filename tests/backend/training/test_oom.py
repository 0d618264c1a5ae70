"""Memory runs out anywhere in a run: it continues by itself with less, learns the same,
and reports each change.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.errors import DoesNotFit, OutOfMemory, is_out_of_memory
from backend.models import bundled
from backend.records.encoded import Encoded
from backend.records.events import NoteEvent
from backend.records.specs import TrainSettings
from backend.records.training import TrainingResult
from backend.runs.token_rows import write_rows
from backend.settings import Workspace
from backend.training import model, oom, samples, session, train_step
from backend.training.state import result
from jobs import process
from jobs.records import State
from jobs.runner import Runner
from tests.backend.tiny_run import FakeWork, make_run, run_of
from tests.cases import cases

GPU = "CUDA out of memory. Tried to allocate 2.00 GiB"
APPLE = "MPS backend out of memory (MPS allocated: 17.50 GB)"
PROCESSOR = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"


def finished(work: FakeWork) -> TrainingResult:
    """The result of a run that the runner retries with less memory."""
    for _ in range(4):
        try:
            return training.run(work)
        except OutOfMemory:
            work.attempt, work.short_of_memory = work.attempt + 1, True
    pytest.fail("it ran out of memory more than four times")


def failing(
    call: Callable[..., Any], error: Exception, when: Callable[..., bool]
) -> Callable[..., Any]:
    def failing_call(*given: Any, **named: Any) -> Any:
        if when(*given):
            raise error
        return call(*given, **named)

    return failing_call


def small(folder: Path, tiny_model: Path, **settings: Any) -> FakeWork:
    return make_run(
        folder, tiny_model, **{"lora_dropout": 0.0, "max_steps": 10, **settings}
    )


@pytest.fixture(scope="module")
def whole(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> FakeWork:
    work = small(tmp_path_factory.mktemp("whole"), tiny_model)
    training.run(work)
    return work


def notes(work: FakeWork) -> list[str]:
    return [note["title"] for note in work.events_of("note")]


def test_memory_that_ran_out_is_recognized_in_all_its_words_and_nothing_else() -> None:
    assert [
        words
        for words in cases("memory", "out_of_memory")
        if not is_out_of_memory(RuntimeError(words))
    ] == []
    assert [
        words
        for words in cases("memory", "other_errors")
        if is_out_of_memory(RuntimeError(words))
    ] == []
    with pytest.raises(ValueError, match="shape"), oom.memory_errors():
        raise ValueError("wrong shape")
    with pytest.raises(OutOfMemory), oom.memory_errors():
        raise OSError(12, "Cannot allocate memory")


def test_a_step_that_never_fits_is_retried_with_gradient_checkpointing(
    whole: FakeWork, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From step 7 on memory runs out without gradient checkpointing; the run resumes
    from step 5.
    """
    work = small(tmp_path, tiny_model)

    def too_large(net: Any, _: Any) -> bool:
        late = len(work.losses()) >= 6 and net.training
        return late and not net.get_base_model().is_gradient_checkpointing

    monkeypatch.setattr(
        train_step,
        "token_losses",
        failing(train_step.token_losses, RuntimeError(GPU), too_large),
    )
    outcome = finished(work)
    assert work.attempt == 2
    assert [event["step"] for event in work.events_of("step")] == [
        1,
        2,
        3,
        4,
        5,
        6,
        6,
        7,
        8,
        9,
        10,
    ]
    assert work.losses() == pytest.approx(whole.losses(), rel=1e-5)
    assert notes(work) == ["Low on memory"] * 3 + ["Out of memory"]
    assert outcome.settings_changed == {
        "per_device_train_batch_size": 1, "gradient_accumulation_steps": 8, "gradient_checkpointing": True
    }  # fmt: skip
    assert (outcome.state, outcome.steps) == ("completed", 10)


def test_a_model_that_loads_only_in_4_bit_is_trained_with_qlora(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(_: Path, settings: TrainSettings, *__: Any) -> bool:
        return settings.method == "lora"

    monkeypatch.setattr(
        model, "load", failing(model.load, RuntimeError(PROCESSOR), too_large)
    )
    work = small(tmp_path, tiny_model, max_steps=2)
    outcome = finished(work)
    assert (work.attempt, notes(work)) == (4, ["Out of memory"] * 3)
    changed = outcome.settings_changed
    assert (changed["method"], changed["gradient_checkpointing"]) == ("qlora", True)
    assert (
        changed["per_device_train_batch_size"] * changed["gradient_accumulation_steps"]
        == 8
    )
    assert (tmp_path / "result" / "adapter" / "adapter_model.safetensors").is_file()


def test_a_lora_run_continues_in_4_bit(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = small(
        tmp_path, tiny_model, gradient_checkpointing=True, per_device_train_batch_size=1
    )

    def too_large(net: Any, _: Any) -> bool:
        return len(work.losses()) >= 6 and not getattr(
            net.get_base_model(), "is_quantized", False
        )

    late = failing(train_step.token_losses, MemoryError(), too_large)
    monkeypatch.setattr(train_step, "token_losses", late)
    outcome = finished(work)
    assert (work.attempt, outcome.settings_changed) == (2, {"method": "qlora"})
    assert work.losses()[7] < work.losses()[1]
    assert outcome.eval_loss < outcome.first_eval_loss


def test_an_evaluation_that_runs_out_of_memory_is_retried(
    whole: FakeWork, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(net: Any, batch: Any) -> bool:
        return not net.training and len(batch.inputs["input_ids"]) > 2

    monkeypatch.setattr(
        train_step,
        "token_losses",
        failing(train_step.token_losses, RuntimeError(APPLE), too_many),
    )
    work = small(tmp_path, tiny_model)
    finished(work)
    assert work.losses() == pytest.approx(whole.losses(), rel=1e-5)
    assert notes(work) == ["Low on memory"] * 2
    assert (tmp_path / oom.NAME).is_file()


def test_samples_that_do_not_fit_are_skipped_and_nothing_else_changes(
    whole: FakeWork, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = failing(samples.sample_answers, RuntimeError(GPU), lambda *_: True)
    monkeypatch.setattr(session, "sample_answers", fails)
    work = small(tmp_path, tiny_model)
    outcome = finished(work)
    assert (work.attempt, outcome.settings_changed) == (1, {})
    assert (work.losses(), notes(work)) == (whole.losses(), ["No more sample answers"])
    assert not work.events_of("sample")


def test_saving_that_runs_out_of_memory_is_retried_without_another_step(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = small(tmp_path, tiny_model)
    monkeypatch.setattr(
        result,
        "_save",
        failing(result._save, MemoryError(), lambda *_: work.attempt == 1),
    )
    assert (finished(work).steps, len(work.events_of("step"))) == (10, 10)


def test_after_the_last_rung_the_run_fails(tiny_model: Path, tmp_path: Path) -> None:
    work = small(
        tmp_path,
        tiny_model,
        method="qlora",
        gradient_checkpointing=True,
        per_device_train_batch_size=1,
    )
    work.attempt, work.short_of_memory = 2, True
    with pytest.raises(DoesNotFit) as caught:
        training.run(work)
    assert not isinstance(caught.value, OutOfMemory)  # which would be retried
    assert "max_length" not in caught.value.next  # its examples are short
    assert not work.events_of("step")
    assert "max_length 450" in oom.ladder_exhausted(900).next


def test_the_ladder_keeps_the_effective_batch_and_has_three_rungs() -> None:
    planned = TrainSettings(
        per_device_train_batch_size=6, gradient_accumulation_steps=2
    )
    used, taken = planned, []
    while step := oom.next_rung(planned, used, can_quantize=True):
        used = used.changed(**step.changes)
        taken.append(
            (used.per_device_train_batch_size, used.gradient_checkpointing, used.method)
        )
        assert used.effective_batch == 12
    assert taken == [(3, False, "lora"), (1, True, "lora"), (1, True, "qlora")]
    packed = TrainSettings(per_device_train_batch_size=8, packing=True)
    used = packed.changed(**oom.next_rung(packed, packed, can_quantize=True).changes)
    assert (used.per_device_train_batch_size, used.packing, used.effective_batch) == (
        4,
        False,
        8,
    )


@pytest.mark.parametrize(
    ("method", "can_quantize"), [("full", True), ("lora", False), ("qlora", True)]
)
def test_only_lora_becomes_qlora_and_only_where_that_works(
    method: Any, can_quantize: bool
) -> None:
    planned = TrainSettings(
        method=method, per_device_train_batch_size=1, gradient_checkpointing=True
    )
    assert oom.next_rung(planned, planned, can_quantize=can_quantize) is None


def test_unreadable_settings_fall_back_to_the_plan(tmp_path: Path) -> None:
    planned = TrainSettings(seed=7)
    (tmp_path / oom.NAME).write_text("{")
    assert oom.settings_used(tmp_path, planned) == planned


# The libraries are loaded first: they need gigabytes of address space, but little
# memory.
WITHIN = """
import sys, resource, psutil
import torch, transformers, trl, peft, datasets, pyarrow.parquet
torch.ones(64, 64) @ torch.ones(64, 64)
limit = psutil.Process().memory_info().vms + ({mib} << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from backend.training import job, run
from jobs import worker
job._measure_and_train = run
sys.exit(worker.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux", reason="needs a limit on the address space"
)
def test_under_a_real_memory_limit_the_micro_batch_shrinks(
    workspace_with_layers: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        Encoded(
            [i % 900 + 20 for i in range(300)],
            [-100] * 150 + [i % 900 + 20 for i in range(150, 300)],
        )
    ] * 8
    made = run_of(
        tmp_path / "made", bundled.folder(workspace_with_layers), rows, [],
        max_steps=1, precision="fp32", lora_dropout=0.0, per_device_train_batch_size=8,
    )  # fmt: skip
    made.spec["data"]["held_out_prompts"] = []
    monkeypatch.setattr(
        process, "WORKER", (sys.executable, "-c", WITHIN.format(mib=800))
    )
    runner = Runner(workspace_with_layers)
    job_id = runner.submit(
        "train", made.spec, "", prepare=lambda folder: write_rows(folder, rows, [])
    )
    job = runner.wait(job_id)
    notes = [
        logged.event.title
        for logged in runner.events(job_id).events
        if isinstance(logged.event, NoteEvent)
    ]
    assert job.state is State.COMPLETED, (
        runner.folder(job_id) / "log.txt"
    ).read_text()[-3000:]
    assert job.result["steps"] == 1
    assert {"Low on memory"} <= set(notes) <= {"Low on memory", "Out of memory"}
    used = json.loads((runner.folder(job_id) / oom.NAME).read_text())
    assert used["per_device_train_batch_size"] < 8
    assert (
        used["per_device_train_batch_size"] * used["gradient_accumulation_steps"] == 8
    )
