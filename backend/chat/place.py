"""Where a model of safetensors answers: on which device, and whether in 4-bit."""

from pathlib import Path
from typing import NamedTuple

from backend.errors import NotEnough
from backend.models import four_bit, model_folder
from backend.records.units import MIB, format_sizes

_WITH_ANSWER = 1.3  # times the weights: a model and its answers


class Place(NamedTuple):
    """Where a model answers. device: "cuda", "mps" or "cpu". packed: with its linear
    weights in 4-bit.
    """

    device: str
    packed: bool = False


def place(model: Path, tuned: Path | None) -> Place:
    """Where the model in a folder answers, and the one in `tuned` beside it. What was
    trained on 4-bit weights answers on them where there is a GPU of NVIDIA, and
    elsewhere where memory is short; a base model alone where a GPU holds nothing more.
    Raises NotEnough.
    """
    import psutil

    whole = model_folder.weight_bytes(model) * _WITH_ANSWER
    packed = whole * four_bit.SHARE
    can_pack, trained_packed = (
        four_bit.is_possible(),
        bool(tuned and four_bit.trained_in_4_bit(tuned)),
    )
    for device, free in _gpus():
        packs = device == "cuda" and can_pack and free > packed
        if packs and (trained_packed or (tuned is None and free <= whole)):
            return Place(device, packed=True)
        if free > whole:
            return Place(device)
    available = psutil.virtual_memory().available
    if available >= whole:
        return Place("cpu")
    if trained_packed and can_pack and available >= packed:
        return Place("cpu", packed=True)
    needs, has = format_sizes(whole / MIB, available / MIB)
    raise NotEnough(
        "There is not enough memory to chat with this model now.",
        f"It needs about {needs} and {has} is free.",
        "Close other programs, or wait until the training has finished.",
    )


def _gpus() -> list[tuple[str, int]]:
    """The GPU that PyTorch can use, if any, with its free memory in bytes."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return [("cuda", int(torch.cuda.mem_get_info()[0]))]
    if torch.backends.mps.is_available():
        limit = int(torch.mps.recommended_max_memory()) - int(
            torch.mps.driver_allocated_memory()
        )
        return [
            ("mps", min(limit, int(psutil.virtual_memory().available)))
        ]  # it has no memory of its own
    return []
