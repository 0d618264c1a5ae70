"""Models most of whose blocks have no attention: LFM2 (gated short convolutions) and
the text part of Qwen3.5 (gated delta nets). They are counted, estimated, adapted and
trained.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import training
from backend.errors import BadSetting
from backend.estimate import Architecture, Plan, reading
from backend.estimate.allocator import Heap
from backend.estimate.decoder import Decoder
from backend.estimate.step import written
from backend.estimate.tape import Meter
from backend.gguf import convert as gguf
from backend.models import catalogue
from backend.models.catalogue import Entry
from backend.models.model_folder import TOKENIZER_FILES
from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow
from backend.training import fused_lora, preconditions
from backend.training.collate import Collator, needs_mask
from backend.training.device import Device
from backend.training.loss import token_losses
from backend.training.model import attach, build
from tests.backend.tiny_run import make_model, make_run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

LFM2: dict[str, Any] = {
    "vocab_size": 48, "hidden_size": 64, "intermediate_size": 120, "num_attention_heads": 4, "num_key_value_heads": 2,
    "block_multiple_of": 16, "max_position_embeddings": 256, "pad_token_id": 0,
}  # fmt: skip
QWEN: dict[str, Any] = {
    "vocab_size": 48, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16,
    "linear_value_head_dim": 16, "max_position_embeddings": 256, "pad_token_id": 0, "tie_word_embeddings": True,
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """other: the type of the blocks without attention. wide: the shape whose blocks are
    compared with torch's.
    """

    entry: Entry
    classes: tuple[str, str]
    other: str
    shape: dict[str, Any]
    wide: dict[str, Any] = field(default_factory=dict)

    @property
    def every(self) -> tuple[str, ...]:
        return self.entry.all_linear_targets

    @property
    def kinds(self) -> list[str]:
        return [self.other, "full_attention", self.other]

    def model(self, kinds: list[str] | None = None, **more: Any) -> Any:
        import torch
        import transformers

        torch.manual_seed(0)
        kinds = kinds or self.kinds
        config, model = (getattr(transformers, name) for name in self.classes)
        made = config(
            **{**self.shape, **more}, num_hidden_layers=len(kinds), layer_types=kinds
        )
        return model._from_config(made, attn_implementation="sdpa")


SMALLEST = catalogue.find("Qwen3.5-0.8B")
HEADS = {
    "linear_num_key_heads": 4,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
}
FAMILIES = {
    "lfm2": Family(
        catalogue.find("LFM2.5-350M"), ("Lfm2Config", "Lfm2ForCausalLM"), "conv", LFM2
    ),
    "qwen3_5": Family(
        SMALLEST,
        ("Qwen3_5TextConfig", "Qwen3_5ForCausalLM"),
        "linear_attention",
        QWEN,
        HEADS,
    ),
}
QWEN3_5 = FAMILIES["qwen3_5"]


def shape_of(model: Any) -> Architecture:
    """The architecture, read from the model's config."""
    return reading.from_values(
        json.loads(model.config.to_json_string(use_diff=False)), "config.json"
    )


def saved_in_torch(model: Any, targets: tuple[str, ...], tokens: int) -> int:
    """Bytes of the saved activations up to the last hidden state, in float32, with
    adapters on `targets`.
    """
    import torch

    adapted = attach(
        model, TrainSettings(target_modules=targets, lora_rank=4, lora_dropout=0)
    )
    fused_lora.fuse(adapted)
    base = adapted.get_base_model()
    base.enable_input_require_grads()
    parameters = {part.untyped_storage().data_ptr() for part in base.parameters()}
    saved: dict[int, torch.Tensor] = {}

    def save(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        base.model(input_ids=torch.ones((1, tokens), dtype=torch.long), use_cache=False)
    return sum(
        one.untyped_storage().nbytes()
        for pointer, one in saved.items()
        if pointer not in parameters
    )


def saved_in_estimate(model: Any, targets: tuple[str, ...], tokens: int) -> int:
    """The same, by the estimate."""
    plan = Plan(
        method="lora",
        rank=4,
        targets=targets,
        max_tokens=tokens,
        precision="fp32",
        checkpointing=False,
    )
    decoder = Decoder(shape_of(model), plan, Meter(Heap()), 1 << 20)
    loss, logits = decoder.forward()
    live = decoder.meter.live["activations"]
    del loss, logits
    return live


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.mark.parametrize(("checkpointing", "calls"), [(True, 1), (False, 0)])
def test_freed_memory_is_returned_to_the_system_with_checkpointing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpointing: bool, calls: int
) -> None:
    """Otherwise the peak is 50 % above the estimate, see
    tests.benchmarks.memory_on_processor.
    """
    make_model(tmp_path / "model")
    QWEN3_5.model().save_pretrained(tmp_path / "model")
    times: list[int] = []
    monkeypatch.setattr(
        "backend.training.model.return_freed_memory", lambda: times.append(1)
    )
    settings = TrainSettings(
        gradient_checkpointing=checkpointing,
        target_modules=QWEN3_5.every,
        precision="fp32",
    )
    build(tmp_path / "model", "tests/tiny", settings, Device("cpu", "fp32"))
    assert len(times) == calls


def test_a_config_is_read_like_in_transformers(family: Family) -> None:
    model = family.model()
    shape = shape_of(model)
    assert (shape.attention_layers, shape.counted_params) == (
        (1,),
        model.num_parameters(),
    )


