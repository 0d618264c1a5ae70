"""A tiny random Llama on the whole training path: learning, events, results, errors and
resuming.
"""

import errno
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.errors import BadSetting, MissingPart, TrainingFailed
from backend.models.local import learned
from backend.records.encoded import Encoded
from backend.records.training import TrainingResult
from backend.runs.prepare import versions
from backend.training.train_step import TrainStep
from tests.backend.tiny_run import (
    FakeWork,
    make_model,
    make_run,
    run_of,
    saved,
    weights,
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def finished(
    model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FakeWork, TrainingResult]:
    work = make_run(tmp_path_factory.mktemp("run"), model)
    return work, training.run(work)


@pytest.fixture(scope="module")
def plain(model: Path, tmp_path_factory: pytest.TempPathFactory) -> FakeWork:
    """A finished run of six steps without dropout."""
    work = make_run(
        tmp_path_factory.mktemp("plain"), model, lora_dropout=0.0, max_steps=6
    )
    training.run(work)
    return work


def train_until(work: FakeWork, step: int) -> TrainingResult:
    """Trains up to this step, where the person stops the run; the next training goes on
    to the end.
    """
    work.stop_at = step
    result = training.run(work)
    work.stop_at = None
    return result


def test_a_run_learns(finished: tuple[FakeWork, TrainingResult]) -> None:
    work, result = finished
    assert (result.state, result.steps) == ("completed", 15)
    assert result.eval_loss < result.first_eval_loss
    assert result.weights_changed is True
    assert result.base_unchanged is True
    assert result.learned_tokens_per_second < result.tokens_per_second
    assert result.trainable_parameters == sum(
        tensor.numel() for tensor in weights(learned(work.folder, "lora")).values()
    )


def test_the_events_cover_the_whole_run(
    finished: tuple[FakeWork, TrainingResult],
) -> None:
    work, result = finished
    assert [event["step"] for event in work.events_of("step")] == list(range(1, 16))
    tested = [event["step"] for event in work.events_of("eval")]
    assert (tested[0], tested[-1]) == (0, 15)
    assert len(tested) == len(set(tested)) >= 6
    assert work.events_of("eval")[0]["loss"] == result.first_eval_loss
    assert set(work.events_of("step")[0]) == {
        "step", "epoch", "loss", "learning_rate", "grad_norm", "seconds", "waited", "tokens_per_second", "memory_mib"
    }  # fmt: skip
    sample = work.events_of("sample")[-1]
    assert (sample["step"], sample["expected"]) == (15, "w2 w1")
    assert [phase for i, phase in enumerate(work.phases) if phase not in work.phases[:i]] == [
        "Preparing", "Loading the model", "Validating", "Training", "Saving", "Verifying"
    ]  # fmt: skip


def test_the_verification_compares_every_tensor(
    finished: tuple[FakeWork, TrainingResult],
) -> None:
    (verified,) = finished[0].events_of("verification")
    assert verified["changed_tensors"] == verified["trainable_tensors"] == 28
    assert (verified["base_tensors"], verified["base_changed"]) == (20, 0)
    assert verified["base_checked"] == "every base tensor, whole"
    assert verified["reloaded_loss"] == verified["trained_loss"]


def test_peft_alone_gives_the_reported_loss(
    finished: tuple[FakeWork, TrainingResult], model: Path
) -> None:
    import torch

    from backend.models.model_folder import attach_adapter, load
    from backend.runs.token_rows import read_rows

    work, result = finished
    tuned = attach_adapter(
        load(model, torch.float32), work.folder / "result" / "adapter"
    )
    total = learned = 0.0
    for row in read_rows(work.folder)[1]:
        ids, labels = (
            torch.tensor(row.input_ids)[None].long(),
            torch.tensor(row.labels)[None].long(),
        )
        with torch.no_grad():
            total += float(tuned(input_ids=ids, labels=labels).loss) * row.learned
        learned += row.learned
    assert total / learned == pytest.approx(result.eval_loss, rel=1e-5)


def test_the_tokenizer_is_saved_with_the_adapter(
    finished: tuple[FakeWork, TrainingResult], model: Path
) -> None:
    kept = finished[0].folder / "result" / "adapter"
    assert (kept / "tokenizer.json").read_bytes() == (
        model / "tokenizer.json"
    ).read_bytes()
    assert not list(kept.glob("*.bin"))


def test_resumed_equals_uninterrupted(
    finished: tuple[FakeWork, TrainingResult], model: Path, tmp_path: Path
) -> None:
    """Bit for bit on the processor: the same losses and weights after three stops, with
    dropout.
    """
    whole, result = finished
    work = make_run(tmp_path, model)
    stopped = train_until(work, 0)
    assert (stopped.state, stopped.steps, stopped.weights_changed) == (
        "stopped",
        0,
        False,
    )
    assert work.events_of("eval") == [], "it ends at once"
    assert not (tmp_path / "result").exists()
    work.attempt += 1
    for stop_at in (5, 9):
        stopped = train_until(work, stop_at)
        assert (stopped.state, stopped.steps, stopped.weights_changed) == (
            "stopped",
            stop_at,
            True,
        )
        tested = work.events_of("eval")
        assert (stopped.best_step, stopped.eval_loss) == (stop_at, tested[-1]["loss"])
        reported = [*tested, *work.events_of("sample")]
        assert stop_at not in [event["step"] for event in reported], (
            "it is saved, and neither evaluated nor asked"
        )
        work.attempt += 1
    resumed = training.run(work)
    assert work.losses() == whole.losses()
    found, expected = (
        {e["step"]: e["loss"] for e in run.events_of("eval")} for run in (work, whole)
    )
    assert (found, [event["step"] for event in work.events_of("step")]) == (
        expected,
        list(range(1, 16)),
    )
    assert saved(work) == saved(whole)
    assert (resumed.best_step, resumed.train_loss) == (
        result.best_step,
        result.train_loss,
    )


def test_a_run_killed_after_its_last_checkpoint_completes_without_another_step(
    model: Path, tmp_path: Path
) -> None:
    work = make_run(tmp_path, model, max_steps=7)
    whole = training.run(work)
    work.events.clear()
    again = training.run(work)
    assert not work.events_of("step")
    assert (again.steps, again.eval_loss) == (7, whole.eval_loss)
    assert again.weights_changed is True


def test_a_bad_checkpoint_is_skipped(
    finished: tuple[FakeWork, TrainingResult], model: Path, tmp_path: Path
) -> None:
    work = make_run(tmp_path / "run", model)
    train_until(work, 9)
    damaged = tmp_path / "run" / "checkpoints" / "step-9" / "weights.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    training.run(work)
    steps = [event["step"] for event in work.events_of("step")]
    assert steps == [*range(1, 10), *range(9, 16)]  # from the checkpoint at step 8
    (note,) = work.events_of("note")
    assert note["what"] == "step-9 can't be used. The run continues from step-8."
    assert work.losses() == finished[0].losses()


SAVING = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}


