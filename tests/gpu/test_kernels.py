"""Our LoRA layer and our cross-entropy against peft's, torch's and float64; attention;
no wait in a micro batch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import training
from backend.records.specs import Precision, TrainSettings
from backend.runs.token_rows import TokenRow
from backend.training import fused_lora
from backend.training.collate import Collator
from backend.training.device import Device
from backend.training.loss import token_losses
from backend.training.model import load
from backend.training.train_step import TrainStep
from tests.backend.tiny_run import make_run
from tests.backend.training.test_packing import rows_of
from tests.gpu.place import Place, Record, distance

pytestmark = pytest.mark.gpu

PREFIX = "aten::_scaled_dot_product_"
# Rounding to 8 (bf16) or 11 (fp16) bits of a sum of many products. fp32 leaves room for
# TF32.
TOLERANCE: dict[Precision, float] = {"bf16": 2e-2, "fp16": 3e-3, "fp32": 2e-3}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_fused_lora_is_as_in_peft(
    place: Place, precision: Precision, bias: bool, record: Record
) -> None:
    """Output and gradients are as near to float64 as peft's are, or nearly so."""
    import torch

    if precision == "fp16" and not place.is_card:
        pytest.skip("processors do not train in fp16")
    device = Device(place.kind, precision)
    layer, x, upstream = lora_layer(place, device.dtype, bias)
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight

    def run(forward: Callable[[Any], Any]) -> list[Any]:
        for tensor in (down, up, x):
            tensor.grad = None
        with device.autocast():
            y = forward(x)
        y.backward(upstream)
        return [tensor.detach().clone() for tensor in (y, x.grad, down.grad, up.grad)]

    def theirs(x: Any) -> Any:
        return type(layer).forward(layer, x)

    def ours(x: Any) -> Any:
        return fused_lora._forward(layer, x)

    exact = exact_lora(layer, x, upstream)
    found = [max(map(distance, run(forward), exact)) for forward in (ours, theirs)]
    took = [
        place.milliseconds(lambda forward=forward: run(forward))
        for forward in (ours, theirs)
    ]
    case = f"{precision}{', bias' if bias else ''}"
    record("Fused LoRA against peft: error", case, f"{found[0]:.1e}", f"{found[1]:.1e}")
    record(
        "Fused LoRA against peft: time", case, f"{took[0]:.3f} ms", f"{took[1]:.3f} ms"
    )
    assert run(ours)[2].dtype == run(ours)[3].dtype == torch.float32
    assert found[0] < max(TOLERANCE[precision], 1.5 * found[1])


def lora_layer(place: Place, dtype: Any, bias: bool) -> tuple[Any, Any, Any]:
    """A linear layer with peft's adapter, an input, and the gradient of its output."""
    import torch
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel
    from torch import nn

    rows, width, out = place.layer
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(width, out, bias=bias)).to(place.kind, dtype)
    LoraModel(net, LoraConfig(r=16, lora_alpha=32, target_modules=["0"]), "default")
    layer = net[0].to(place.kind)
    for weight in (layer.lora_A["default"].weight, layer.lora_B["default"].weight):
        weight.data = torch.randn_like(weight, dtype=torch.float32) * 0.02
    x = torch.randn(rows, width, device=place.kind, dtype=dtype, requires_grad=True)
    return layer, x, torch.randn(rows, out, device=place.kind, dtype=dtype)


