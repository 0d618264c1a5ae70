"""Merging writes the same bits as peft, one tensor at a time."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ExportFailed, NotEnough
from backend.export import merge
from backend.export.merge import Adapter, stored_name
from backend.models import model_folder
from tests.backend.merging import merge as merged_by_us
from tests.backend.synthetic import make_adapter
from tests.backend.tiny_run import make_model, weights

TEXTS = [[1, 5, 9, 12, 3, 2, 20, 31]]


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def as_dtype(model: Path, folder: Path, dtype: str, shard: str = "5GB") -> Path:
    """A copy of a model with its weights in another dtype."""
    import torch
    from transformers import AutoModelForCausalLM

    shutil.copytree(model, folder)
    for file in folder.glob("*.safetensors"):
        file.unlink()
    loaded = AutoModelForCausalLM.from_pretrained(
        model, dtype=getattr(torch, dtype), local_files_only=True
    )
    loaded.save_pretrained(folder, max_shard_size=shard)
    return folder


def trained(model: Path, folder: Path, **config: Any) -> Path:
    """An adapter with random weights, as peft saves it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(
        model, dtype=torch.float32, local_files_only=True
    )
    tuned = get_peft_model(
        base, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=6, **config)
    )
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name or "lora_embedding_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
        if "magnitude" in name:
            parameter.data *= 1.1
    tuned.save_pretrained(folder, save_embedding_layers=False)
    return folder


def merged_by_peft(model: Path, adapter: Path, dtype: str) -> dict[str, Any]:
    import torch

    base = model_folder.load(model, getattr(torch, dtype))
    state: dict[str, Any] = (
        model_folder.attach_adapter(base, adapter).merge_and_unload().state_dict()
    )
    return state


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("make", "config"),
    [
        (
            make_model,
            {"target_modules": ["q_proj", "v_proj", "down_proj"], "use_rslora": True},
        ),
        (make_model, {"target_modules": ["q_proj", "gate_proj"], "use_dora": True}),
        (
            partial(make_model, tie_word_embeddings=False),
            {"target_modules": ["o_proj", "lm_head"]},
        ),
        (
            partial(make_model, kind="gpt2"),
            {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True},
        ),
        (
            partial(make_model, kind="gpt2"),
            {"target_modules": ["c_attn"], "fan_in_fan_out": True, "use_dora": True},
        ),
    ],
    ids=["rslora", "dora", "output", "gpt2", "gpt2-dora"],
)
def test_the_merged_weights_are_peft_s_to_the_bit(
    tmp_path: Path, make: Callable[[Path], Path], config: dict[str, Any], dtype: str
) -> None:
    model = as_dtype(make(tmp_path / "made"), tmp_path / "model", dtype, shard="40KB")
    adapter = trained(model, tmp_path / "adapter", **config)
    assert len(list(model.glob("*.safetensors"))) > 1, "in several files"
    expected = merged_by_peft(model, adapter, dtype)
    assert merged_by_us(model, adapter, tmp_path / "merged", TEXTS).dtype == dtype
    found, before = weights(tmp_path / "merged"), weights(model)
    assert found.keys() == before.keys()
    for name, tensor in found.items():
        assert tensor.dtype == before[name].dtype
        assert (tensor == expected[name]).all(), name
    changed = [name for name, tensor in found.items() if (tensor != before[name]).any()]
    assert changed
    assert all(
        any(name.endswith(f"{one}.weight") for one in config["target_modules"])
        for name in changed
    )


def test_the_shards_and_their_index_stay(tmp_path: Path, tiny_model: Path) -> None:
    model = as_dtype(tiny_model, tmp_path / "model", "bfloat16", shard="40KB")
    merged_by_us(
        model,
        trained(model, tmp_path / "adapter", target_modules=["q_proj"]),
        tmp_path / "merged",
        TEXTS,
    )
    before, after = (
        json.loads((d / model_folder.INDEX).read_text("utf-8"))
        for d in (model, tmp_path / "merged")
    )
    assert before["weight_map"] == after["weight_map"]
    assert before["metadata"]["total_size"] == after["metadata"]["total_size"]
    for name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ):
        assert (tmp_path / "merged" / name).read_bytes() == (model / name).read_bytes()


