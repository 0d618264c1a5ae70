"""The complete state of a run, to resume exactly, as safetensors and JSON. No pickle is
written or read. The position in the data is not saved: the rows of a step follow from
the seed and the step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.files.disk_errors import disk_errors
from backend.files.json_file import read_json
from backend.training.model import trainable

if TYPE_CHECKING:
    import torch

WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
RNG = "rng.safetensors"
STATE = "state.json"


@dataclass
class Metrics:
    """The metrics of a run so far, saved in every checkpoint so that a resumed run
    continues them. Losses are means over learned tokens (DPO: over pairs); seconds are
    those of training steps only.
    """

    first_eval_loss: float | None = None
    eval_loss: float | None = None  # the latest
    eval_step: int | None = None  # its step
    best_loss: float | None = None
    best_step: int | None = None
    rewards: dict[str, float] = field(
        default_factory=dict
    )  # DPO's reward metrics at the latest loss
    best_rewards: dict[str, float] = field(default_factory=dict)  # and at the best
    stale: int = 0  # evaluations since the best loss
    epoch_loss: float = 0.0  # sum over the steps of the current epoch
    epoch_steps: int = 0
    tokens: int = 0
    learned_tokens: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0  # seconds of the whole run up to the checkpoint, all attempts, without pauses

    def add_step(self, loss: float, first_of_epoch: bool) -> None:
        """Adds the loss of a step."""
        if first_of_epoch:
            self.epoch_loss, self.epoch_steps = 0.0, 0
        self.epoch_loss += loss
        self.epoch_steps += 1

    def add_evaluation(
        self, step: int, loss: float, rewards: dict[str, float], *, chooses: bool
    ) -> None:
        """Adds a validation loss, with DPO's reward metrics. chooses: whether it may
        choose the best step.
        """
        self.eval_loss, self.eval_step, self.rewards = loss, step, dict(rewards)
        if step == 0:
            self.first_eval_loss = loss
        elif chooses and self.best_loss is not None and not loss < self.best_loss:
            self.stale += 1
        elif chooses:
            self.best_loss, self.best_step, self.best_rewards, self.stale = (
                loss,
                step,
                self.rewards,
                0,
            )

    @property
    def train_loss(self) -> float | None:
        """The mean over the steps of the current epoch (after training: the last)."""
        return self.epoch_loss / self.epoch_steps if self.epoch_steps else None

    def per_second(self, count: int) -> float:
        return count / self.seconds if self.seconds else 0.0


def write(folder: Path, trainer: Any, metrics: Metrics) -> None:
    """Writes the state of `trainer` and `metrics` into `folder`. Raises OSError."""
    optimizer = trainer.optimizer.state_dict()
    moments = {
        f"{at}.{name}": value
        for at, values in optimizer["state"].items()
        for name, value in _flat(values)
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
    _save(
        folder / RNG,
        {name: generator.get_rng_state() for name, generator in _generators().items()},
    )
    (folder / STATE).write_text(json.dumps(state), "utf-8")


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    """The optimizer's state of a weight as tensors by name; bitsandbytes has numbers
    and a dict of tensors in it.
    """
    import torch

    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value)
        elif isinstance(value, torch.Tensor):
            yield (
                name,
                value.clone() if name.startswith("qmap") else value,
            )  # which all weights share
        else:
            yield name, torch.tensor(value, dtype=torch.int64)


def read_metrics(checkpoint: Path) -> Metrics:
    """The run's metrics at `checkpoint`."""
    names = {field.name for field in fields(Metrics)}
    return Metrics(
        **{
            name: value
            for name, value in read_json(checkpoint / STATE)["metrics"].items()
            if name in names
        }
    )


def load_weights(checkpoint: Path, model: Any) -> None:
    """Loads the trainable weights of `checkpoint` into `model`. Raises ValueError when
    the names differ.
    """
    import torch
    from safetensors.torch import load_file

    saved, wanted = load_file(checkpoint / WEIGHTS), trainable(model)
    if saved.keys() != wanted.keys():
        raise ValueError(
            "the checkpoint does not hold the weights that this model trains"
        )
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(saved[name])


def load_optimizer(checkpoint: Path, trainer: Any) -> None:
    """Loads the states of the optimizer, the schedule and (in fp16) the scaler of
    `checkpoint` into `trainer`.
    """
    import torch
    from safetensors.torch import load_file

    state = read_json(checkpoint / STATE)
    moments: dict[int, dict[str, torch.Tensor | int]] = {}
    for name, value in load_file(checkpoint / OPTIMIZER).items():
        index, _, field = name.partition(".")
        whole = value.dtype is torch.int64  # a number of bitsandbytes
        # A copy, because the optimizer would keep the file mapped, and Windows could
        # not delete the checkpoint.
        moments.setdefault(int(index), {})[field] = (
            int(value) if whole else value.clone()
        )
    trainer.optimizer.load_state_dict(
        {"state": moments, "param_groups": state["groups"]}
    )
    trainer.lr_scheduler.load_state_dict(state["scheduler"])
    if state["scaler"]:
        trainer.accelerator.scaler.load_state_dict(state["scaler"])


def load_random_state(checkpoint: Path) -> None:
    """Restores torch's random generators to their states at `checkpoint`."""
    from safetensors.torch import load_file

    states = load_file(checkpoint / RNG)
    for name, generator in _generators().items():
        if name in states:
            generator.set_rng_state(states[name])


def _generators() -> dict[str, Any]:
    """The modules with random states, by device. The 0 is a process's: older
    checkpoints may have those of more.
    """
    import torch

    has = {
        "cuda.0": torch.cuda.is_available(),
        "mps.0": torch.backends.mps.is_available(),
    }
    every = {"cpu.0": torch, "cuda.0": torch.cuda, "mps.0": torch.mps}
    return {name: module for name, module in every.items() if has.get(name, True)}


def _save(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    with disk_errors():
        save_file(
            {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
            path,
        )
