"""Sizes and fallbacks computed from the shapes, against files that llama.cpp made."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import save_file

from backend.gguf import convert as gguf
from backend.gguf import sizes
from backend.models import gguf_header

WIDTH, LAYERS = (
    256,
    12,
)  # so many have a first eighth, and a third between it and the last


@pytest.fixture(scope="module")
def wide(bundled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama whose widths are multiples of 256, with the bundled model's
    tokenizer.
    """
    folder = tmp_path_factory.mktemp("wide") / "model"
    shutil.copytree(
        bundled_model, folder, ignore=shutil.ignore_patterns("*.safetensors*")
    )
    config = json.loads((folder / "config.json").read_text("utf-8"))
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 64}
    shape = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": LAYERS,
    }
    (folder / "config.json").write_text(
        json.dumps({**config, **heads, **shape}), "utf-8"
    )
    draw = numpy.random.default_rng(0)

    def weight(rows: int, width: int) -> Any:
        return draw.normal(0, width**-0.5, (rows, width)).astype(numpy.float16)

    weights = {"model.embed_tokens.weight": weight(config["vocab_size"], WIDTH)}
    weights["model.norm.weight"] = numpy.ones(WIDTH, numpy.float16)
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        for part in ("q", "k", "v", "o"):
            weights[f"{name}self_attn.{part}_proj.weight"] = weight(WIDTH, WIDTH)
        for part in ("gate", "up"):
            weights[f"{name}mlp.{part}_proj.weight"] = weight(2 * WIDTH, WIDTH)
        weights[f"{name}mlp.down_proj.weight"] = weight(WIDTH, 2 * WIDTH)
        for part in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{name}{part}.weight"] = numpy.ones(WIDTH, numpy.float16)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def wide_f16(wide: Path) -> Path:
    file = wide.with_name("F16.gguf")
    gguf.convert(wide, file)
    return file


def stored(file: Path) -> dict[str, int]:
    """The numbers of each type in a file, weights only; "bytes" of all tensors."""
    import gguf as package

    found: dict[str, int] = {"bytes": 0}
    for tensor in gguf_header.read(file)[1].values():
        kind = package.GGMLQuantizationType(tensor.kind)
        block, size = package.GGML_QUANT_SIZES[kind]
        found["bytes"] += tensor.numbers // block * size
        if len(tensor.shape) > 1:
            found[kind.name] = found.get(kind.name, 0) + tensor.numbers
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"])
def test_a_model_of_fitting_widths(
    wide: Path, wide_f16: Path, kind: str, tmp_path: Path
) -> None:
    gguf.quantize(wide_f16, tmp_path / "small.gguf", kind)
    found = stored(tmp_path / "small.gguf")
    assert sizes.size(wide, kind) == pytest.approx(found["bytes"], rel=0.001)
    assert sizes.too_narrow(wide, kind) == 0.0
    assert not {"Q5_0", "Q5_1"} & set(found)


@pytest.mark.parametrize("kind", ["Q6_K", "Q4_K_M"])
def test_the_bundled_models_layers_are_too_narrow_for_k(
    shallow_model: Path, shallow_f16: Path, kind: str, tmp_path: Path
) -> None:
    file = tmp_path / f"{kind}.gguf"
    gguf.quantize(shallow_f16, file, kind)
    found = stored(file)
    weights = sum(count for name, count in found.items() if name != "bytes")
    fits = sum(count for name, count in found.items() if name.endswith("_K"))
    assert sizes.size(shallow_model, kind) == pytest.approx(found["bytes"], rel=0.001)
    assert sizes.too_narrow(shallow_model, kind) == pytest.approx(
        1 - fits / weights, abs=0.001
    )
    assert sizes.too_narrow(shallow_model, "Q8_0") == 0.0
