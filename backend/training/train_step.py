"""One optimizer step's gradients, and the validation loss; both make do with less memory when it runs short."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow, sides
from backend.training.collate import Collator
from backend.training.device import Device
from backend.training.distributed.collective import SINGLE_PROCESS, ProcessGroup
from backend.training.distributed.sharding import reshard
from backend.training.dpo_loss import likelihoods, preference_loss
from backend.training.loss import summed_loss
from backend.training.model import trainable
from backend.training.oom import is_out_of_memory, out_of_memory
from backend.training.sampler import micro_batches, packs

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
T = TypeVar("T")

RESCUES = 3  # times that the micro batch is halved before a run gives up


class TrainStep:
    """Forward and backward passes over rows (of DPO: pairs). micro: rows at a time, halved when memory runs short.
    Packed, as many as fit into max_length tokens (of DPO: each side of them), which is then halved instead.

    tell(title, what, next) is called when that happens, alive() after each micro batch. figures: of the rows learned
    from or tested last, beside the loss: in DPO `reward_accuracy` and `reward_margin`, their means over the pairs.
    rescues: how often the micro batch may be halved.
    """

    def __init__(
        self,
        collator: Collator,
        device: Device,
        settings: TrainSettings,
        tell: Callable[[str, str, str], None],
        alive: Callable[[], None],
        rescues: int = RESCUES,
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        self.micro = settings.per_device_train_batch_size
        self._pack = settings.max_length / self.micro if settings.packing else None  # tokens for each of `micro`
        self.collator, self._device, self._tell, self._alive = collator, device, tell, alive
        self._beta = settings.beta if settings.trainer == "dpo" else None
        self._rescues = 0 if group.sharded else rescues  # left; the others of a divided model would wait for ever
        self.group = group
        self.figures: dict[str, float] = {}

    def learn(self, model: Any, rows: Sequence[TokenRow], backward: Callable[[torch.Tensor], None]) -> torch.Tensor:
        """Adds the gradients of `rows`, all of one optimizer step; gives their mean loss per learned token
        (of DPO: per pair).

        Raises OutOfMemory when even the smallest micro batch does not fit.
        """
        total = self._within_memory(model, lambda: self._learn(model, rows, backward))
        self.group.reduce_gradients(trainable(model).values())
        self.group.all_reduce(total)
        return total

    def mean_loss(self, model: Any, rows: Sequence[TokenRow]) -> float:
        """The mean loss per learned token (of DPO: per pair) of `rows`, not learned from. Raises OutOfMemory."""
        import torch

        model.eval()
        with torch.no_grad():
            total = self._within_memory(model, lambda: self._mean_loss(model, rows))
            reshard(model)
            self.group.all_reduce(total)
            return float(total)

    def likelihoods(self, model: Any, pairs: Sequence[TokenRow]) -> list[list[float]]:
        """For each of `pairs` the log-probability (nats) that `model` gives to the better and to the worse answer.

        Raises OutOfMemory.
        """
        import torch

        def work() -> list[list[float]]:
            found: list[list[float]] = []
            for start in range(0, len(pairs), self.micro):
                with self._device.autocast():
                    both = likelihoods(model, self.collator(sides(pairs[start : start + self.micro])))
                found += both.view(2, -1).t().tolist()
                self._alive()
            return found

        model.eval()
        with torch.no_grad():
            return self._within_memory(model, work)

    def _learn(self, model: Any, rows: Sequence[TokenRow], backward: Callable[[torch.Tensor], None]) -> torch.Tensor:
        import torch

        total = torch.zeros((), device=self._device.kind)
        for loss in self._losses(model, rows):
            backward(loss)
            total += loss.detach()
            self._alive()
        return total

    def _mean_loss(self, model: Any, rows: Sequence[TokenRow]) -> torch.Tensor:
        import torch

        total = torch.zeros((), device=self._device.kind)
        for loss in self._losses(model, rows):
            total += loss
            self._alive()
        return total

    def _losses(self, model: Any, rows: Sequence[TokenRow]) -> Iterator[torch.Tensor]:
        """The losses of the micro batches, which add up to the mean of `rows`."""
        count = max(1, sum(row.learned for row in rows) if self._beta is None else len(rows))
        self.figures = {}
        parts = self._parts(rows)
        for index in range(self.group.passes(len(parts))):
            counts = index < len(parts)  # else it only helps the others of a divided model through theirs
            part = parts[index] if counts else rows[:1]
            with self._device.autocast():
                if self._beta is None:
                    loss = summed_loss(model, self.collator(part))
                else:
                    loss, figures = preference_loss(model, self.collator(sides(part)), part, self._beta)
                    for name, value in figures.items():
                        self.figures[name] = self.figures.get(name, 0.0) + value / count
            yield loss / count if counts else loss * 0

    def _parts(self, rows: Sequence[TokenRow]) -> list[list[TokenRow]]:
        """This process's share of `rows` as micro batches."""
        if self.group.size > 1:
            rows = self.group.share(sorted(rows, key=lambda row: -row.longest))
        lengths, numbers = [row.longest for row in rows], range(len(rows))
        if self._pack is None:
            parts = micro_batches(numbers, lengths, self.micro)
        else:
            parts = packs(numbers, lengths, round(self._pack * self.micro))
        return [[rows[number] for number in part] for part in parts]

    def _within_memory(self, model: Any, work: Callable[[], T]) -> T:
        """`work`, done again from its beginning with half the micro batch as often as memory runs short."""
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                log.warning("out of memory with %s rows at a time: %s", self.micro, error)
            self._make_room(model)

    def _make_room(self, model: Any) -> None:
        model.zero_grad(set_to_none=True)
        self._device.release()
        if self.micro == 1 or not self._rescues:
            raise out_of_memory()
        self._rescues -= 1
        before, self.micro = self.micro, -(-self.micro // 2)
        self._tell(
            "Memory ran short",
            f"The run goes on with {self.micro} examples at a time instead of {before}. Each step still learns from "
            "the same examples, so the result is the same; it takes a little longer.",
            "",
        )
