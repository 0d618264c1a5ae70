"""Packed rows: exact for every kind of attention in the catalogue's families, and
nearly full packs.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import training
from backend.errors import BadSetting
from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow
from backend.training.collate import Batch, Collator
from backend.training.loss import token_losses
from backend.training.preconditions import PACKABLE, check_packing
from backend.training.sampler import packs
from tests.backend.tiny_run import make_run

LENGTHS = (9, 21, 4, 17)
SHAPE = {
    "vocab_size": 48, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "pad_token_id": 0,
}  # fmt: skip
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}), "mistral, a window": ("Mistral", {"sliding_window": 8}), "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {}), "gemma2, every other layer a window": ("Gemma2", {"sliding_window": 8}),
    "gemma3, windows": ("Gemma3", {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}),
    "phi3": ("Phi3", {}), "phi3, a window": ("Phi3", {"sliding_window": 8}), "gemma": ("Gemma", {}),
    "granite": ("Granite", {}), "olmo2": ("Olmo2", {}),
    "smollm3, every other layer without positions": ("SmolLM3", {"no_rope_layer_interval": 2}),
    "ernie4_5": ("Ernie4_5", {}),
    "exaone4": ("Exaone4", {"sliding_window": None, "layer_types": ["full_attention"] * 2}), "glm4": ("Glm4", {}),
    "hunyuan": ("HunYuanDenseV1", {}),
    "olmo3, windows": ("Olmo3", {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}),
}  # fmt: skip


def model_of(kind: str, attention: str) -> Any:
    import torch
    import transformers

    name, more = KINDS[kind]
    config = getattr(
        transformers, f"{name}TextConfig" if name == "Gemma3" else f"{name}Config"
    )(**SHAPE, **more)
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForCausalLM")._from_config(
        config, attn_implementation=attention
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)  # so that every visible token matters
    return model.eval()


def test_the_packable_models_are_those_tested_here(tmp_path: Path) -> None:
    assert {model_of(kind, "eager").config.model_type for kind in KINDS} == PACKABLE
    (tmp_path / "config.json").write_text('{"model_type": "granitemoehybrid"}')
    check_packing(tmp_path, TrainSettings())
    with pytest.raises(BadSetting, match="can't be packed"):
        check_packing(tmp_path, TrainSettings(packing=True))


def rows_of() -> list[TokenRow]:
    draw = np.random.default_rng(0)
    ids = [draw.integers(1, 40, length).astype(np.int32) for length in LENGTHS]
    return [
        TokenRow(
            one,
            np.where(np.arange(len(one)) > 1, one, -100).astype(np.int32),
            len(one) - 2,
        )
        for one in ids
    ]


@pytest.mark.parametrize(
    ("kind", "attention"),
    [
        (kind, attention)
        for kind in KINDS
        for attention in ("sdpa", "eager")
        if (KINDS[kind][0], attention) != ("Gemma2", "sdpa")
    ],
)
def test_each_token_has_the_same_loss_as_in_its_row_alone(
    kind: str, attention: str
) -> None:
    import torch

    model, some = model_of(kind, attention), rows_of()
    collator = Collator(0, "cpu", packed=True)
    with torch.no_grad():
        alone = torch.cat(
            [token_losses(model, Collator(0, "cpu")([row])) for row in some]
        )
        packed = token_losses(model, collator(some))
        batch = collator(
            some
        )  # the same tokens as one text, as in TRL's `wrapped` strategy
        ids = {"input_ids": batch.inputs["input_ids"]}
        wrapped = token_losses(
            model, Batch(ids, batch.scored, batch.targets, batch.owners, batch.rows)
        )
    first = LENGTHS[0] - 2  # the first row has no row before it
    assert torch.allclose(packed, alone, atol=2e-5)
    assert torch.allclose(wrapped[:first], alone[:first], atol=2e-5)
    assert (
        wrapped[first:] - alone[first:]
    ).abs().mean() > 0.02  # the effect of packing without positions


def test_packs_are_full_and_a_long_row_is_alone() -> None:
    lengths = [5 + (i * 37) % 200 for i in range(100)]
    found = packs(range(100), lengths, 512)
    filled = [sum(lengths[row] for row in part) for part in found]
    assert sorted(row for part in found for row in part) == list(range(100))
    assert max(filled) <= 512
    assert sum(sorted(filled)[1:]) > 0.98 * 512 * (len(found) - 1)
    assert packs([0, 1, 2], [30, 8, 7], 20) == [[0], [1, 2]]


def test_a_run_reads_packs_of_max_length(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows of a step in as few packs as possible, whatever the micro batch."""
    sizes: list[int] = []
    joined = Collator._joined

    def recorded(self: Collator, some: Any) -> Batch:
        batch = joined(self, some)
        sizes.append(batch.inputs["input_ids"].shape[1])
        return batch

    monkeypatch.setattr(Collator, "_joined", recorded)
    work = make_run(
        tmp_path, tiny_model, validation=0, max_steps=2, packing=True, max_length=48,
        per_device_train_batch_size=1, gradient_accumulation_steps=16,
    )  # fmt: skip
    training.run(work)
    assert max(sizes) <= 48
    assert sum(sizes[:-1]) / len(sizes[:-1]) > 0.8 * 48
