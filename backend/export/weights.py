"""Rewrites the safetensors files of a model, one tensor in memory at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from backend.files.disk_errors import disk_errors
from backend.models import model_folder, safetensors_files
from backend.models.safetensors_files import Stored
from backend.records.units import MIB

if TYPE_CHECKING:
    import torch

DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # torch's names of those of safetensors
_NAMES = {theirs: ours for ours, theirs in DTYPES.items()}
_SIZES = {"F32": 4, "F16": 2, "BF16": 2}
_CHUNK = 16 * MIB  # bytes


class Edit(NamedTuple):
    """How a tensor changes: `compute` gets the stored one and `dtype` ("float32", "float16" or "bfloat16"), and returns
    it in that, in the same shape."""

    dtype: str
    compute: Callable[[torch.Tensor, str], torch.Tensor]


def stored(model: Path) -> dict[str, Stored]:
    """The tensors of the model in the folder `model`, from the headers of its files."""
    tensors: dict[str, Stored] = {}
    for file in model_folder.weight_files(model):
        tensors |= safetensors_files.read(file)[0]
    return tensors


def rewrite(source: Path, out: Path, edits: Mapping[str, Edit], report: Callable[[int, int], None]) -> None:
    """Write the model files of the folder `source` to the folder `out`, in the same shards; tensors without an edit
    are copied byte for byte. edits: by the name of the tensor. report: called before each tensor with the bytes done,
    and of all; what it raises ends the work. Raises NotEnough on a full disk, ValueError when an edit does not return
    what it promised."""
    files = model_folder.weight_files(source)
    total, done, size = sum(file.stat().st_size for file in files), 0, 0
    places: dict[str, str] = {}
    for file in files:
        tensors, about = safetensors_files.read(file)
        entries = {name: _new_entry(tensor, edits.get(name)) for name, tensor in tensors.items()}
        order = sorted(entries, key=lambda name: (-_SIZES.get(entries[name][0], 1), name))  # aligned
        with disk_errors(), file.open("rb") as old, (out / file.name).open("wb") as new:
            placed = {name: (entries[name][0], tensors[name].shape, entries[name][1]) for name in order}
            size += safetensors_files.write(new, placed, about)
            for name in order:
                report(done, total)
                if name in edits:
                    _write_edited(new, file, name, edits[name], entries[name][1])
                else:
                    _copy(old, new, tensors[name])
                done += tensors[name].end - tensors[name].begin
        places |= dict.fromkeys(tensors, file.name)
    if (source / model_folder.INDEX).is_file():
        index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
        (out / model_folder.INDEX).write_text(json.dumps(index, indent=2) + "\n", "utf-8")


def _new_entry(tensor: Stored, edit: Edit | None) -> tuple[str, int]:
    """The dtype and the bytes of a tensor in the new file."""
    if edit is None:
        return tensor.dtype, tensor.end - tensor.begin
    dtype = _NAMES[edit.dtype]
    return dtype, tensor.numbers * _SIZES[dtype]


def _write_edited(new: BinaryIO, file: Path, name: str, edit: Edit, length: int) -> None:
    import torch
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        made = edit.compute(tensors.get_tensor(name), edit.dtype).contiguous()
    if str(made.dtype) != f"torch.{edit.dtype}" or made.numel() * made.element_size() != length:
        raise ValueError(f"{name} became {made.dtype}, {tuple(made.shape)}")
    new.write(made.reshape(-1).view(torch.uint8).numpy().data)


def _copy(old: BinaryIO, new: BinaryIO, tensor: Stored) -> None:
    old.seek(tensor.begin)
    left = tensor.end - tensor.begin
    while left:
        chunk = old.read(min(_CHUNK, left))
        if not chunk:
            raise EOFError("the file is shorter than its header says")
        new.write(chunk)
        left -= len(chunk)
