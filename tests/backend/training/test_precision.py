"""Precision on GPUs without bf16, computed on the processor: what overflows in fp16,
and what is blamed.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.advice.loss import why_not_finite
from backend.chat import torch_engine
from backend.errors import MissingPart, TrainingFailed
from backend.estimate import Plan
from backend.estimate.memory import memory
from backend.models import catalogue, model_folder
from backend.records.machine import Gpu, Hardware
from backend.records.specs import TrainSettings
from backend.training import model, trainer
from backend.training.device import Device
from backend.training.session import TrainingSession

FP16 = Device("cpu", "fp16")
INF, NAN = float("inf"), float("nan")


def loss_of(folder: Path) -> Any:
    """The loss in fp16, of which the gradients are computed too."""
    import torch

    settings = TrainSettings(target_modules=("q_proj", "v_proj"))
    net = model.build(folder, "tests/gemma", settings, FP16)
    ids = torch.arange(4, 36)[None]
    with FP16.autocast():
        loss = net(input_ids=ids, labels=ids).loss
    loss.backward()
    return loss


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Gemma 3 with large weights in its norms."""
    import torch
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    net = Gemma3ForCausalLM(
        Gemma3TextConfig(
            vocab_size=44, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, head_dim=16, pad_token_id=0,
        )
    )  # fmt: skip
    for layer in net.model.layers:
        layer.post_feedforward_layernorm.weight.data.fill_(60_000.0)
    folder = tmp_path_factory.mktemp("gemma")
    net.save_pretrained(folder)
    return folder


