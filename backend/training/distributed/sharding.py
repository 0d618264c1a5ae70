"""One model divided over the processes of a team, so that several cards hold what is too much for one.

torch's fully_shard (FSDP2) leaves in each process its part of every tensor, of its gradient and of the optimizer's
state. A part is gathered from all while it is needed:

    fsdp    a layer's weights for as long as that layer works (what DeepSpeed calls ZeRO stage 3)
    zero2   all weights from the first layer's forward to its backward pass, as ZeRO stage 2 has them; gradients and
            optimizer state stay divided and, with cards, wait in the computer's memory (optimizer offload)

Whatever gathers is done by all processes together, in the same order. Nothing here does anything to a whole model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from backend.errors import BadSetting
from backend.records.specs import TrainSettings

if TYPE_CHECKING:
    import torch


def refuse(settings: TrainSettings) -> None:
    """Raises BadSetting when the settings ask for a division that there can't be."""
    why, chosen = "", settings.sharding
    if chosen == "none":
        return
    if settings.num_processes == 1:
        why = "There is one process only, so there is nobody to share it with."
    elif settings.method == "qlora":
        why = "Weights in 4 bit can't be divided."
    elif chosen == "zero2" and settings.method != "full":
        why = "zero2 divides what is learned, and with a LoRA adapter that is little."
    if why:
        better = "fsdp" if settings.num_processes > 1 and settings.method != "qlora" else "none"
        more = "num_processes to the number of cards, or " if settings.num_processes == 1 else ""
        raise BadSetting(
            f"The model can't be divided over cards ({chosen}).", why, f"Set {more}sharding to {better}."
        )


def divide(model: Any, settings: TrainSettings, kind: str) -> None:
    """Leaves in this process its part of `model`, which is still whole and in the computer's memory, and moves that
    part to the device `kind`. Gradients are summed over the processes, not averaged.

    Raises BadSetting when the layers of the model are not known.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.distributed_c10d import get_world_size
    from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, fully_shard, register_fsdp_forward_method

    base = model.get_base_model() if hasattr(model, "peft_config") else model
    names = set(base._no_split_modules or ())  # the classes of decoder layers, by transformers
    layers = [module for module in base.modules() if type(module).__name__ in names]
    if not layers:
        raise BadSetting(
            "This model can't be divided over cards.", "Its layers are not known.", "Choose another one."
        )
    how: dict[str, Any] = {"mesh": init_device_mesh(kind, (get_world_size(),))}
    if settings.sharding == "zero2":
        how["reshard_after_forward"] = False
        if kind != "cpu":
            how["offload_policy"] = CPUOffloadPolicy()
    for part in [*layers, model]:
        fully_shard(part, **how)
    for part in model.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
    register_fsdp_forward_method(model, "generate")


def rest(model: Any) -> None:
    """After a pass without a backward one: gives back what was gathered of `model`."""
    for part in model.modules():
        if hasattr(part, "reshard"):
            part.reshard()


def is_divided(model: Any) -> bool:
    """Whether this process holds only a part of `model`."""
    return any(map(_is_divided, model.parameters()))


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """All of `tensor`, gathered if it is divided."""
    given = tensor.detach()
    return given.full_tensor() if _is_divided(given) else given  # type: ignore[attr-defined]


def gathered(tensors: Mapping[str, torch.Tensor], *, keep: bool) -> dict[str, torch.Tensor]:
    """`tensors`, each whole and, if it was divided, in the computer's memory; none where they are not to be kept."""
    kept = {}
    for name, tensor in tensors.items():
        value = whole(tensor)
        if keep:
            kept[name] = value.cpu() if _is_divided(tensor) else value
    return kept


def put(value: torch.Tensor, into: torch.Tensor) -> None:
    """Writes `value`, a whole tensor, over `into`: this process's part of it if that is divided."""
    import torch

    with torch.no_grad():
        if not _is_divided(into):
            into.copy_(value)
            return
        mesh, local = into.device_mesh, into.to_local()  # type: ignore[attr-defined]
        if len(local):
            local.copy_(value.chunk(mesh.size())[mesh.get_local_rank()])


def like(value: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """`value`, a whole tensor, divided as `other` is, if they are of one shape."""
    import torch

    if not _is_divided(other) or value.shape != other.shape:
        return value
    divided = torch.empty_like(other, requires_grad=False)
    put(value, divided)
    return divided


def held(tensors: Iterable[Any]) -> int:
    """Bytes of `tensors` that lie in this process."""
    return sum(int((tensor.to_local() if _is_divided(tensor) else tensor).nbytes) for tensor in tensors)


def _is_divided(tensor: Any) -> bool:
    return hasattr(tensor, "full_tensor")
