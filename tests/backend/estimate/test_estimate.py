"""The memory estimate compared with measured training steps, and its parts."""

import json
import random
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from backend.errors import BadInput
from backend.estimate import Plan, Rates, estimate, reading
from backend.estimate.allocator import Allocator
from backend.estimate.memory import memory
from backend.estimate.speed import from_speed, published, step_seconds, time
from backend.models import catalogue
from backend.records.machine import Gpu, Hardware
from backend.records.specs import ALL_LINEAR
from backend.records.units import MIB
from tests.benchmarks.memory_estimate import (
    HELD_OUT,
    T4,
    error,
    family,
    measured_rows,
    plan_of,
    published_errors,
)
from tests.cases import cases

ROWS = measured_rows()
LLAMA = catalogue.find("meta-llama/Llama-3.2-1B-Instruct").architecture
BUNDLED = catalogue.default().architecture
RTX_3090 = Gpu(
    name="NVIDIA GeForce RTX 3090",
    memory_total_mib=24576,
    memory_free_mib=24000,
    compute_capability=(8, 6),
)
CARD = Hardware(gpus=(RTX_3090,))


def test_the_estimate_is_close_to_every_measured_step() -> None:
    errors, held_out = (
        [error(row) for row in rows] for rows in (ROWS, measured_rows(HELD_OUT))
    )
    for found, most in ((errors, 2), (held_out, 4)):
        assert mean(map(abs, found)) <= most
        assert min(found) >= -8
    assert all(abs(one) <= 8 for one in published_errors().values()), (
        "models that were not measured"
    )
    plain = [
        one
        for row, one in zip(ROWS, errors, strict=True)
        if row["config"]["quantization"] == "none"
    ]
    assert max(map(abs, plain)) < 0.5
    for name in {family(row) for row in ROWS}:
        own = [
            abs(one)
            for row, one in zip(ROWS, errors, strict=True)
            if family(row) == name
        ]
        assert mean(own) <= 4, name


def test_tensors_and_weights_take_what_is_predicted() -> None:
    for row in ROWS[:12]:
        found = memory(
            reading.from_values(row["model_config"], "row"), plan_of(row), T4
        )
        used = (
            found.total_mib - found.parts["fragmentation"] - found.parts["CUDA context"]
        )
        assert used == pytest.approx(row["measured"]["peak_allocated_mib"], rel=0.01), (
            row["id"]
        )
    for hardware in (CARD, Hardware(), Hardware(unified_memory=True)):
        found = memory(LLAMA, Plan(), hardware)
        assert sum(found.parts.values()) == pytest.approx(found.total_mib)
        assert all(part >= 0 for part in found.parts.values())
    linear, rest = LLAMA.linear_params, LLAMA.embedding_params
    plain = memory(LLAMA, Plan(method="lora", precision="bf16"), CARD).parts
    assert plain["weights"] == pytest.approx((linear + rest) * 2 / MIB, rel=0.01)
    packed = memory(
        LLAMA,
        Plan(method="qlora", fp32_norms=True, double_quant=False, full_logits=True),
        CARD,
    ).parts
    assert packed["weights"] == pytest.approx(linear / 2 / MIB, rel=0.03)
    assert packed["quantization scales"] == pytest.approx(
        linear / 64 * 4 / MIB, rel=0.01
    )
    assert packed["fp32 leftovers"] == pytest.approx(rest * 4 / MIB, rel=0.01)


@pytest.mark.parametrize(("more", "less"), cases("memory", "plans"))
def test_each_setting_changes_memory_in_the_right_direction(
    more: dict[str, Any], less: dict[str, Any]
) -> None:
    assert (
        memory(LLAMA, Plan(**more), CARD).total_mib
        > memory(LLAMA, Plan(**less), CARD).total_mib
    )


def test_what_fits_and_with_which_margin() -> None:
    mistral = catalogue.find("mistralai/Mistral-7B-Instruct-v0.3").architecture
    found = estimate(mistral, Plan(method="qlora", batch=4, max_tokens=2048), CARD)
    assert found.fit.fits
    assert found.memory.total_mib < 24_000
    assert not estimate(mistral, Plan(method="full"), CARD).fit.fits
    found = estimate(LLAMA, Plan(precision="fp16"), Hardware())
    assert found.memory.device == "cuda"
    assert not found.fit.fits
    assert estimate(LLAMA, Plan(), Hardware()).memory.device == "cpu"
    needs = memory(BUNDLED, Plan(), CARD).total_mib
    for free, badge in (
        (needs * 1.2, "yes"),
        (needs * 1.03, "tight"),
        (needs * 0.9, "no"),
    ):
        gpu = RTX_3090.model_copy(update={"memory_free_mib": int(free)})
        assert (
            estimate(
                BUNDLED, Plan(), CARD.model_copy(update={"gpus": (gpu,)})
            ).fit.badge
            == badge
        )


def test_the_json_has_the_promised_keys() -> None:
    document = json.loads(
        json.dumps(estimate(LLAMA, Plan(), CARD, tokens=100_000).to_json())
    )
    assert set(document) >= {"model", "memory", "fits", "time"}
    assert set(document["memory"]) >= {"total_mib", "parts"}
    assert (
        document["time"]["low"] < document["time"]["seconds"] < document["time"]["high"]
    )
    assert (document["fits"], document["time"]["basis"]) == (True, "computed")


