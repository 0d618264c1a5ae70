"""Rows as tensors: the model's inputs, and the positions that are scored, each with its
target token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from backend.records.encoded import IGNORED
from backend.runs.token_rows import TokenRow

if TYPE_CHECKING:
    import torch

# Tokens from which sharing a prefix pays. Bundled model, two cores, batch 8, tokens/s
# without and with sharing: 24 tokens 469 and 460, 54 tokens 568 and 579, 124 tokens 612
# and 739.
MIN_SHARED_PREFIX = 64


@dataclass(frozen=True)
class Batch:
    """inputs: arguments of the model's forward pass, each (rows, length). scored: row
    and column of each position in them whose next token is learned; as numbers, since a
    GPU must be waited for to count what a mask selects. targets: those next tokens.
    owners: the number of the row, of `rows` rows, that each target belongs to. prefix:
    (1, length), tokens that come before every row of `inputs`; None if there are none.
    padded: whether `inputs` are padded.
    """

    inputs: dict[str, torch.Tensor]
    scored: tuple[torch.Tensor, ...]
    targets: torch.Tensor
    owners: torch.Tensor
    rows: int
    prefix: torch.Tensor | None = None
    padded: bool = False


@dataclass(frozen=True)
class Collator:
    """packed: rows are joined into one sequence and kept apart by their positions,
    instead of padded to the longest. masked: an attention mask marks the padding. A
    model that only looks back needs none, since the padding is on the right; without a
    mask, attention takes its fast path. share_prefix: a prefix that all rows have in
    common, such as the system message, is split off and read once.
    """

    pad_id: int
    device: str
    packed: bool = False
    masked: bool = False
    share_prefix: bool = False

    def __call__(self, rows: Sequence[TokenRow]) -> Batch:
        if self.packed:
            return self._joined(rows)
        shared = common_prefix(rows) if self.share_prefix else 0
        if shared < MIN_SHARED_PREFIX:
            return self._padded(rows)
        rest = [
            TokenRow(row.input_ids[shared:], row.labels[shared:], row.learned)
            for row in rows
        ]
        return self._padded(rest, rows[0].input_ids[:shared])

    def _padded(self, rows: Sequence[TokenRow], prefix: Any = None) -> Batch:
        import torch

        padded = partial(torch.nn.utils.rnn.pad_sequence, batch_first=True)
        ids = padded(
            [torch.tensor(row.input_ids).long() for row in rows],
            padding_value=self.pad_id,
        )
        labels = padded(
            [torch.tensor(row.labels).long() for row in rows], padding_value=IGNORED
        )
        mask = padded([torch.ones(row.tokens, dtype=torch.long) for row in rows])
        first = None if prefix is None else torch.tensor(prefix)[None].long()
        inputs = {"input_ids": ids, **({"attention_mask": mask} if self.masked else {})}
        owners = torch.arange(len(rows))[:, None].expand(ids.shape)
        return self._batch(
            len(rows), inputs, labels, owners, first, padded=not bool(mask.all())
        )

    def _joined(self, rows: Sequence[TokenRow]) -> Batch:
        import torch

        ids = torch.cat([torch.tensor(row.input_ids) for row in rows])[None].long()
        positions = torch.cat([torch.arange(row.tokens) for row in rows])[None]
        labels = torch.cat([torch.tensor(row.labels) for row in rows])[None].long()
        labels[positions == 0] = IGNORED  # the first token of a row follows nothing
        owners = torch.repeat_interleave(torch.tensor([row.tokens for row in rows]))[
            None
        ]
        return self._batch(
            len(rows), {"input_ids": ids, "position_ids": positions}, labels, owners
        )

    def _batch(
        self,
        rows: int,
        inputs: dict[str, torch.Tensor],
        labels: torch.Tensor,
        owners: torch.Tensor,
        prefix: torch.Tensor | None = None,
        padded: bool = False,
    ) -> Batch:
        import torch

        following = torch.full_like(labels, IGNORED)
        following[:, :-1] = labels[:, 1:]
        scored = following != IGNORED
        return Batch(
            {name: to_device(tensor, self.device) for name, tensor in inputs.items()},
            tuple(
                to_device(numbers, self.device)
                for numbers in scored.nonzero(as_tuple=True)
            ),
            to_device(following[scored], self.device),
            to_device(owners[scored], self.device),
            rows,
            None if prefix is None else to_device(prefix, self.device),
            padded,
        )


def to_device(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """A copy on `device`, without waiting for a GPU to finish what it is doing."""
    return (
        tensor.pin_memory().to(device, non_blocking=True)
        if device == "cuda"
        else tensor.to(device)
    )


def common_prefix(rows: Sequence[TokenRow]) -> int:
    """Tokens at the start of `rows` that are the same in all, up to but not including
    the token that predicts the first learned one. 0 for a single row.
    """
    import numpy as np

    if len(rows) < 2:
        return 0
    unlearned = min(
        int(np.argmax(row.labels != IGNORED)) if row.learned else row.tokens
        for row in rows
    )
    limit = max(0, unlearned - 1)
    same = (
        np.stack([row.input_ids[:limit] for row in rows]) == rows[0].input_ids[:limit]
    ).all(axis=0)
    return limit if same.all() else int(np.argmin(same))


def needs_mask(config: Any) -> bool:
    """Whether the model does anything but full causal attention; padding is then marked
    to be safe.
    """
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return kinds != {"full_attention"} or bool(getattr(config, "sliding_window", None))
