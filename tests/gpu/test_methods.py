"""Every precision and method trains, stops, resumes as if it had not stopped, and is
verified.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest

from backend import training
from backend.chat.engine import BASE, TUNED
from backend.chat.torch_engine import TorchEngine
from backend.runs.token_rows import read_rows
from tests.backend.tiny_run import make_model, make_pairs_run, make_run
from tests.gpu.place import Place, Record

pytestmark = pytest.mark.gpu

FULL = {"method": "full", "learning_rate": 1e-3}
AUTO, FP16, QLORA = (
    {"precision": "auto"},
    {"precision": "fp16"},
    {"method": "qlora"},
)  # fp16: below capability 8


@pytest.mark.parametrize("settings", [
    {"precision": "bf16"}, FP16, {"precision": "fp32"}, {**AUTO, "lora_dropout": 0.1}, {**AUTO, **QLORA},
    {**FP16, **QLORA}, {**AUTO, **FULL}, {**FP16, **FULL}, {**AUTO, **FULL, "optim": "adamw_8bit"},
    {**AUTO, **FULL, "optim": "paged_adamw_8bit"}, {**AUTO, "packing": True},
    {**AUTO, "gradient_checkpointing": True},
    {**FP16, **QLORA, "packing": True}, {**AUTO, "trainer": "dpo"},
    {**FP16, **QLORA, "trainer": "dpo"},
], ids=str)  # fmt: skip
def test_it_learns_and_resumes(
    place: Place, tiny: Path, tmp_path: Path, settings: dict[str, Any], record: Record
) -> None:
    """The resumed losses are those of a run that was not stopped. How near is recorded:
    equal bit for bit on a processor, but some of CUDA's sums have no fixed order.
    """
    if settings["precision"] == "fp16" and not place.is_card:
        pytest.skip("accelerate's scaler for fp16 needs a card")
    chosen = {
        "lora_dropout": 0.0,
        **{name: value for name, value in settings.items() if name != "trainer"},
    }
    make = make_pairs_run if settings.get("trainer") == "dpo" else make_run
    if (
        settings.get("optim") == "paged_adamw_8bit"
    ):  # bitsandbytes pages the state of 100,000 weights and more
        tiny = make_model(tmp_path / "wide", hidden_size=320, intermediate_size=640)
    through = make(tmp_path / "through", tiny, **chosen)
    training.run(through)
    work = make(tmp_path / "stopped", tiny, **chosen)
    shutil.copy(
        through.folder / "device.json", work.folder
    )  # what the first one measured to be faster
    work.stop_at = 5
    assert training.run(work).state == "stopped"
    work.stop_at = None
    result = training.run(work)
    losses, whole = work.losses(), through.losses()
    far = max(abs(losses[step] - loss) for step, loss in whole.items())
    case = ", ".join(
        name if value is True else str(value) for name, value in settings.items()
    )
    fell = f"loss {result.first_eval_loss:.3f} to {result.eval_loss:.3f}"
    record(
        "Trained, stopped, resumed",
        case,
        fell,
        f"resumed: {f'{far:.1e} nats off' if far else 'bit for bit'}",
    )
    assert result.state == "completed"
    assert result.eval_loss < result.first_eval_loss
    assert result.weights_changed is result.base_unchanged is True
    assert list(losses) == list(whole) == list(range(1, len(whole) + 1))
    assert far < 0.02
    assert result.peak_memory_mib > 0
    assert not place.is_card or result.peak_memory_mib < 2048
    if settings.get("trainer") == "dpo":
        assert result.reward_accuracy > 0.7


def test_gemma_trains_and_answers_in_fp16(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    """What its blocks add up would be more than fp16 can hold. A processor trains in
    bf16.
    """
    import torch
    from safetensors.torch import load_file, save_file

    model = make_model(tmp_path / "gemma", "gemma3_text")
    weights = load_file(model / "model.safetensors")
    large = {
        name: torch.full_like(one, 60_000.0)
        for name, one in weights.items()
        if "post_feedforward" in name
    }
    save_file({**weights, **large}, model / "model.safetensors", {"format": "pt"})
    work = make_run(
        tmp_path / "run",
        model,
        precision="fp16" if place.is_card else "bf16",
        lora_dropout=0.0,
    )
    result = training.run(work)
    monkeypatch.setattr(
        "backend.chat.torch_engine.sixteen_bits", lambda kind: torch.float16
    )
    adapter = work.folder / "result" / "adapter"
    engine = TorchEngine(model, adapter, dtype=None if place.is_card else torch.float16)
    rows = list(read_rows(work.folder)[1])
    learned = sum(row.learned for row in rows)
    losses = [
        sum(
            engine.nats(pane, row.input_ids.tolist(), row.labels.tolist())
            for row in rows
        )
        / learned
        for pane in (BASE, TUNED)
    ]
    record(
        "Gemma in fp16",
        engine.report.device,
        f"answers {losses[1]:.3f}",
        f"trained {result.eval_loss:.3f}",
    )
    assert (engine.report.dtype, engine.report.device) == ("float16", place.kind)
    assert losses == pytest.approx([result.first_eval_loss, result.eval_loss], rel=0.1)
