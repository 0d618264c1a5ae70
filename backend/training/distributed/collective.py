"""Collective operations: all processes of a group call them in the same order. process_group.py starts a group."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """rank: the number of this process, from 0. size: the number of processes. sharded: whether they divide the model
    among them, and so make every pass through it together. finished: set when nobody needs to wait for the others."""

    rank: int = 0
    size: int = 1
    sharded: bool = False
    finished: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def is_main(self) -> bool:
        """Whether this process reports and saves."""
        return self.rank == 0

    def share(self, rows: Sequence[T]) -> Sequence[T]:
        """This process's part of `rows`: every `size`-th, so that sorted rows are shared evenly."""
        return rows[self.rank :: self.size]

    def all_reduce(self, *tensors: torch.Tensor) -> None:
        """Replaces each of `tensors` by its sum over all processes."""
        if self.size > 1:
            import torch.distributed as dist

            for tensor in tensors:
                dist.all_reduce(tensor)

    def all_gather(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """`tensor` of every process, by rank; its shape must be the same in all."""
        if self.size == 1:
            return [tensor]
        import torch
        import torch.distributed as dist

        gathered = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(gathered, tensor)
        return gathered

    def reduce_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Gives every process the sum of the gradients; a process that had no rows adds zeros."""
        if self.size > 1 and not self.sharded:  # a sharded model adds them up as they are computed
            import torch

            for parameter in parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                self.all_reduce(parameter.grad)

    def any_true(self, value: bool) -> bool:
        """Whether `value` is true in any process; the same answer for all."""
        if self.size == 1:
            return value
        import torch

        votes = torch.tensor(float(value), device=_device())
        self.all_reduce(votes)
        return bool(votes > 0)

    def passes(self, own: int) -> int:
        """How many passes through the model this process makes for its `own`: with a sharded model, as many as the
        process that has the most."""
        if not self.sharded:
            return own
        import torch
        import torch.distributed as dist

        most = torch.tensor(own, device=_device())
        dist.all_reduce(most, dist.ReduceOp.MAX)
        return int(most)


SINGLE_PROCESS = ProcessGroup()


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
