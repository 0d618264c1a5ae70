"""The complete state of a run, to resume exactly, as safetensors and JSON. No pickle is written or read. The position
in the data is not saved: the rows of a step follow from the seed and the step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.files.disk_errors import disk_errors
from backend.files.json_file import loads
from backend.training.model import trainable
from backend.training.state.metrics import Metrics

if TYPE_CHECKING:
    import torch

WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
RNG = "rng.safetensors"
STATE = "state.json"


def write(folder: Path, trainer: Any, metrics: Metrics) -> None:
    """Writes the state of `trainer` and `metrics` into `folder`. Raises OSError."""
    optimizer = trainer.optimizer.state_dict()
    moments = {
        f"{index}.{name}": value for index, values in optimizer["state"].items() for name, value in _flat(values)
    }
    scaler = getattr(trainer.accelerator, "scaler", None)
    state = {
        "groups": optimizer["param_groups"],
        "scheduler": trainer.lr_scheduler.state_dict(),
        "scaler": scaler.state_dict() if scaler else None,
        "metrics": asdict(metrics),
    }
    _save(folder / WEIGHTS, trainable(trainer.model))
    _save(folder / OPTIMIZER, moments)
    _save(folder / RNG, _random_states())
    (folder / STATE).write_text(json.dumps(state), "utf-8")


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """The optimizer's state of a weight as tensors by name; bitsandbytes has numbers and a dict of tensors in it."""
    import torch

    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif isinstance(value, torch.Tensor):
            yield name, value.clone() if name.startswith("qmap") else value  # which all weights share
        else:
            yield name, torch.tensor(value, dtype=torch.int64)


def read_metrics(checkpoint: Path) -> Metrics:
    """The run's metrics at `checkpoint`."""
    names = {field.name for field in fields(Metrics)}
    return Metrics(**{name: value for name, value in _state(checkpoint)["metrics"].items() if name in names})


def load_weights(checkpoint: Path, model: Any) -> None:
    """Loads the trainable weights of `checkpoint` into `model`. Raises ValueError when the names differ."""
    import torch
    from safetensors.torch import load_file

    saved, wanted = load_file(checkpoint / WEIGHTS), trainable(model)
    if saved.keys() != wanted.keys():
        raise ValueError("the checkpoint does not hold the weights that this model trains")
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(saved[name])


def load_optimizer(checkpoint: Path, trainer: Any) -> None:
    """Loads the states of the optimizer, the schedule and (in fp16) the scaler of `checkpoint` into `trainer`."""
    import torch
    from safetensors.torch import load_file

    state = _state(checkpoint)
    moments: dict[int, dict[str, torch.Tensor | int]] = {}
    for name, value in load_file(checkpoint / OPTIMIZER).items():
        index, _, field = name.partition(".")
        whole = value.dtype is torch.int64  # a number of bitsandbytes
        # A copy, because the optimizer would keep the file mapped, and Windows could not delete the checkpoint.
        moments.setdefault(int(index), {})[field] = int(value) if whole else value.clone()
    trainer.optimizer.load_state_dict({"state": moments, "param_groups": state["groups"]})
    trainer.lr_scheduler.load_state_dict(state["scheduler"])
    if state["scaler"]:
        trainer.accelerator.scaler.load_state_dict(state["scaler"])


def load_random_state(checkpoint: Path) -> None:
    """Restores torch's random generators to their states at `checkpoint`."""
    import torch
    from safetensors.torch import load_file

    states = load_file(checkpoint / RNG)
    if "cpu.0" in states:
        torch.set_rng_state(states["cpu.0"])
    if "cuda.0" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda.0"])
    if "mps.0" in states and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps.0"])


def _random_states() -> dict[str, torch.Tensor]:
    """The random states, by device. The 0 is a process's: older checkpoints may have those of more."""
    import torch

    states = {"cpu.0": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda.0"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        states["mps.0"] = torch.mps.get_rng_state()
    return states


def _save(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    with disk_errors():
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)


def _state(checkpoint: Path) -> dict[str, Any]:
    state: dict[str, Any] = loads((checkpoint / STATE).read_text("utf-8"))
    return state