def test_one_tensor_is_in_memory_at_a_time(tmp_path: Path, tiny_model: Path) -> None:
    import weakref

    import torch

    made: list[weakref.ref[torch.Tensor]] = []

    def compute(weight: torch.Tensor, _: str) -> torch.Tensor:
        assert not any(tensor() is not None for tensor in made), (
            "the one before is gone"
        )
        new = weight.new_zeros(weight.shape)
        made.extend([weakref.ref(weight), weakref.ref(new)])
        return new

    edits = {
        name: merge.Edit("float32", compute)
        for name in merge.stored_tensors(tiny_model)
    }
    merge.rewrite(
        tiny_model, _folder(tmp_path / "out"), edits, lambda done, total: None
    )
    assert len(made) == 2 * len(edits)
    assert all(not tensor.any() for tensor in weights(tmp_path / "out").values())


def test_a_stop_is_noticed_between_two_tensors(
    tmp_path: Path, tiny_model: Path
) -> None:
    seen = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        merge.rewrite(tiny_model, _folder(tmp_path / "out"), {}, stop)
    assert sorted(seen) == seen


def test_memory_is_needed_for_the_largest_weight_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    folder = _folder(tmp_path / "model")
    header = {"a": {"dtype": "BF16", "shape": [14336, 4096], "data_offsets": [0, 0]}}
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    needed = merge.memory_needed(folder)
    assert needed == 3 * 4 * 14336 * 4096 + (512 << 20)
    monkeypatch.setattr(
        psutil,
        "virtual_memory",
        lambda: type("Memory", (), {"available": needed - (1 << 20)}),
    )
    with pytest.raises(NotEnough, match=r"1\.156 GB and 1\.155 GB is free"):
        merged_by_us(folder, folder, tmp_path / "out", TEXTS)


def test_with_little_memory_the_check_reads_weights_from_the_files(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the merge was refused before: free memory of less than 2.5 times the
    weights.
    """
    import psutil
    import torch

    model = as_dtype(tiny_model, tmp_path / "model", "bfloat16")
    available = int(0.5 * model_folder.weight_bytes(model))
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: type("Memory", (), {"available": available})
    )
    monkeypatch.setattr(merge, "memory_needed", lambda _: 0)
    assert model_folder.working_dtype(model) == torch.bfloat16
    adapter = trained(model, tmp_path / "adapter", target_modules=["q_proj", "v_proj"])
    assert merged_by_us(model, adapter, tmp_path / "merged", TEXTS).ok


def test_more_than_a_lora_and_a_layer_without_own_weights_are_refused(
    tmp_path: Path, tiny_model: Path
) -> None:
    adapter = make_adapter(tmp_path / "adapter", tiny_model)
    with pytest.raises(ExportFailed, match="can't be merged"):
        Adapter(adapter).merged_into({"model.embed_tokens.weight"})
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    for changes in (
        {"modules_to_save": ["lm_head"]},
        {"bias": "all"},
        {"rank_pattern": {"q": 2}},
    ):
        (adapter / "adapter_config.json").write_text(
            json.dumps({**config, **changes}), "utf-8"
        )
        with pytest.raises(ExportFailed, match="can't be merged"):
            Adapter(adapter)


@pytest.mark.parametrize(
    ("module", "stored"),
    [
        ("model.layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj.weight"),
        ("transformer.h.0.attn.c_attn", "h.0.attn.c_attn.weight"),
        (
            "model.layers.0.mlp.up_proj",
            "model.language_model.layers.0.mlp.up_proj.weight",
        ),
        (
            "model.layers.0.mlp.up_proj",
            "language_model.model.layers.0.mlp.up_proj.weight",
        ),
    ],
)
def test_a_layer_is_found_in_the_files(module: str, stored: str) -> None:
    others = {"model.vision_tower.layers.0.mlp.up_proj.weight", "wte.weight"}
    assert stored_name(module, {stored, *others}) == stored
    assert stored_name(module, others) is None