def test_gemma_does_not_overflow_in_fp16(
    gemma: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loss_of(gemma).isfinite()
    monkeypatch.setattr(model_folder, "widen_gemma", lambda net: None)
    assert not loss_of(gemma).isfinite()


def test_gemma_does_not_overflow_in_fp16_when_it_answers(
    gemma: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    ids = list(range(4, 36))
    exact = torch_engine.logits(model_folder.load(gemma, torch.float32), ids)
    found = torch_engine.logits(model_folder.load(gemma, torch.float16), ids)
    assert float((exact - found.float()).abs().max()) < 0.05 * float(exact.abs().max())
    settings = TrainSettings(target_modules=("q_proj", "v_proj"))
    adapted = model.attach(model_folder.load(gemma, torch.float16), settings).eval()
    assert bool(torch.isfinite(torch_engine.logits(adapted, ids)).all())
    monkeypatch.setattr(model_folder, "widen_gemma", lambda net: None)
    assert not bool(
        torch.isfinite(
            torch_engine.logits(model_folder.load(gemma, torch.float16), ids)
        ).all()
    )


def test_in_fp16_the_learning_rate_is_not_blamed_alone() -> None:
    before, after = (
        why_not_finite(False, "fp16", 2e-4),
        why_not_finite(True, "fp16", 2e-4),
    )
    assert before.retry == {"precision": "fp32"}
    assert "learning rate" not in before.why + before.next
    assert "fp16" in after.why
    assert after.retry == {"learning_rate": 1e-4}


@pytest.mark.parametrize(
    ("norms", "learned"),
    [
        ([INF] * 20, False),
        ([1.0, *[INF] * 20], True),
        ([INF, INF, NAN], False),
        ([INF, 1.0, NAN], True),
    ],
)
def test_a_step_that_overflows_in_fp16_teaches_nothing(
    norms: list[float], learned: bool
) -> None:
    run: Any = SimpleNamespace(device=FP16, _overflows=0)
    run._not_finite = lambda step, learned: TrainingFailed(
        f"step {step}, learned {learned}"
    )
    *before, last = enumerate(norms, 1)
    for step, norm in before:
        TrainingSession._check(run, step, 1.0, norm)
    with pytest.raises(TrainingFailed, match=f"step {len(norms)}, learned {learned}"):
        TrainingSession._check(run, last[0], NAN if last[1] is NAN else 1.0, last[1])


def test_before_anything_was_learned_the_model_is_at_fault() -> None:
    found = why_not_finite(False, "bf16", 2e-4)
    assert found.retry is None
    assert "not the learning rate" in found.why
    assert why_not_finite(True, "bf16", 2e-4).retry == {"learning_rate": 1e-4}


def test_four_bit_weights_are_refused_on_a_mac(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.models.four_bit.sys.platform", "darwin")
    with pytest.raises(MissingPart, match="QLoRA"):
        model.load(tiny_model, TrainSettings(method="qlora"), Device("mps", "bf16"))


@pytest.mark.parametrize(
    ("layers", "kind", "installed", "missing"),
    [
        (["linear_attention", "full_attention"], "cuda", "fla", ["causal-conv1d"]),
        (["linear_attention"], "cuda", "", ["flash-linear-attention", "causal-conv1d"]),
        (["linear_attention"], "cpu", "", []), (["full_attention"], "cuda", "", []),
    ],
)  # fmt: skip
def test_packages_that_make_delta_nets_faster_on_a_gpu_are_named(
    monkeypatch: pytest.MonkeyPatch,
    layers: list[str],
    kind: str,
    installed: str,
    missing: list[str],
) -> None:
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: name == installed or None
    )
    net = SimpleNamespace(config=SimpleNamespace(layer_types=layers))
    assert model.missing_kernels(net, Device(kind, "bf16")) == missing


def test_gemma_2_is_computed_with_score_matrices() -> None:
    card = Hardware(
        gpus=(Gpu(name="RTX 3090", memory_total_mib=24576, memory_free_mib=24000),)
    )
    shape = catalogue.find("google/gemma-2-2b-it").architecture
    plan = Plan(checkpointing=False, max_tokens=1024)
    fused = shape.model_copy(update={"eager_only": False})
    assert (
        memory(shape, plan, card).total_mib > 1.1 * memory(fused, plan, card).total_mib
    )


@pytest.mark.parametrize(
    ("capability", "precision", "supported", "used"),
    [
        ((8, 6), "bf16", True, ["flash_attention_2"]),
        ((8, 6), "bf16", False, []),  # BLOOM and others
        ((8, 6), "fp32", True, []),
        ((7, 5), "fp16", True, []),
    ],
)
def test_flash_attn_is_used_where_card_precision_and_model_allow_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capability: Any,
    precision: Any,
    supported: bool,
    used: list[str],
) -> None:
    import torch
    from transformers.integrations import sdpa_attention

    chosen: list[str] = []
    loaded = SimpleNamespace(
        _supports_flash_attn=supported, set_attn_implementation=chosen.append
    )
    monkeypatch.setattr(
        sdpa_attention, "use_gqa_in_sdpa", sdpa_attention.use_gqa_in_sdpa
    )  # restored afterwards
    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(model.causal_lm, "load", lambda folder, **_: loaded)
    assert model.load(tmp_path, TrainSettings(), Device("cuda", precision)) is loaded
    assert chosen == used


@pytest.mark.parametrize(("capability", "shared"), [((7, 5), False), ((8, 6), True)])
def test_cards_before_ampere_get_keys_and_values_repeated(
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capability: tuple[int, int],
    shared: bool,
) -> None:
    import torch
    from transformers.integrations import sdpa_attention

    monkeypatch.setattr(
        sdpa_attention, "use_gqa_in_sdpa", sdpa_attention.use_gqa_in_sdpa
    )  # restored afterwards
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    model.load(tiny_model, TrainSettings(), Device("cuda", "fp16"))
    keys = torch.zeros(1, 1, 4, 8)
    assert sdpa_attention.use_gqa_in_sdpa(None, keys, keys) is shared


def test_logits_are_not_copied_in_float32(tiny_model: Path) -> None:
    """As accelerate has it with fp16, for which its scaler needs a GPU; with bf16 it
    wraps a model alike anywhere.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    net, ids = (
        model.load(tiny_model, TrainSettings(), Device("cpu", "bf16")),
        torch.arange(4, 9)[None],
    )
    AcceleratorState._reset_state(True)
    try:
        Accelerator(mixed_precision="bf16", cpu=True).prepare_model(net)
    finally:
        AcceleratorState._reset_state(True)
    assert net(input_ids=ids).logits.dtype is torch.float32
    trainer.keep_precision_of_output(net)
    assert net(input_ids=ids).logits.dtype is torch.bfloat16
    trainer.keep_precision_of_output(net)  # nothing is left to undo
