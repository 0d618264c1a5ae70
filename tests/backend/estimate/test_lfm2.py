"""LFM2, most of whose blocks are gated short convolutions: counted, estimated, adapted and trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import training
from backend.estimate import Plan
from backend.estimate.step import written
from backend.models import catalogue
from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow
from backend.training import preconditions
from backend.training.collate import Collator
from backend.training.loss import token_losses
from backend.training.model import attach
from tests.backend import saved_activations
from tests.backend.saved_activations import shape_of
from tests.backend.tiny_run import make_model, make_run

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

KINDS = ["conv", "full_attention", "conv"]
EVERY = catalogue.find("LFM2.5-350M").all_linear_targets
PUBLISHED = {"LFM2.5-350M": 354_483_968, "LFM2.5-1.2B-Instruct": 1_170_340_608}  # by the makers' model cards


def model_of(kinds: list[str] = KINDS, **more: Any) -> Any:
    import torch
    from transformers import Lfm2Config, Lfm2ForCausalLM

    shape = {
        "vocab_size": 48, "hidden_size": 64, "intermediate_size": 120, "num_attention_heads": 4,
        "num_key_value_heads": 2, "block_multiple_of": 16, "max_position_embeddings": 256, "pad_token_id": 0,
    }  # fmt: skip
    torch.manual_seed(0)
    config = Lfm2Config(**{**shape, **more}, num_hidden_layers=len(kinds), layer_types=kinds)
    return Lfm2ForCausalLM._from_config(config, attn_implementation="sdpa")


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_number_of_parameters_is_the_published_one(name: str) -> None:
    assert catalogue.find(name).architecture.counted_params == PUBLISHED[name]


def test_a_config_is_read_like_in_transformers() -> None:
    model = model_of()
    shape = shape_of(model)
    assert shape.attention_layers == (1,)
    assert shape.counted_params == model.num_parameters()


@pytest.mark.parametrize("targets", [EVERY, catalogue.find("LFM2.5-350M").lora_targets, ("out_proj",), ("w2",)])
def test_the_counted_adapters_are_those_that_peft_creates(targets: tuple[str, ...]) -> None:
    model = model_of()
    settings = TrainSettings(target_modules=targets, lora_rank=4)
    expected = preconditions.trainable_parameters(shape_of(model), settings)
    made = attach(model, settings)
    assert sum(part.numel() for part in made.parameters() if part.requires_grad) == expected


def test_a_block_saves_the_same_activations_as_torch() -> None:
    """The difference made by one more convolution, in float32, with adapters on all layers."""
    more, less = ["full_attention", "conv", "conv"], ["full_attention", "conv"]
    tokens = 200
    measured = saved_activations.in_torch(model_of(more), EVERY, tokens) - saved_activations.in_torch(
        model_of(less), EVERY, tokens
    )
    expected = saved_activations.in_estimate(model_of(more), EVERY, tokens) - saved_activations.in_estimate(
        model_of(less), EVERY, tokens
    )
    assert expected == pytest.approx(measured, rel=0.05)


def test_each_block_type_has_its_own_traffic() -> None:
    shape, plan = shape_of(model_of()), Plan(rank=4, targets=EVERY, max_tokens=64)
    longer = shape_of(model_of([*KINDS, "conv"]))
    attending = shape_of(model_of([*KINDS, "full_attention"]))
    assert 0 < written(longer, plan) - written(shape, plan) < written(attending, plan) - written(shape, plan)


def test_padding_does_not_change_the_losses_but_packing_does() -> None:
    import torch

    model = model_of().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    draw = np.random.default_rng(0)
    ids = [draw.integers(1, 40, length).astype(np.int32) for length in (9, 21, 4)]
    rows = [TokenRow(one, np.where(np.arange(len(one)) > 0, one, -100).astype(np.int32), len(one) - 1) for one in ids]
    with torch.no_grad():
        alone = torch.cat([token_losses(model, Collator(0, "cpu")([row])) for row in rows])
        padded = token_losses(model, Collator(0, "cpu", masked=True)(rows))
        packed = token_losses(model, Collator(0, "cpu", packed=True)(rows))
    assert torch.allclose(padded, alone, atol=2e-5)
    assert (packed - alone).abs().max() > 0.02  # the reason that packing is rejected


def test_it_is_trained_and_verified(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    model_of(vocab_size=44).save_pretrained(folder)
    entry = catalogue.from_folder(folder)
    assert set(entry.all_linear_targets) == set(EVERY)
    work = make_run(tmp_path / "run", folder, max_steps=2, target_modules=entry.all_linear_targets)
    result = training.run(work)
    verified = next(data for kind, data in work.events if kind == "verification")
    assert verified["changed_tensors"] > 0
    assert (verified["base_changed"], result.steps) == (0, 2)