def test_the_counted_adapters_are_those_that_peft_creates(family: Family) -> None:
    for targets in (
        family.every,
        family.every[:2],
        family.every[-1:],
        ("out_proj",),
    ):
        model = family.model()
        settings = TrainSettings(target_modules=targets, lora_rank=4)
        expected = preconditions.trainable_parameters(shape_of(model), settings)
        made = attach(model, settings)
        assert (
            sum(part.numel() for part in made.parameters() if part.requires_grad)
            == expected
        )


def test_a_block_saves_the_same_activations_as_torch(family: Family) -> None:
    """The difference made by one more block, in float32, with adapters on all layers."""
    less = ["full_attention", family.other]
    for kind in (family.other, *(["full_attention"] if family is QWEN3_5 else [])):
        measured, expected = (
            way(family.model([*less, kind], **family.wide), family.every, 256)
            - way(family.model(less, **family.wide), family.every, 256)
            for way in (saved_in_torch, saved_in_estimate)
        )
        assert expected == pytest.approx(measured, rel=0.05), kind


def test_each_block_type_has_its_own_traffic(family: Family) -> None:
    plan = Plan(rank=4, targets=family.every, max_tokens=64)
    usual = written(shape_of(family.model()), plan)
    more = [
        written(shape_of(family.model([*family.kinds, kind])), plan)
        for kind in (family.other, "full_attention")
    ]
    assert 0 < usual < min(more)
    assert more[0] != more[1]


def test_padding_does_not_change_the_losses_but_packing_does(family: Family) -> None:
    import torch

    model = family.model().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    draw = np.random.default_rng(0)
    ids = [draw.integers(1, 40, length).astype(np.int32) for length in (9, 21, 4)]
    rows = [
        TokenRow(
            one,
            np.where(np.arange(len(one)) > 0, one, -100).astype(np.int32),
            len(one) - 1,
        )
        for one in ids
    ]
    assert needs_mask(model.config)
    with torch.no_grad():
        alone = torch.cat(
            [token_losses(model, Collator(0, "cpu")([row])) for row in rows]
        )
        padded = token_losses(model, Collator(0, "cpu", masked=True)(rows))
        packed = token_losses(model, Collator(0, "cpu", packed=True)(rows))
    assert torch.allclose(padded, alone, atol=2e-5)
    assert (packed - alone).abs().max() > 0.02  # the reason that packing is rejected


def test_packing_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "qwen3_5", "text_config": {"model_type": "qwen3_5_text"}}'
    )
    with pytest.raises(BadSetting, match="can't be packed"):
        preconditions.check_packing(tmp_path, TrainSettings(packing=True))


def seeing_model(folder: Path, **more: Any) -> None:
    """As published by Qwen, with a part for pictures."""
    import torch
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

    own = {
        "vocab_size": 44,
        "max_position_embeddings": 1024,
        "num_hidden_layers": 3,
        "layer_types": QWEN3_5.kinds,
    }
    text = {**QWEN, **own, **more}
    sight = {"depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2}
    sight["out_hidden_size"] = text["hidden_size"]
    torch.manual_seed(0)
    make_model(folder)
    config = Qwen3_5Config(
        text_config=text, vision_config=sight, tie_word_embeddings=True
    )
    Qwen3_5ForConditionalGeneration(config).save_pretrained(folder)


def test_it_is_trained_and_verified(tmp_path: Path, family: Family) -> None:
    """Of Qwen3.5 the text part, with the parts for pictures in the same folder."""
    folder = tmp_path / "model"
    if family is QWEN3_5:
        seeing_model(folder)
    else:
        family.model(vocab_size=44).save_pretrained(make_model(folder))
    entry = catalogue.from_folder(folder)
    assert set(entry.all_linear_targets) == set(family.every)
    assert family is not QWEN3_5 or entry.context_length == 1024
    work = make_run(
        tmp_path / "run", folder, max_steps=2, target_modules=entry.all_linear_targets
    )
    result = training.run(work)
    verified = next(data for kind, data in work.events if kind == "verification")
    assert verified["changed_tensors"] > 0
    assert (verified["base_changed"], result.steps) == (0, 2)


@pytest.mark.slow
def test_its_gguf_file_gives_the_same_results(
    tmp_path: Path, bundled_model: Path
) -> None:
    """Although the config announces a multi-token prediction head, whose weights are
    missing.
    """
    import torch
    from transformers import AutoModelForCausalLM

    llama = pytest.importorskip("llama_cpp").Llama
    wide = {
        "hidden_size": 256,
        "intermediate_size": 512,
        "linear_key_head_dim": 64,
        "linear_value_head_dim": 64,
    }
    layers = {
        "num_hidden_layers": 4,
        "layer_types": [*["linear_attention"] * 3, "full_attention"],
    }
    seeing_model(
        tmp_path / "whole",
        **wide,
        **layers,
        head_dim=64,
        vocab_size=49152,
        mtp_num_hidden_layers=1,
    )
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path / "whole", dtype=torch.float32
    )
    model.save_pretrained(tmp_path / "text")
    for name in TOKENIZER_FILES:
        if (bundled_model / name).is_file():
            shutil.copyfile(bundled_model / name, tmp_path / "text" / name)
    gguf.convert(tmp_path / "text", tmp_path / "text.gguf")
    ids = [100 + 37 * number for number in range(30)]
    loaded = llama(
        str(tmp_path / "text.gguf"), n_ctx=64, logits_all=True, verbose=False
    )
    loaded.eval(ids)
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([ids])).logits[0].numpy()
    assert np.abs(loaded.scores[: len(ids)] - expected).max() < 0.01
