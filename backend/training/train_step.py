"""The gradients of an optimizer step, and the validation loss; both retry with less
when memory runs out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from backend.errors import is_out_of_memory
from backend.hardware import gpu_memory
from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow, sides
from backend.training.collate import Collator, to_device
from backend.training.device import Device
from backend.training.loss import answer_logprobs, preference_loss, token_losses
from backend.training.oom import out_of_memory
from backend.training.sampler import micro_batches, packs

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)
T = TypeVar("T")

OOM_RETRIES = 3  # times that the micro batch is halved before an attempt gives up


class TrainStep:
    """Forward and backward passes over rows (DPO: pairs). micro: rows at a time, halved
    when memory runs out. Packed, as many rows as fit into max_length tokens (DPO: each
    side of them), which is then halved instead.

    on_smaller_batch(title, what) is called when that happens, alive() after each micro
    batch. oom_retries: how often the micro batch may be halved. rewards: DPO's
    `reward_accuracy` and `reward_margin`, means over the last pairs. general_loss: the
    mean loss per learned token of the last general rows, None without any.
    """

    def __init__(
        self,
        collator: Collator,
        device: Device,
        settings: TrainSettings,
        on_smaller_batch: Callable[[str, str], None],
        alive: Callable[[], None],
        oom_retries: int = OOM_RETRIES,
    ) -> None:
        self.micro = settings.per_device_train_batch_size
        self._pack = (
            settings.max_length / self.micro if settings.packing else None
        )  # tokens for each of `micro`
        self.collator, self._device, self._alive = collator, device, alive
        self._on_smaller_batch = on_smaller_batch
        self._beta = settings.beta if settings.trainer == "dpo" else None
        self._oom_retries = oom_retries  # left
        self.rewards: dict[str, float] = {}
        self._rewards: list[dict[str, torch.Tensor]] = []  # of each micro batch
        self.general_loss: float | None = None
        self._general: list[
            torch.Tensor
        ] = []  # of each micro batch, summed over its general rows

    def compute_gradients(
        self,
        model: Any,
        rows: Sequence[TokenRow],
        learn: Callable[[list[TokenRow], float], torch.Tensor],
    ) -> torch.Tensor:
        """Adds the gradients of `rows`, all rows of one optimizer step; returns their
        mean loss per learned token (DPO: per pair). learn(part, count): the gradients
        of a micro batch, added to those before; returns `loss(model, part, count)`.
        Raises OutOfMemory when even the smallest micro batch does not fit.
        """
        return self._retry_on_oom(model, lambda: self._sum(rows, learn))

    def mean_loss(self, model: Any, rows: Sequence[TokenRow]) -> float:
        """The mean loss per learned token (DPO: per pair) of `rows`, without gradients.
        Raises OutOfMemory.
        """
        import torch

        model.eval()
        with torch.no_grad():
            return float(
                self._retry_on_oom(
                    model, lambda: self._sum(rows, partial(self.loss, model))
                )
            )

    def answer_logprobs(
        self, model: Any, pairs: Sequence[TokenRow]
    ) -> list[list[float]]:
        """The log-probabilities (nats) of the better and the worse answer of each of
        `pairs` under `model`. Raises OutOfMemory.
        """
        import torch

        def work() -> list[list[float]]:
            logprobs: list[list[float]] = []
            for start in range(0, len(pairs), self.micro):
                with self._device.autocast():
                    both = answer_logprobs(
                        model, self.collator(sides(pairs[start : start + self.micro]))
                    )
                logprobs += both.view(2, -1).t().tolist()
                self._alive()
            return logprobs

        model.eval()
        with torch.no_grad():
            return self._retry_on_oom(model, work)

    def loss(self, model: Any, part: Sequence[TokenRow], count: float) -> torch.Tensor:
        """The share of a micro batch in the mean loss over `count` learned tokens (DPO:
        pairs), differentiable.
        """
        import torch

        with self._device.autocast():
            if self._beta is None:
                batch = self.collator(part)
                losses = token_losses(model, batch)
                if any(row.general for row in part):
                    general = to_device(
                        torch.tensor([row.general for row in part]), self._device.kind
                    )
                    self._general.append(
                        (losses.detach() * general[batch.owners]).sum()
                    )
                return losses.sum() / count
            loss, rewards = preference_loss(
                model, self.collator(sides(part)), part, self._beta
            )
        self._rewards.append(rewards)
        return loss / count

    def _sum(
        self,
        rows: Sequence[TokenRow],
        loss: Callable[[list[TokenRow], float], torch.Tensor],
    ) -> torch.Tensor:
        """The sum of `loss` over the micro batches of `rows`."""
        import torch

        count = max(
            1, sum(row.learned for row in rows) if self._beta is None else len(rows)
        )
        self._rewards.clear()
        self._general.clear()
        total = torch.zeros((), device=self._device.kind)
        for part in self._parts(rows):
            total += loss(part, float(count))
            self._alive()
        names = self._rewards[0] if self._rewards else ()
        self.rewards = {
            name: sum(float(part[name]) for part in self._rewards) / count
            for name in names
        }
        general = sum(row.learned for row in rows if row.general)
        self.general_loss = (
            sum(map(float, self._general)) / general if general else None
        )
        return total

    def _parts(self, rows: Sequence[TokenRow]) -> list[list[TokenRow]]:
        """`rows` as micro batches. General rows lack the prefix that the examples
        share, so they get their own.
        """
        kinds = {row.general for row in rows}
        if self.collator.share_prefix and len(kinds) > 1:
            alike = (
                [row for row in rows if row.general == kind] for kind in sorted(kinds)
            )
            return [part for some in alike for part in self._parts(some)]
        lengths, numbers = [row.longest for row in rows], range(len(rows))
        if self._pack is None:
            parts = micro_batches(numbers, lengths, self.micro)
        else:
            parts = packs(numbers, lengths, round(self._pack * self.micro))
        return [[rows[number] for number in part] for part in parts]

    def _retry_on_oom(self, model: Any, work: Callable[[], T]) -> T:
        """Runs `work`, from its start again with half the micro batch each time memory
        runs out.
        """
        while True:
            try:
                return work()
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                log.warning(
                    "out of memory with %s rows at a time: %s", self.micro, error
                )
            self._halve_micro_batch(model)

    def _halve_micro_batch(self, model: Any) -> None:
        model.zero_grad(set_to_none=True)
        gpu_memory.release(self._device.kind)
        if self.micro == 1 or not self._oom_retries:
            raise out_of_memory()
        self._oom_retries -= 1
        before, self.micro = self.micro, -(-self.micro // 2)
        self._on_smaller_batch(
            "Low on memory",
            f"Training continues with {self.micro} instead of {before} examples at a time. Each step still uses the "
            "same examples, so the result is the same; it takes a little longer.",
        )
