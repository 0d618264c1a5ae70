"""A run stopped or killed at random steps and resumed equals, bit for bit, a run
without interruption.

Compared on the processor: the loss of every step and evaluation, and the saved weights.
"""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.records.events import Event, StepEvent
from backend.settings import SAMPLES
from backend.tokens.tokenizer import ChatTokenizer
from backend.training import device
from backend.training.state import resume, save
from tests.backend.tiny_run import (
    FakeWork,
    continue_from,
    make_pairs_run,
    make_run,
    run_of,
    saved,
)

QUICK: dict[str, dict[str, Any]] = {
    "continued": {"continued": True},
    "qlora": {"method": "qlora"},
}
SLOW: dict[str, dict[str, Any]] = {
    "lora": {}, "full": {"method": "full", "learning_rate": 1e-3},
    "full, 8-bit": {"method": "full", "learning_rate": 1e-3, "optim": "adamw_8bit"},
    "packing": {"packing": True, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
    "checkpointing": {"gradient_checkpointing": True, "lr_scheduler_type": "linear", "weight_decay": 0.1},
    "qlora, packing": {"method": "qlora", "packing": True}, "dpo": {"trainer": "dpo"},
    "dpo of all weights": {"trainer": "dpo", "method": "full", "learning_rate": 1e-3},
    "continued, qlora": {"continued": True, "method": "qlora"},
    "continued, dpo": {"continued": True, "trainer": "dpo"},
    "continued, all weights": {"continued": True, "method": "full", "learning_rate": 1e-3}, **QUICK,
}  # fmt: skip


class Killed(BaseException):
    """The process is gone."""


class KilledWork(FakeWork):
    """Is killed as soon as the step `dies_at` is reported."""

    dies_at: int | None = None

    def emit(self, event: Event) -> None:
        super().emit(event)
        if isinstance(event, StepEvent) and event.step == self.dies_at:
            raise Killed


def eval_losses(work: FakeWork) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in work.events_of("eval")}


def check(
    whole: FakeWork, interrupted: FakeWork, steps: int, seed: int, times: int = 3
) -> None:
    """Trains `whole` in one go and `interrupted` in pieces that end at random steps,
    and compares them.
    """
    draw = random.Random(seed)
    training.run(whole)
    shutil.copy(
        whole.folder / resume.DEVICE, interrupted.folder
    )  # a busy machine may measure another precision
    work = KilledWork(interrupted.folder, interrupted.spec)
    for at in sorted(draw.sample(range(1, steps), times)):
        work.stop_at, work.dies_at = (at, None) if draw.random() < 0.5 else (None, at)
        try:
            assert training.run(work).state == "stopped"
        except Killed:
            assert work.dies_at == at
        work.attempt += 1
    work.stop_at = work.dies_at = None
    assert (training.run(work).state, work.losses()) == ("completed", whole.losses())
    assert (sorted(work.losses()), eval_losses(work)) == (
        list(range(1, steps + 1)),
        eval_losses(whole),
    )
    assert saved(work) == saved(whole)


def tiny(folder: Path, model: Path, settings: dict[str, Any], **more: Any) -> FakeWork:
    make = make_run
    if settings.get("trainer") == "dpo":
        settings, make = (
            {name: value for name, value in settings.items() if name != "trainer"},
            make_pairs_run,
        )
    return make(folder, model, **{"early_stopping": False, **settings, **more})


def pieces(
    folder: Path, model: Path, settings: dict[str, Any], steps: int
) -> tuple[FakeWork, FakeWork]:
    """Two equal runs. settings: may also have "continued", for runs that continue
    another one.
    """
    settings = dict(settings)
    first = settings.pop("continued", False) and tiny(
        folder / "first", model, settings, max_steps=3
    )
    whole, interrupted = (
        tiny(folder / name, model, settings, max_steps=steps)
        for name in ("whole", "pieces")
    )
    if first:
        training.run(first)
        for work in (whole, interrupted):
            continue_from(first, work)
    return whole, interrupted


@pytest.mark.parametrize("name", QUICK)
def test_resumed_equals_uninterrupted(
    tiny_model: Path, tmp_path: Path, name: str
) -> None:
    check(*pieces(tmp_path, tiny_model, QUICK[name], 8), 8, seed=len(name), times=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SLOW)
def test_resumed_equals_uninterrupted_at_any_step(
    tiny_model: Path, tmp_path: Path, name: str, seed: int
) -> None:
    check(*pieces(tmp_path, tiny_model, SLOW[name], 15), 15, seed, times=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"method": "qlora"}, {"packing": True}], ids=str
)
def test_the_bundled_model_resumes_exactly_in_the_chosen_precision(
    bundled_model: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    tokenizer = ChatTokenizer.load(bundled_model)
    lines = (SAMPLES / "orders.jsonl").read_text("utf-8").splitlines()[:14]
    rows = [tokenizer.encode(json.loads(line)["messages"]) for line in lines]
    made = []
    for name in ("whole", "pieces"):
        chosen = {
            "max_steps": 4,
            "per_device_train_batch_size": 2,
            "precision": "auto",
            **settings,
        }
        work = run_of(tmp_path / name, bundled_model, rows[:10], rows[10:], **chosen)
        work.spec["data"]["held_out_prompts"] = []
        made.append(work)
    check(made[0], made[1], 4, seed=1, times=2)


def test_a_resumed_run_keeps_its_precision(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = make_run(tmp_path, tiny_model, max_steps=4, precision="auto")
    used = []
    for speed, stop_at in ((2.0, 2), (0.5, None)):
        monkeypatch.setattr(device, "bf16_speedup", lambda speed=speed: speed)
        work.stop_at = stop_at
        used.append(training.run(work).precision)
    assert used == ["bf16", "bf16"]


def test_a_macs_random_state_is_saved_and_set_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    state, restored = torch.arange(16, dtype=torch.uint8), []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: state)
    monkeypatch.setattr(torch.mps, "set_rng_state", restored.append)
    save._save(
        tmp_path / save.RNG,
        {name: device.get_rng_state() for name, device in save._generators().items()},
    )
    save.load_random_state(tmp_path)
    assert [one.tolist() for one in restored] == [state.tolist()]
