"""The proof after a run: the weights that should change did, no other did, and what was saved is what was trained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import TrainingFailed
from backend.files import manifest
from backend.records.events import VerificationEvent
from backend.training.distributed.sharding import copy_into, full_tensor
from backend.training.model import frozen, trainable

if TYPE_CHECKING:
    import torch

_ALL_UP_TO = 2 << 30  # bytes of base weights that are hashed whole; of larger ones a part of each tensor
_PART = 1 << 20  # bytes at either end of a tensor
_SAME = 1e-4  # relative difference of two losses that are the same: cards add in varying order


@dataclass(frozen=True)
class Fingerprint:
    """SHA-256 of each weight before training, by name. how: what of the base was hashed, in words."""

    trained: dict[str, str]
    base: dict[str, str]
    how: str


def fingerprint(model: Any, base_folder: Path) -> Fingerprint:
    """Of `model` as it is now. Where all of it is trained, the base is the files in `base_folder`."""
    still = frozen(model)
    trained = {name: digest(parameter) for name, parameter in trainable(model).items()}
    if not still:
        files = {file.name: manifest.digest(file) for file in sorted(base_folder.glob("*.safetensors"))}
        return Fingerprint(trained, files, "the model's files, whole")
    entire = sum(parameter.nbytes for parameter in still.values()) <= _ALL_UP_TO
    base = {name: digest(parameter, entire=entire) for name, parameter in still.items()}
    how = "every base tensor, whole" if entire else "1 MiB at either end of every base tensor"
    return Fingerprint(trained, base, how)


def digest(tensor: torch.Tensor, *, entire: bool = True) -> str:
    """The SHA-256 of a tensor's bytes, or of _PART bytes at either end."""
    import torch

    flat = full_tensor(tensor).reshape(-1)
    part = _PART // tensor.element_size()
    parts = [flat] if entire or len(flat) <= 2 * part else [flat[:part], flat[-part:]]
    sha = hashlib.sha256()
    for piece in parts:
        sha.update(piece.cpu().contiguous().view(torch.uint8).numpy().data)
    return sha.hexdigest()


def prove(
    model: Any, before: Fingerprint, base_folder: Path, saved: Path, loss: Callable[[], float], rows: int
) -> VerificationEvent:
    """Compares `model` with `before`, then empties its trainable weights, loads those in `saved` and compares `loss`.

    Raises TrainingFailed when no weight changed, a base weight did, or the saved weights do not give the same loss.
    """
    now = fingerprint(model, base_folder)
    trained_loss = loss()
    _reload(model, saved)
    proof = VerificationEvent(
        trainable_tensors=len(now.trained),
        changed_tensors=_differing(before.trained, now.trained),
        base_tensors=len(now.base),
        base_changed=_differing(before.base, now.base),
        base_checked=now.how,
        trained_loss=trained_loss,
        reloaded_loss=loss(),
        rows=rows,
    )
    _insist(proof)
    return proof


def _insist(proof: VerificationEvent) -> None:
    if not proof.changed_tensors:
        raise TrainingFailed(
            "The model learned nothing: none of its weights changed.",
            "The learning rate may be far too small, or there was nothing to learn from.",
            "Raise the learning rate, or look at the examples in the data tab.",
        )
    if proof.base_changed:
        raise TrainingFailed(
            "The base model was changed by the training, which must not happen.",
            f"{proof.base_changed} of its {proof.base_tensors} tensors differ from before.",
            "Run it again; if it happens again, report it with the file log.txt of this run.",
        )
    if not abs(proof.reloaded_loss - proof.trained_loss) <= _SAME * max(1.0, abs(proof.trained_loss)):
        raise TrainingFailed(
            "What was saved is not what was trained.",
            f"Read back, it has a loss of {proof.reloaded_loss:.4f} instead of {proof.trained_loss:.4f}.",
            "Check the disk, then resume the run.",
        )


def _reload(model: Any, saved: Path) -> None:
    import torch
    from safetensors.torch import load_file

    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.zero_()
    if hasattr(model, "peft_config"):
        from peft import get_peft_model_state_dict

        own = get_peft_model_state_dict(model, save_embedding_layers=False)
    else:
        own = model.state_dict()
    for file in sorted(saved.glob("*.safetensors")):
        for name, value in load_file(file).items():
            copy_into(value, own[name])


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> int:
    return sum(before.get(name) != value for name, value in now.items())