def test_time_is_within_the_measured_range_or_unknown() -> None:
    rates = published(T4)
    for row in ROWS:
        shape = reading.from_values(row["model_config"], "row")
        ratio = row["measured"]["step_seconds"] / step_seconds(
            shape, plan_of(row), rates
        )
        assert 1 / 1.3 < ratio < 1.3, row["id"]
    unknown = Gpu(
        name="Some New Card",
        memory_total_mib=24576,
        memory_free_mib=24000,
        compute_capability=(12, 0),
    )
    assert estimate(LLAMA, Plan(), Hardware(gpus=(unknown,))).time is None
    assert estimate(LLAMA, Plan(), Hardware()).time is None
    rates = Rates(
        rate16=5e11,
        rate32=2e11,
        bandwidth=1e10,
        launch=0.001,
        spread=1.25,
        basis="measured",
    )
    found = estimate(
        BUNDLED, Plan(batch=8, max_tokens=128), Hardware(), tokens=50_000, rates=rates
    ).time
    assert found.basis == "measured"
    double = estimate(
        BUNDLED, Plan(batch=8, max_tokens=128), Hardware(), tokens=100_000, rates=rates
    ).time
    assert double.seconds > found.seconds
    assert from_speed(100, 1000, 1.2, "measured").seconds > 10


def test_the_allocator_rounds_and_reserves_like_pytorch() -> None:
    allocator = Allocator()
    small = allocator.allocate(1000)
    assert (allocator.allocated, allocator.reserved) == (1024, 2 * MIB)
    large = allocator.allocate(3 * MIB)
    assert allocator.reserved == 22 * MIB
    own = allocator.allocate(19 * MIB + 1)
    assert allocator.reserved == 42 * MIB
    assert own.size == 20 * MIB  # what is left is too small to be split off
    allocator.release(large)
    allocator.release(small)
    assert allocator.reserved == 42 * MIB
    assert allocator.allocate(20 * MIB).size == 20 * MIB
    assert (
        allocator.reserved == 42 * MIB
    )  # joined with its neighbour, the segment is whole again


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"hidden_size": "wide"}', '{"hidden_size": -1, "num_layers": 0}'],
)
def test_an_invalid_model_description_is_rejected(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(BadInput) as invalid:
        reading.read(path)
    assert "model.json" in invalid.value.what


SHALLOW = [
    catalogue.find(name).architecture.model_copy(
        update={"num_layers": 5, "num_params": 0}
    )
    for name in (
        "SmolLM2-135M-Instruct",
        "gemma-3-270m-it",
        "Qwen2.5-0.5B-Instruct",
        "Llama-3.2-1B-Instruct",
    )
]


@pytest.mark.parametrize("seed", range(24))
def test_more_of_anything_never_needs_less(seed: int) -> None:
    """Whatever the other settings: more rows, longer rows or a higher rank never need
    less memory.
    """
    draw = random.Random(seed)
    hardware = draw.choice([CARD, T4, Hardware(), Hardware(unified_memory=True)])
    on_card = hardware.gpus != ()
    choices: dict[str, list[Any]] = {
        "method": ["lora", "qlora", "full"], "rank": [4, 16, 64], "targets": [("q_proj", "v_proj"), ALL_LINEAR],
        "batch": [1, 3, 16], "max_tokens": [64, 700, 2048, 8192], "learned_share": [1.0, 0.3],
        "precision": ["bf16", "fp32", *(["fp16"] if on_card else [])],
        "attention": ["eager", "sdpa", *(["flash_attention_2"] if on_card else [])],
        "optimizer": ["adamw", *(["adamw_8bit"] if on_card else [])],
        **{name: [False, True] for name in ("checkpointing", "double_quant", "fp32_norms", "full_logits")},
    }  # fmt: skip
    plan = Plan(**{name: draw.choice(values) for name, values in choices.items()})
    shape = draw.choice(SHALLOW)
    needed = memory(shape, plan, hardware)
    assert min(needed.parts.values()) >= 0
    assert needed.parts["fragmentation"] < needed.total_mib / 2
    for name in ("batch", "max_tokens", "rank"):
        more = memory(
            shape, plan.model_copy(update={name: 2 * getattr(plan, name)}), hardware
        )
        # The scores that a Mac stores leave gaps, into which more may fit better.
        gaps = needed.parts["fragmentation"] if hardware.unified_memory else 0
        assert more.total_mib >= 0.999 * needed.total_mib - gaps, name


@pytest.mark.parametrize(
    ("model", "longest", "micro", "checkpointing"),
    [
        ("SmolLM2-135M-Instruct", 1024, 2, False),
        ("Qwen3-0.6B", 2048, 1, True),
        ("Qwen3-1.7B", 1024, 1, False),
    ],
)
def test_a_mac_stores_the_scores_of_attention(
    model: str, longest: int, micro: int, checkpointing: bool
) -> None:
    """torch has no fused attention with gradients on Apple GPUs: it keeps heads *
    length * length numbers a layer.
    """
    architecture, mac = (
        catalogue.find(model).architecture,
        Hardware(unified_memory=True),
    )
    plan = Plan(batch=micro, max_tokens=longest, checkpointing=checkpointing)
    stored, fused = memory(architecture, plan, mac), memory(architecture, plan, CARD)
    scores = micro * architecture.num_attention_heads * longest * longest * 2 / MIB
    more = (stored.total_mib - stored.parts["programs"]) - (
        fused.total_mib - fused.parts["CUDA context"]
    )
    assert more > (1 if checkpointing else architecture.num_layers) * scores
    assert (
        memory(architecture, plan.model_copy(update={"attention": "eager"}), mac)
        == stored
    )


def test_the_time_on_a_mac_counts_the_stored_scores() -> None:
    rates = Rates(
        rate16=1e12,
        rate32=1e12,
        bandwidth=5e10,
        launch=1e-3,
        spread=1.6,
        basis="measured",
    )
    machines = (Hardware(unified_memory=True), CARD)
    mac, card = (
        time(BUNDLED, Plan(max_tokens=2048), machine, 1e6, rates)
        for machine in machines
    )
    assert mac.seconds > 1.2 * card.seconds