def exact_lora(layer: Any, x: Any, upstream: Any) -> list[Any]:
    """Output and gradients (of the input, of A and of B) in float64."""
    base = layer.base_layer
    weights = x, layer.lora_A["default"].weight, layer.lora_B["default"].weight
    x, down, up = (tensor.detach().double().requires_grad_() for tensor in weights)
    y = x @ base.weight.double().t() + 2 * (x @ down.t()) @ up.t()
    y = y if base.bias is None else y + base.bias.double()
    y.backward(upstream.double())
    return [y.detach(), x.grad, down.grad, up.grad]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_loss_is_that_of_torch(
    place: Place, precision: Precision, record: Record
) -> None:
    import torch

    from backend.training import loss

    rows, words = place.logits
    logits = torch.randn(
        rows,
        words,
        device=place.kind,
        dtype=Device(place.kind, precision).dtype,
        requires_grad=True,
    )
    targets = torch.randint(words, (rows,), device=place.kind)

    def ours() -> Any:
        return loss._cross_entropy().apply(logits, targets).sum() / rows

    def theirs() -> Any:
        return torch.nn.functional.cross_entropy(logits.float(), targets)

    def run(compute: Callable[[], Any]) -> tuple[Any, Any]:
        logits.grad = None
        value = compute()
        value.backward()
        return value.detach(), logits.grad

    (value, gradient), (value2, gradient2) = run(ours), run(theirs)
    error = max(distance(value, value2), distance(gradient, gradient2))
    took = [
        place.milliseconds(lambda compute=compute: run(compute), 3)
        for compute in (ours, theirs)
    ]
    peaks = []
    for compute in (ours, theirs):
        place.clean()
        run(compute)
        peaks.append(torch.cuda.max_memory_allocated() >> 20 if place.is_card else 0)
    record("Cross-entropy against torch: error", precision, f"{error:.1e}")
    record(
        "Cross-entropy against torch: time",
        precision,
        f"{took[0]:.3f} ms",
        f"{took[1]:.3f} ms",
    )
    record(
        "Cross-entropy against torch: peak",
        precision,
        f"{peaks[0]} MiB",
        f"{peaks[1]} MiB",
    )
    assert error < TOLERANCE[precision]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"packing": True},
        {"gradient_checkpointing": True},
        {"method": "qlora", "gradient_checkpointing": True},
    ],
    ids=str,
)
def test_a_micro_batch_does_not_wait_for_the_gpu(
    place: Place,
    tiny: Path,
    tmp_path: Path,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a run, forward and backward, from its third micro batch on: the first ones
    allocate. With torch's attention: where flash-attn takes its place, transformers
    waits in every layer of a pack.
    """
    import torch

    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: False)
    add_up, strict = TrainStep._sum, []

    def watched(self: Any, rows: Any, loss: Any) -> Any:
        def without_waiting(part: Any, count: float) -> Any:
            strict.append(len(part))
            if place.is_card and len(strict) > 2:
                torch.cuda.set_sync_debug_mode("error")
            try:
                return loss(part, count)
            finally:
                if place.is_card:
                    torch.cuda.set_sync_debug_mode("default")

        return add_up(self, rows, without_waiting)

    monkeypatch.setattr(TrainStep, "_sum", watched)
    more = {
        "max_steps": 3,
        "lora_dropout": 0.0,
        "precision": place.precision(),
        **settings,
    }
    training.run(make_run(tmp_path / "run", tiny, **more))
    assert len(strict) > 4


def test_packed_rows_are_kept_apart(place: Place, tiny: Path, record: Record) -> None:
    """Each token has the same loss as with plain attention in its row alone; by
    flash-attn where it is installed.
    """
    import torch

    net = load(tiny, TrainSettings(), place.device()).to(place.kind)
    used = net.config._attn_implementation
    some, plain = rows_of(), Collator(0, place.kind)
    with torch.no_grad():
        packed = token_losses(net, Collator(0, place.kind, packed=True)(some))
        net.set_attn_implementation("eager")
        alone = torch.cat([token_losses(net, plain([row])) for row in some])
    far = float((packed - alone).abs().max())
    record("Packed rows against single ones", used, f"{far:.1e} nats", "at most 0.05")
    assert far < 0.05


@pytest.mark.parametrize("packed", [False, True])
def test_the_kernels_that_sdpa_chooses(
    place: Place, middle: Path, packed: bool, record: Record
) -> None:
    """With grouped keys, padded rows never get the kernel that stores all scores
    ("attention_math"). For packed rows, whose mask excludes the fastest kernel, the
    choice is recorded only. Where flash-attn is installed, it takes their place.
    """
    import torch
    from torch.profiler import ProfilerActivity, profile

    device = place.device()
    net = load(middle, TrainSettings(), device).to(place.kind)
    net.set_attn_implementation("sdpa")
    collator = Collator(0, place.kind, packed=packed)
    some = [
        TokenRow(np.array(row.input_ids), np.array(row.labels), row.learned)
        for row in place.rows(2)
    ]

    def step() -> None:
        net.zero_grad(set_to_none=True)
        with device.autocast():
            token_losses(net, collator(some)).sum().backward()

    took = place.milliseconds(step, 3)
    place.clean()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        step()
    names = {event.key for event in found.key_averages()}
    chosen = {
        name.removeprefix(PREFIX)
        for name in names
        if name.startswith(PREFIX) and "backward" not in name
    }
    peak = (
        f", peak {torch.cuda.max_memory_allocated() >> 20} MiB" if place.is_card else ""
    )
    case = f"{device.precision}, {'packed' if packed else 'padded'}"
    record(
        "Kernels that sdpa chooses",
        case,
        ", ".join(sorted(chosen)),
        f"{took:.1f} ms a step{peak}",
    )
    assert chosen
    assert packed or not any("math" in name for name in chosen)
