"""Whether the weights in an imported zip file can be what a run of this kind makes: judged by their headers alone."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.models import safetensors_files
from backend.models.safetensors_files import Stored
from backend.records.specs import TrainSettings

_SIZES = {"F32": 4, "F16": 2, "BF16": 2}  # bytes of a number
_PART = re.compile(r"base_model\.model\.(.+)\.lora_(A\.weight|B\.weight|magnitude_vector(?:\.weight)?)")
_LARGEST: dict[str, float] = {  # of a setting
    name: next(float(limit.le) for limit in TrainSettings.model_fields[name].metadata if hasattr(limit, "le"))
    for name in ("lora_rank", "lora_alpha")
}


def check(folder: Path, base: Path, config: Mapping[str, Any] | None) -> None:
    """Raises ValueError with the reason in a sentence. folder: with the weights. base: the folder of the base model,
    which may not be here. config: of the adapter; None where all weights were trained."""
    tensors: dict[str, Stored] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= _tensors(file)
    if not tensors:
        raise ValueError("It holds no weights.")
    shapes: dict[str, tuple[int, ...]] = {}
    for file in base.glob("*.safetensors"):
        shapes |= {name: tensor.shape for name, tensor in safetensors_files.read(file)[0].items()}
    if config is not None:
        _adapter(tensors, shapes, config)
    else:
        common = tensors.keys() & shapes.keys()
        if (shapes and not common) or any(tensors[name].shape != shapes[name] for name in common):
            raise ValueError("Its weights are not those of its base model.")


def _tensors(file: Path) -> dict[str, Stored]:
    """The tensors of a file whose header describes all of it, once."""
    try:
        tensors, _ = safetensors_files.read(file)
    except ValueError as error:
        raise ValueError(f"{file.name} is damaged: it has no header.") from error
    with file.open("rb") as content:
        at = 8 + int.from_bytes(content.read(8), "little")  # after the header and its length
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1].begin):
        if not all(isinstance(size, int) and size >= 0 for size in tensor.shape):
            raise ValueError(f"{file.name} is damaged: {name[:100]} has no shape.")
        if tensor.begin != at or tensor.end - at != tensor.numbers * _SIZES.get(tensor.dtype, 0):
            raise ValueError(f"{file.name} is damaged: {name[:100]} is not where its header says.")
        at = tensor.end
    if at != file.stat().st_size:
        raise ValueError(f"{file.name} is damaged: its size is not that of its header.")
    return tensors


def _adapter(tensors: Mapping[str, Stored], base: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> None:
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or not 1 <= rank <= _LARGEST["lora_rank"]:
        raise ValueError("The rank of its adapter is not one that Apprentice trains.")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha <= _LARGEST["lora_alpha"]:
        raise ValueError("The strength (alpha) of its adapter is not one that Apprentice trains.")
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in tensors.items():
        part = _PART.fullmatch(name)
        if part is None or part[1].rpartition(".")[2] not in config["target_modules"]:
            raise ValueError(f"Its adapter has a part that Apprentice does not train: {name[:100]}.")
        layers.setdefault(part[1], {})[part[2]] = tensor.shape
    known = any(f"{layer}.weight" in base for layer in layers)  # whether the base names its layers in the same way
    for layer, parts in layers.items():
        a, b = parts.get("A.weight", ()), parts.get("B.weight", ())
        if len(a) != 2 or len(b) != 2 or (a[0], b[1]) != (rank, rank):
            raise ValueError(f"Its adapter does not have the rank that it claims: {layer[:100]}.")
        weight = base.get(f"{layer}.weight")
        if known and sorted(weight or ()) != sorted((a[1], b[0])):
            raise ValueError(f"Its adapter does not fit its base model: {layer[:100]}.")
