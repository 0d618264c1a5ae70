"""One model divided over the processes of a group, so that several GPUs hold what is too large for one.

torch's fully_shard (FSDP2) leaves each process a shard of every tensor, of its gradient and of the optimizer's state,
and gathers a tensor from all processes while it is needed:

    fsdp    a layer's weights while that layer computes (DeepSpeed's ZeRO stage 3)
    zero2   all weights from the first layer's forward to its backward pass, as in ZeRO stage 2; gradients and
            optimizer state stay sharded and, with GPUs, in the computer's memory (optimizer offload)

All processes must make the calls that gather together, in the same order. With a model that is not sharded, every
function here does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backend.errors import BadSetting
from backend.records.specs import TrainSettings

if TYPE_CHECKING:
    import torch


def check(settings: TrainSettings) -> None:
    """Raises BadSetting when this sharding does not work with the other settings."""
    why, sharding = "", settings.sharding
    if sharding == "none":
        return
    if settings.num_processes == 1:
        why = "There is only one process to hold it."
    elif settings.method == "qlora":
        why = "4-bit weights can't be divided."
    elif settings.optim != "adamw":
        why = "The state of AdamW in 8 bits can't be divided."
    elif sharding == "zero2" and settings.method != "full":
        why = "zero2 divides the trained weights, and a LoRA adapter has few of them."
    if why:
        divisible = settings.num_processes > 1 and settings.method != "qlora" and settings.optim == "adamw"
        better = "fsdp" if divisible else "none"
        more = "num_processes to the number of graphics cards, or " if settings.num_processes == 1 else ""
        raise BadSetting(
            f"The model can't be divided over graphics cards ({sharding}).", why, f"Set {more}sharding to {better}."
        )


def shard(model: Any, settings: TrainSettings, kind: str) -> None:
    """Cuts `model`, still whole and in the computer's memory, down to this process's shard on the device `kind`.
    Gradients are summed over the processes, not averaged.

    Raises BadSetting when transformers does not name the model's layers.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.distributed_c10d import get_world_size
    from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, fully_shard, register_fsdp_forward_method

    base = model.get_base_model() if hasattr(model, "peft_config") else model
    names = set(base._no_split_modules or ())  # the classes of its decoder layers
    layers = [module for module in base.modules() if type(module).__name__ in names]
    if not layers:
        raise BadSetting(
            "This model can't be divided over graphics cards.", "Its layers are not known.", "Choose another model."
        )
    options: dict[str, Any] = {"mesh": init_device_mesh(kind, (get_world_size(),))}
    if settings.sharding == "zero2":
        options["reshard_after_forward"] = False
        if kind != "cpu":
            options["offload_policy"] = CPUOffloadPolicy()
    for part in [*layers, model]:
        fully_shard(part, **options)
    for part in model.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
    register_fsdp_forward_method(model, "generate")


def reshard(model: Any) -> None:
    """Frees the gathered weights of `model` after a forward pass without a backward pass."""
    for part in model.modules():
        if hasattr(part, "reshard"):
            part.reshard()


def is_sharded(model: Any) -> bool:
    """Whether this process holds only a shard of `model`."""
    return any(map(_is_sharded, model.parameters()))


def full_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """All of `tensor`, gathered if it is sharded."""
    detached = tensor.detach()
    return detached.full_tensor() if _is_sharded(detached) else detached  # type: ignore[attr-defined]


def gather(tensors: Mapping[str, torch.Tensor], *, keep: bool) -> dict[str, torch.Tensor]:
    """`tensors`, each whole, and in the computer's memory if it was sharded. keep: False only takes part in the
    gathering and returns nothing."""
    gathered = {}
    for name, tensor in tensors.items():
        value = full_tensor(tensor)
        if keep:
            gathered[name] = value.cpu() if _is_sharded(tensor) else value
    return gathered


def copy_into(value: torch.Tensor, target: torch.Tensor) -> None:
    """Overwrites `target` (this process's shard of it, if it is sharded) with the whole tensor `value`."""
    import torch

    with torch.no_grad():
        if not _is_sharded(target):
            target.copy_(value)
            return
        mesh, local = target.device_mesh, target.to_local()  # type: ignore[attr-defined]
        if len(local):
            local.copy_(value.chunk(mesh.size())[mesh.get_local_rank()])


def shard_like(value: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The whole tensor `value`, sharded as `other` is if both have the same shape."""
    import torch

    if not _is_sharded(other) or value.shape != other.shape:
        return value
    sharded = torch.empty_like(other, requires_grad=False)
    copy_into(value, sharded)
    return sharded


def _is_sharded(tensor: Any) -> bool:
    return hasattr(tensor, "full_tensor")
