"""What the processes of a team do together. Each asks for it in the same order; team.py starts them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """rank: the number of this process, from 0. size: how many there are. shards: whether they divide the model among
    them, and so make every pass through it together. over: set when nobody is waited for."""

    rank: int = 0
    size: int = 1
    shards: bool = False
    over: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def leads(self) -> bool:
        """Whether this is the process that tells and saves."""
        return self.rank == 0

    def share(self, rows: Sequence[T]) -> Sequence[T]:
        """This process's part of `rows`: every `size`-th, so that sorted ones are shared evenly."""
        return rows[self.rank :: self.size]

    def add_up(self, *tensors: torch.Tensor) -> None:
        """Puts the sum over all processes into each of `tensors`."""
        if self.size > 1:
            import torch.distributed as dist

            for tensor in tensors:
                dist.all_reduce(tensor)

    def each(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """`tensor` of every process, by rank; of one shape in all."""
        if self.size == 1:
            return [tensor]
        import torch
        import torch.distributed as dist

        all_of_them = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(all_of_them, tensor)
        return all_of_them

    def add_up_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Puts the sum of the gradients into every process, nothing where a process had no rows."""
        if self.size > 1 and not self.shards:  # those of a divided model are added up as they are made
            import torch

            for parameter in parameters:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                self.add_up(parameter.grad)

    def agreed(self, wish: bool) -> bool:
        """Whether any process wishes it; the same answer for all."""
        if self.size == 1:
            return wish
        import torch

        votes = torch.tensor(float(wish), device=_kind())
        self.add_up(votes)
        return bool(votes > 0)

    def passes(self, own: int) -> int:
        """How many passes through the model this process makes to do its `own`: where it is divided, as many as the
        process with the most."""
        if not self.shards:
            return own
        import torch
        import torch.distributed as dist

        most = torch.tensor(own, device=_kind())
        dist.all_reduce(most, dist.ReduceOp.MAX)
        return int(most)


ALONE = Team()


def _kind() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
