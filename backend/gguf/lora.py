"""A LoRA adapter of peft as a GGUF file for llama.cpp.

The converter of a base model renames its weights and reorders the rows of some (q and k
of the Llama family). How it did that is not assumed: each adapted weight is compared
with the base's GGUF file, and the adapter's rows get the order that was found. Whatever
a GGUF LoRA can't express, or does not match, raises Unsupported.

Format: https://github.com/ggml-org/llama.cpp, `convert_lora_to_gguf.py` and
    `llama_adapter_lora_init`.
"""

from pathlib import Path
from typing import Any

from backend.errors import ExportFailed
from backend.files.json_file import loads
from backend.models import model_folder
from backend.models.gguf_header import Packed
from backend.models.gguf_header import read as read_header
from backend.models.safetensors_files import Stored, read_all, values

_PREFIX = "base_model.model."
_ROWS = 16  # of each weight are compared
# Layers of Granite 4.0 that the converter names like Llama's; the first one it takes
# apart.
_PARTS = {
    "shared_mlp.input_linear": ("mlp.gate_proj", "mlp.up_proj"),
    "shared_mlp.output_linear": ("mlp.down_proj",),
}
_TOLERANCE = 0.03  # relative to the rows' length; Q8_0 rounds by about 0.005, wrong rows differ by more than 1


class Unsupported(ExportFailed):
    """The adapter can't be a GGUF LoRA."""


def convert_adapter(adapter: Path, model: Path, base: Path, out: Path) -> None:
    """Write the adapter in the folder `adapter` to `out`. Raises Unsupported,
    MissingPart.

    model: the folder of its base model
    base: the GGUF file of that model
    """
    import gguf

    model_folder.check_adapter(adapter)
    scale, rank = _scale(loads((adapter / "adapter_config.json").read_text("utf-8")))
    about, tensors = read_header(base)
    matrices = {
        name: tensor for name, tensor in tensors.items() if len(tensor.shape) == 2
    }
    architecture = str(about["general.architecture"])
    number = next(
        (n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture), None
    )
    if number is None:
        raise _unsupported(f"{architecture} is unknown")
    names = gguf.get_tensor_name_map(number, int(about[f"{architecture}.block_count"]))
    counts = (
        about.get(f"{architecture}.attention.{name}")
        for name in ("head_count", "head_count_kv")
    )
    heads = [count for count in counts if isinstance(count, int)]
    weights, learned = (
        read_all(sorted(folder.glob("*.safetensors"))) for folder in (model, adapter)
    )
    writer = gguf.GGUFWriter(out, architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", scale * rank)
    for module in sorted({_module(name) for name in learned}):
        first, second = (
            values(learned[f"{_PREFIX}{module}.lora_{part}.weight"]) for part in "AB"
        )
        if len(first) != rank:
            raise _unsupported(f"{module} has another rank")
        block, *layer = module.rsplit(".", 2)
        start = 0
        for part in _PARTS.get(".".join(layer), (".".join(layer),)):
            name = names.get_name(f"{block}.{part}.weight", try_suffixes=(".weight",))
            if (
                name is None
                or name not in matrices
                or f"{module}.weight" not in weights
            ):
                raise _unsupported(f"{module} has no counterpart")
            order = _row_order(
                base, matrices[name], weights[f"{module}.weight"], module, heads, start
            )
            start += len(order)
            writer.add_tensor(f"{name}.lora_a", first)
            writer.add_tensor(f"{name}.lora_b", second[order])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _scale(config: dict[str, Any]) -> tuple[float, int]:
    """The factor that the adapter's product is multiplied by, and its rank."""
    plain = (
        "use_dora",
        "modules_to_save",
        "rank_pattern",
        "alpha_pattern",
        "trainable_token_indices",
        "lora_bias",
    )
    if any(config.get(name) for name in plain) or config.get("bias", "none") != "none":
        raise _unsupported("it is more than a LoRA")
    rank = int(config["r"])
    return config["lora_alpha"] / (
        rank**0.5 if config.get("use_rslora") else rank
    ), rank


def _module(name: str) -> str:
    """The module that a tensor of the adapter belongs to."""
    module, _, kind = name.removeprefix(_PREFIX).rpartition(".lora_")
    if kind not in ("A.weight", "B.weight"):
        raise _unsupported(f"{name} is no part of a LoRA")
    return module


def _row_order(
    base: Path,
    stored: Packed,
    weight: Stored,
    module: str,
    heads: list[int],
    start: int,
) -> Any:
    """Which row of the model's weight, from `start` on, each row of the GGUF file is."""
    import gguf
    import numpy

    rows, columns = stored.shape
    some, kind = (
        numpy.unique(numpy.linspace(0, rows - 1, _ROWS).astype(int)),
        gguf.GGMLQuantizationType(stored.kind),
    )
    numbers, size = gguf.GGML_QUANT_SIZES[kind]
    packed = numpy.memmap(
        base, numpy.uint8, "r", stored.begin, (rows, columns // numbers * size)
    )
    found = gguf.quants.dequantize(packed[some], kind)
    unchanged = numpy.arange(rows)
    # The Llama converter lets the two halves of each head alternate (rotary positions).
    halves = (
        unchanged.reshape(count, 2, -1) for count in heads if rows % (2 * count) == 0
    )
    orders = [unchanged, *(order.swapaxes(1, 2).reshape(-1) for order in halves)]
    for order in orders:
        expected = values(weight, start + order[some])
        if expected.shape == found.shape:
            distance = numpy.linalg.norm(found - expected) / (
                numpy.linalg.norm(expected) or 1.0
            )
            if distance < _TOLERANCE:
                return start + order
    raise _unsupported(f"{module} has its rows in an order of its own")


def _unsupported(why: str) -> Unsupported:
    return Unsupported(
        "This result can't be a GGUF adapter.", f"{why[:1].upper()}{why[1:]}.", ""
    )
