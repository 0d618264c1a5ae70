"""Verification after a run: only the weights that should change did, and the saved
weights are the trained ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import TrainingFailed
from backend.files import manifest
from backend.records.events import VerificationEvent
from backend.records.units import GIB, MIB
from backend.training.model import trainable
from backend.training.state import result

if TYPE_CHECKING:
    import torch

_HASHED_WHOLE_UP_TO = (
    2 * GIB
)  # bytes of all base weights; above that, only the ends of each tensor are hashed
_TOLERANCE = 1e-4  # relative difference of two equal losses: GPUs add in varying order


@dataclass(frozen=True)
class Fingerprint:
    """SHA-256 of each weight, by name. how: how much of the base was hashed, in words."""

    trained: dict[str, str]
    base: dict[str, str]
    how: str


def fingerprint(model: Any, base_folder: Path) -> Fingerprint:
    """The fingerprint of `model` now. Where all weights are trained, the base is the
    files in `base_folder`.
    """
    still = {
        name: parameter
        for name, parameter in model.named_parameters()
        if not parameter.requires_grad
    }
    trained = {name: digest(parameter) for name, parameter in trainable(model).items()}
    if not still:
        files = {
            file.name: manifest.digest(file)
            for file in sorted(base_folder.glob("*.safetensors"))
        }
        return Fingerprint(trained, files, "the model's files, whole")
    entire = (
        sum(parameter.nbytes for parameter in still.values()) <= _HASHED_WHOLE_UP_TO
    )
    base = {name: digest(parameter, entire=entire) for name, parameter in still.items()}
    how = (
        "every base tensor, whole"
        if entire
        else "1 MiB at either end of every base tensor"
    )
    return Fingerprint(trained, base, how)


def digest(tensor: torch.Tensor, *, entire: bool = True) -> str:
    """The SHA-256 of a tensor's bytes, or of 1 MiB at either end."""
    import torch

    flat = tensor.detach().reshape(-1)
    part = MIB // tensor.element_size()
    parts = [flat] if entire or len(flat) <= 2 * part else [flat[:part], flat[-part:]]
    sha = hashlib.sha256()
    for piece in parts:
        sha.update(piece.cpu().contiguous().view(torch.uint8).numpy().data)
    return sha.hexdigest()


def verify(
    model: Any,
    before: Fingerprint,
    base_folder: Path,
    saved: Path,
    loss: Callable[[], float],
    rows: int,
) -> VerificationEvent:
    """Compares `model` with `before`, then zeroes its trainable weights, loads those in
    `saved` and compares `loss`. Raises TrainingFailed when no weight changed, a base
    weight did, or the saved weights give another loss.

    saved: the folder with the result
    loss: computes the model's loss on the verification rows
    rows: the number of these rows
    """
    import torch

    now = fingerprint(model, base_folder)
    trained_loss = loss()
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.zero_()
    result.load(model, saved)
    event = VerificationEvent(
        trainable_tensors=len(now.trained),
        changed_tensors=_differing(before.trained, now.trained),
        base_tensors=len(now.base),
        base_changed=_differing(before.base, now.base),
        base_checked=now.how,
        trained_loss=trained_loss,
        reloaded_loss=loss(),
        rows=rows,
    )
    _check(event)
    return event


def _check(event: VerificationEvent) -> None:
    if not event.changed_tensors:
        raise TrainingFailed(
            "The model learned nothing: none of its weights changed.",
            "The learning rate may be far too low, or the examples contain nothing to learn.",
            "Raise the learning rate, or check your examples on the Data tab.",
        )
    if event.base_changed:
        raise TrainingFailed(
            "Training changed the base model, which must not happen.",
            f"{event.base_changed} of its {event.base_tensors} tensors differ from before.",
            "Train again. If it happens again, report it with the file log.txt of this run.",
        )
    if not abs(event.reloaded_loss - event.trained_loss) <= _TOLERANCE * max(
        1.0, abs(event.trained_loss)
    ):
        raise TrainingFailed(
            "The saved model differs from the trained one.",
            f"Loaded again, it has a loss of {event.reloaded_loss:.4f} instead of {event.trained_loss:.4f}.",
            "Check the disk, then resume the run.",
        )


def _differing(before: Mapping[str, str], now: Mapping[str, str]) -> int:
    return sum(before.get(name) != value for name, value in now.items())
