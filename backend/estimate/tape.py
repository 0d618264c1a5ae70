"""Tensors with a size but no content, and PyTorch's autograd for them: what is saved,
and for how long.

A training step written with them allocates and frees memory in PyTorch's order. A
tensor's memory is freed when Python drops the last reference to it, as in PyTorch
itself.

The rules are those of torch/csrc/autograd (engine.cpp: of the ready nodes, the newest
runs first; a first gradient is taken over, a second one is added) and of
torch/utils/checkpoint.py (`use_reentrant=False`: saved tensors are dropped in the
forward pass; the first one that is needed runs the block again, up to the last saved
tensor).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import TypeAlias

from backend.estimate.allocator import Allocator, Block, Heap

Backward = Callable[["Tensor"], "list[Tensor | None]"]
# The memory of a tensor saved for the backward pass, or how a checkpointed block
# computes it again.
Saved: TypeAlias = "Storage | partial[Storage | None] | None"


class Meter:
    """An allocator that also tracks what the bytes are for; `parts` has them by name at
    the peak. written: bytes of all tensors created, a measure of the memory traffic.
    """

    def __init__(self, allocator: Allocator | Heap) -> None:
        self.allocator = allocator
        self.part = "weights"
        self.live: dict[str, int] = defaultdict(int)
        self.parts: dict[str, int] = {}
        self.written = 0
        self._noted = 0

    def give(self, block: Block, part: str) -> None:
        allocator = self.allocator
        if allocator.allocated > self._noted:
            self._noted = allocator.allocated
            self.parts = dict(self.live)
        self.live[part] -= block.size
        allocator.release(block)

    @contextmanager
    def purpose(self, part: str) -> Iterator[None]:
        """Tensors created inside count as `part`."""
        outer, self.part = self.part, part
        try:
            yield
        finally:
            self.part = outer


class Storage:
    """Allocated bytes; freed when nothing refers to them."""

    __slots__ = ("block", "meter", "part")

    def __init__(self, meter: Meter, size: int) -> None:
        self.meter, self.part = meter, meter.part
        meter.written += size
        self.block = meter.allocator.allocate(size)
        meter.live[self.part] += self.block.size

    def __del__(self) -> None:
        self.meter.give(self.block, self.part)

    def rename(self, part: str) -> None:
        """Count the bytes as `part` from now on."""
        live = self.meter.live
        live[self.part] -= self.block.size
        live[part] += self.block.size
        self.part = part


class Tensor:
    """`count` numbers of `width` bytes each; `node` computes its gradient, None if it
    needs none.
    """

    __slots__ = ("count", "node", "storage", "width")

    def __init__(
        self, storage: Storage, count: int, width: int, node: Node | None = None
    ) -> None:
        self.storage, self.count, self.width, self.node = storage, count, width, node


class Node:
    """A step of the backward pass; its results go to the nodes in `after`."""

    __slots__ = ("after", "backward", "order", "part", "saved")

    def __init__(
        self,
        order: float,
        after: list[Node | None],
        saved: list[Saved],
        backward: Backward,
        part: str,
    ):
        self.order, self.after, self.saved, self.backward, self.part = (
            order,
            after,
            saved,
            backward,
            part,
        )

    def __lt__(self, other: Node) -> bool:
        return self.order > other.order


class Leaf(Node):
    """The end of a gradient, which stays there: a trained parameter, or the input of
    the first layer.
    """

    __slots__ = ("gradient", "of")

    def __init__(self, of: Storage) -> None:
        super().__init__(float("inf"), [], [], lambda _gradient: [], "gradients")
        self.of = of
        self.gradient: Tensor | None = None

    def keep(self, gradient: Tensor) -> None:
        """Take over the first gradient; later ones are added in place."""
        if self.gradient is None:
            gradient.storage.rename("gradients")
            self.gradient = gradient


class _AllSaved(Exception):
    """Ends a recomputation early; used inside this module only."""


class Checkpoint:
    """A block of layers whose saved tensors are dropped and computed again (gradient
    checkpointing).
    """

    def __init__(
        self, tape: Tape, block: Callable[[Tensor], Tensor], argument: Tensor
    ) -> None:
        self.tape, self._block, self._argument = tape, block, argument
        self.saves = 0
        self._again: dict[int, Storage | None] | None = None

    def recall(self, index: int) -> Storage | None:
        if self._again is None:
            self._again = {}
            with self.tape.recomputing(self), suppress(_AllSaved):
                self._block(self._argument)
        return self._again.pop(index)

    def keep(self, index: int, storage: Storage | None) -> None:
        assert self._again is not None
        self._again[index] = storage
        if index + 1 == self.saves:
            raise _AllSaved


class Tape:
    """Creates tensors and records how their gradients are computed."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._order = count()
        self._dropping: Checkpoint | None = None
        self._keeping: Checkpoint | None = None
        self._kept = 0

    def new(self, count: int, width: int) -> Tensor:
        return Tensor(Storage(self.meter, count * width), count, width)

    def leaf(self, tensor: Tensor) -> Tensor:
        tensor.node = Leaf(tensor.storage)
        return tensor

    def save(self, tensor: Tensor | None) -> Saved:
        """Save `tensor` for the backward pass; None stands for one that needs no extra
        memory (a weight).
        """
        storage = None if tensor is None else tensor.storage
        if self._dropping is not None:
            self._dropping.saves += 1
            return partial(self._dropping.recall, self._dropping.saves - 1)
        if self._keeping is not None:
            self._kept += 1
            self._keeping.keep(self._kept - 1, storage)
        return storage

    def record(
        self,
        out: Tensor | tuple[int, int],
        inputs: Sequence[Tensor | None],
        needed: Sequence[Tensor | None],
        backward: Backward,
    ) -> Tensor:
        """Record that `out` was computed from `inputs`, if one of them needs a gradient
        or there are none; returns it.

        out: also its count and width, if it is created once the tensors that it needs
            were saved
        needed: the tensors that are saved
        backward: returns a gradient for each of the inputs
        """
        after = [tensor.node if tensor is not None else None for tensor in inputs]
        records = any(after) or not inputs
        saved = [self.save(tensor) for tensor in needed] if records else []
        result = self.new(*out) if isinstance(out, tuple) else out
        if records:
            result.node = Node(
                next(self._order), after, saved, backward, self.meter.part
            )
        return result

    def checkpoint(self, block: Callable[[Tensor], Tensor], argument: Tensor) -> Tensor:
        """`block(argument)`; its saved tensors are dropped, and computed again when
        they are needed.
        """
        self._dropping = Checkpoint(self, block, argument)
        try:
            return block(argument)
        finally:
            self._dropping = None

    @contextmanager
    def recomputing(self, block: Checkpoint) -> Iterator[None]:
        self._keeping, self._kept = block, 0
        try:
            yield
        finally:
            self._keeping = None

    def backward(self, end: Tensor) -> None:
        """Run the backward pass from `end` (a loss) to the leaves."""
        assert end.node is not None
        gradients = {end.node: self.new(1, 4)}
        ready = [end.node]
        outer = self.meter.part
        while ready:
            self._run(heapq.heappop(ready), gradients, ready)
        self.meter.part = outer

    def _run(
        self, node: Node, gradients: dict[Node, Tensor], ready: list[Node]
    ) -> None:
        if isinstance(node, Leaf):
            node.keep(gradients.pop(node))
            return
        self.meter.part = node.part
        saved = [
            entry() if isinstance(entry, partial) else entry for entry in node.saved
        ]
        results = node.backward(gradients.pop(node))
        node.saved = []
        del saved
        for target, gradient in zip(node.after, results, strict=True):
            if target is None or gradient is None:
                continue
            if target in gradients:
                first = gradients.pop(target)
                gradients[target] = self.new(first.count, first.width)
                del first
            else:
                gradients[target] = gradient
                heapq.heappush(ready, target)