@pytest.mark.parametrize(
    "settings",
    [
        SAVING,
        {"packing": True},
        {"packing": True, **SAVING},
        {"gradient_checkpointing": True},
    ],
    ids=str,
)
def test_settings_that_save_memory_do_not_change_the_losses(
    plain: FakeWork, model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """A step's loss is the mean over the learned tokens of all its rows, however they
    are batched.
    """
    saving = make_run(tmp_path, model, lora_dropout=0.0, max_steps=6, **settings)
    training.run(saving)
    assert saving.losses() == pytest.approx(plain.losses(), rel=1e-5)


# On four rows, so that the validation loss rises.
OVERTRAINED: dict[str, Any] = {
    "rows": 4, "learning_rate": 0.1, "lora_rank": 32, "lr_scheduler_type": "constant", "lora_dropout": 0.0
}  # fmt: skip


def test_early_stopping_saves_the_best_weights(model: Path, tmp_path: Path) -> None:
    work = make_run(
        tmp_path, model, **OVERTRAINED, num_train_epochs=60, early_stopping_patience=2
    )
    result = training.run(work)
    tested = {
        event["step"]: event["loss"]
        for event in work.events_of("eval")
        if event["step"]
    }
    assert result.steps < 60
    assert result.best_step == min(tested, key=lambda step: tested[step]) < result.steps
    assert result.eval_loss == min(tested.values())
    (verified,) = work.events_of("verification")
    assert verified["trained_loss"] == pytest.approx(result.eval_loss)
    assert any(note["title"] == "Stopped early" for note in work.events_of("note"))
    assert work.left[-1] == 0, "while it is saved"


def test_rows_that_judge_do_not_choose_the_step(model: Path, tmp_path: Path) -> None:
    """Too few rows were set aside to be divided: the loss is seen, but chooses nothing."""
    work = make_run(
        tmp_path, model, **OVERTRAINED, num_train_epochs=3, early_stopping_patience=2
    )
    work.spec["data"]["validation_chooses"] = False
    result = training.run(work)
    losses = [event["loss"] for event in work.events_of("eval") if event["step"]]
    assert min(losses) < losses[-1] == result.eval_loss
    assert (result.best_step, result.steps) == (3, 3)
    (verified,) = work.events_of("verification")
    assert verified["trained_loss"] == pytest.approx(result.eval_loss)


def test_without_validation_rows_the_last_weights_are_saved(
    model: Path, tmp_path: Path
) -> None:
    work = make_run(tmp_path, model, validation=0, max_steps=3)
    result = training.run(work)
    assert (result.eval_loss, result.best_step, result.steps) == (None, 3, 3)
    assert not work.events_of("eval")


def test_a_run_stopped_after_a_worse_evaluation_saves_the_best_weights(
    model: Path, tmp_path: Path
) -> None:
    work = make_run(
        tmp_path, model, **OVERTRAINED, num_train_epochs=60, early_stopping=False
    )
    result = train_until(work, 25)
    tested = {
        event["step"]: event["loss"]
        for event in work.events_of("eval")
        if event["step"]
    }
    assert result.best_step == min(tested, key=lambda step: tested[step]) < 24
    assert result.eval_loss == min(tested.values())


def test_the_run_sends_a_heartbeat_with_every_micro_batch(
    model: Path, tmp_path: Path
) -> None:
    """A stopping worker without heartbeats is killed, so a long evaluation or step must
    send them.
    """
    work = make_run(tmp_path, model, rows=8, validation=0, max_steps=1, per_device_train_batch_size=2,
                    gradient_accumulation_steps=4)  # fmt: skip
    training.run(work)
    assert (
        work.heartbeats >= 4 + 2 * 4
    )  # one step, and the two losses of the verification


def test_a_constant_learning_rate_still_warms_up(model: Path, tmp_path: Path) -> None:
    work = make_run(
        tmp_path,
        model,
        validation=0,
        max_steps=8,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        warmup_ratio=0.5,
    )
    training.run(work)
    rates = [event["learning_rate"] for event in work.events_of("step")]
    assert rates[0] < rates[1] < rates[2] < 1e-3
    assert rates[4:] == [1e-3] * 4


@pytest.mark.parametrize("at", ["checkpoint", "result"])
def test_a_full_disk_is_reported(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    import safetensors.torch
    from safetensors import SafetensorError

    from jobs.worker import failure_of

    number = 112 if sys.platform == "win32" else errno.ENOSPC
    save = safetensors.torch.save_file

    def full(tensors: Any, path: Any, *given: Any, **named: Any) -> None:
        if at in ("checkpoint" if "checkpoints" in str(path) else "result"):
            raise SafetensorError(
                f"Error while serializing: I/O error: No space (os error {number})"
            )
        save(tensors, path, *given, **named)

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    monkeypatch.setattr("peft.peft_model.safe_save_file", full)
    with pytest.raises(OSError, match=r"space") as caught:
        training.run(make_run(tmp_path, model, max_steps=2))
    assert failure_of(caught.value).what == "The disk is full."
    assert not list((tmp_path / "result").glob("*"))


@pytest.mark.skipif(
    sys.platform == "win32", reason="needs a limit on the size of files"
)
def test_a_file_size_limit_is_an_oserror(tmp_path: Path) -> None:
    import resource

    import torch

    from backend.training.state import save as saved_state

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError) as caught:  # noqa: PT011
            saved_state._save(
                tmp_path / "weights.safetensors", {"a": torch.zeros(10000)}
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG


def test_a_failed_verification_leaves_no_result(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.optim.AdamW.step", lambda *_args, **_more: None)
    with pytest.raises(TrainingFailed, match="learned nothing"):
        training.run(make_run(tmp_path, model, max_steps=2))
    assert not list((tmp_path / "result").iterdir())


def test_a_resumed_run_notes_changed_versions(model: Path, tmp_path: Path) -> None:
    work = make_run(tmp_path, model, max_steps=3)
    work.spec["versions"] = {**versions(), "trl": "0.0.1", "datasets": "0.0.1"}
    train_until(work, 2)
    assert not work.events_of("note")
    training.run(work)
    (note,) = work.events_of("note")
    assert f"trl 0.0.1, now {versions()['trl']}" in note["what"]
    assert "torch" not in note["what"]
    assert "datasets" not in note["what"]


def test_a_run_with_only_damaged_checkpoints_starts_over(
    model: Path, tmp_path: Path
) -> None:
    work = make_run(tmp_path, model, max_steps=3)
    train_until(work, 2)
    for manifest in (tmp_path / "checkpoints").glob("*/MANIFEST.json"):
        manifest.unlink()
    assert (
        training.run(work).steps,
        [event["step"] for event in work.events_of("step")],
    ) == (3, [1, 2, 1, 2, 3])
    assert work.events_of("note")[0]["what"].endswith("The run starts over.")


def test_a_run_does_not_resume_with_a_changed_base(model: Path, tmp_path: Path) -> None:
    base = shutil.copytree(model, tmp_path / "base")
    work = make_run(tmp_path / "run", base, max_steps=3)
    train_until(work, 2)
    for name in (
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
    ):
        file = base / name
        before = file.read_bytes() if file.exists() else None
        file.write_bytes(before[:-2] + b" }" if before else b"{{ messages }}")
        with pytest.raises(TrainingFailed, match="has changed since") as caught:
            training.run(work)
        assert name in caught.value.why
        file.write_bytes(before) if before else file.unlink()
    assert training.run(work).steps == 3


def test_a_checkpoint_of_another_run_is_rejected(model: Path, tmp_path: Path) -> None:
    one, other = (
        make_run(tmp_path / name, model, max_steps=4) for name in ("one", "other")
    )
    for work, stop_at in ((one, 3), (other, 2)):
        train_until(work, stop_at)
    foreign = shutil.copytree(
        one.folder / "checkpoints" / "step-3", other.folder / "checkpoints" / "step-3"
    )
    with pytest.raises(TrainingFailed, match="another run"):
        training.run(other)
    shutil.rmtree(foreign)
    assert training.run(other).steps == 4


def test_full_training_changes_all_weights_but_not_the_base_on_disk(
    model: Path, tmp_path: Path
) -> None:
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    work = make_run(tmp_path, model, method="full", learning_rate=1e-3, max_steps=5)
    result = training.run(work)
    assert result.weights_changed is result.base_unchanged is True
    assert result.eval_loss < result.first_eval_loss
    assert (tmp_path / "result" / "model" / "model.safetensors").is_file()
    assert {file.name: file.read_bytes() for file in model.iterdir()} == before


def test_qlora_trains_on_a_4_bit_base_whatever_is_evaluated(
    model: Path, tmp_path: Path
) -> None:
    """bitsandbytes repacks weights when it evaluates on a processor; they must still
    give gradients.
    """
    with_tests = make_run(tmp_path / "with", model, method="qlora", max_steps=5)
    without = make_run(
        tmp_path / "without", model, method="qlora", max_steps=5, validation=0
    )
    result = training.run(with_tests)
    assert result.eval_loss < result.first_eval_loss
    assert (result.weights_changed, result.base_unchanged) == (True, True)
    assert {
        tensor.dtype.itemsize
        for tensor in weights(learned(tmp_path / "with", "lora")).values()
    } == {4}
    training.run(without)
    assert with_tests.losses() == without.losses()


def test_a_run_that_can_teach_nothing_fails(model: Path, tmp_path: Path) -> None:
    short = make_model(tmp_path / "short", max_position_embeddings=8)
    damaged, pickled = (
        make_run(tmp_path / "damaged", model),
        make_run(tmp_path / "pickled", model),
    )
    file = damaged.folder / "data" / "train.arrow"
    file.write_bytes(file.read_bytes()[:-8] + b"corrupt!")
    base = shutil.copytree(
        model, tmp_path / "base", ignore=shutil.ignore_patterns("*.safetensors")
    )
    (base / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    pickled.spec["model"]["path"] = str(base)
    layers = make_run(tmp_path / "layers", model, target_modules=("q_proj", "c_attn"))
    unanswered = run_of(
        tmp_path / "unanswered", model, [Encoded([1, 2, 3], [-100, -100, -100])] * 8, []
    )
    for work, error, words in (
        (make_run(tmp_path / "none", model, max_steps=0), TrainingFailed, "nothing to do"),
        (unanswered, TrainingFailed, "nothing to learn"),
        (make_run(tmp_path / "long", short), TrainingFailed, "longer than this model can read"),
        (damaged, TrainingFailed, "damaged"), (layers, BadSetting, "c_attn"), (pickled, MissingPart, "safetensors"),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            training.run(work)


def test_an_infinite_loss_fails_the_run(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.training import train_step

    scored = train_step.token_losses
    monkeypatch.setattr(
        train_step, "token_losses", lambda *given: scored(*given) * float("nan")
    )
    with pytest.raises(TrainingFailed, match="step 1") as caught:
        training.run(make_run(tmp_path, model, validation=0))
    assert "not the learning rate" in caught.value.why
    assert not (tmp_path / "result").exists()


def test_a_validation_loss_that_only_the_first_step_broke_is_not_the_models_fault(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([1.0, float("nan")])
    monkeypatch.setattr(TrainStep, "mean_loss", lambda self, net, rows: next(losses))
    with pytest.raises(TrainingFailed, match="step 1") as caught:
        training.run(make_run(tmp_path, model, max_steps=1))
    assert "learning rate of" in caught.value.why
