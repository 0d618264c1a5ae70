"""Sizes and fallbacks computed from the shapes, against files that llama.cpp made; and what the files lost."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest
from safetensors.numpy import save_file

from backend.export import divergence
from backend.gguf import convert as gguf
from backend.gguf import sizes
from backend.tokens.tokenizer import ChatTokenizer

WIDTH, LAYERS = 256, 3
SMALLER = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")


@pytest.fixture(scope="module")
def wide(bundled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama whose widths are multiples of 256, with the bundled model's tokenizer."""
    folder = tmp_path_factory.mktemp("wide") / "model"
    shutil.copytree(bundled_model, folder, ignore=shutil.ignore_patterns("*.safetensors*"))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 64}
    shape = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS}
    (folder / "config.json").write_text(json.dumps({**config, **heads, **shape}), "utf-8")
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
def wide_f16(wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("wide-gguf") / "F16.gguf"
    gguf.convert(wide, file)
    return file


@pytest.fixture(scope="module")
def wide_files(wide_f16: Path) -> dict[str, Path]:
    files = {kind: wide_f16.with_name(f"{kind}.gguf") for kind in SMALLER}
    for kind, file in files.items():
        gguf.quantize(wide_f16, file, kind)
    return files


def stored(file: Path) -> dict[str, int]:
    """The numbers of each type in a file, weights only; "bytes" of all tensors."""
    import gguf as package

    found: dict[str, int] = {"bytes": 0}
    for tensor in package.GGUFReader(file).tensors:
        found["bytes"] += int(tensor.n_bytes)
        if len(tensor.shape) > 1:
            found[tensor.tensor_type.name] = found.get(tensor.tensor_type.name, 0) + int(tensor.n_elements)
    return found


@pytest.mark.parametrize("kind", SMALLER)
def test_a_model_of_fitting_widths(wide: Path, wide_files: dict[str, Path], kind: str) -> None:
    found = stored(wide_files[kind])
    assert sizes.size(wide, kind) == pytest.approx(found["bytes"], rel=0.001)
    assert sizes.too_narrow(wide, kind) == 0.0
    assert not {"Q5_0", "Q5_1"} & set(found)


@pytest.mark.parametrize("kind", ["Q6_K", "Q4_K_M"])
def test_the_bundled_model_is_too_narrow_for_k(bundled_model: Path, f16: Path, kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"{kind}.gguf"
    gguf.quantize(f16, file, kind)
    found = stored(file)
    weights = sum(count for name, count in found.items() if name != "bytes")
    fits = sum(count for name, count in found.items() if name.endswith("_K"))
    assert sizes.size(bundled_model, kind) == pytest.approx(found["bytes"], rel=0.001)
    assert sizes.too_narrow(bundled_model, kind) == pytest.approx(1 - fits / weights, abs=0.001)
    assert sizes.too_narrow(bundled_model, "Q8_0") == 0.0


def test_smaller_files_lose_more(wide: Path, wide_f16: Path, wide_files: dict[str, Path], tmp_path: Path) -> None:
    tokenizer = ChatTokenizer.load(wide)
    chat = [
        {"role": "user", "content": "Where is 4711?"},
        {"role": "assistant", "content": "On its way, love. " * 30},
    ]
    row = tokenizer.encode(chat)
    rows = [{"input_ids": list(row.input_ids), "labels": list(row.labels)}]
    asked: list[int] = []
    files = {"F16": wide_f16, **wide_files}
    found = divergence.measure(wide_f16, files, rows, tmp_path, lambda: asked.append(1))
    losses = [found[kind].kl for kind in ("F16", *SMALLER)]
    assert losses[0] == pytest.approx(0.0, abs=1e-6)
    assert losses == sorted(losses)
    assert losses[1] < losses[4]
    assert {one.places for one in found.values()} == {divergence.POSITIONS}
    assert found["F16"].same_choice == 1.0


def test_the_divergence_is_that_of_kullback_and_leibler() -> None:
    p, q = numpy.array([[0.5, 0.25, 0.25]]), numpy.array([[0.25, 0.5, 0.25]])
    losses, same = divergence.compare(numpy.log(p), numpy.log(q))
    assert losses == pytest.approx([0.25 * numpy.log(2)])
    assert same == [False]


def test_a_stop_ends_the_comparison(wide_f16: Path, tmp_path: Path) -> None:
    def stop() -> None:
        raise InterruptedError

    row = {"input_ids": list(range(10)) * 50, "labels": list(range(10)) * 50}
    with pytest.raises(InterruptedError):
        divergence.measure(wide_f16, {"F16": wide_f16}, [row] * 8, tmp_path, stop)
