"""Whether a beginning that rows have in common may be read once for all of them: tried on the model itself.

Nearly all data sets repeat a system message. Read once for each batch, it costs a batch's share of the time. That is
the same as reading it for each row as long as a model looks back with plain attention through a cache of keys and
values, so each run compares both ways before it relies on it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backend.records.specs import TrainSettings
from backend.runs.token_rows import TokenRow
from backend.training.collate import MIN_SHARED_PREFIX, Collator, common_prefix
from backend.training.device import Device
from backend.training.loss import summed_loss

log = logging.getLogger(__name__)

_SAME = {"fp32": 1e-4, "bf16": 1e-2, "fp16": 1e-2}  # relative difference of losses that is rounding
_TRIED = 2  # rows


def with_prefix_sharing(
    collator: Collator, model: Any, rows: Sequence[TokenRow], settings: TrainSettings, device: Device
) -> Collator:
    """`collator`, sharing common beginnings if that is exact for `model` and these settings.

    Not with dropout (each row has its own), nor when activations are computed twice (there is no cache then).
    """
    random = settings.lora_dropout or getattr(model.config, "attention_dropout", 0)
    if collator.packed or collator.masked or random or settings.gradient_checkpointing:
        return collator
    sharing = replace(collator, sharing=True)
    return sharing if is_exact(model, sharing, rows[:_TRIED], device) else collator


def is_exact(model: Any, sharing: Collator, rows: Sequence[TokenRow], device: Device) -> bool:
    """Whether `rows` have a common beginning, and `model` gives them the same loss with and without sharing it."""
    import torch

    if common_prefix(rows) < MIN_SHARED_PREFIX:
        return False
    model.eval()
    try:
        with torch.no_grad(), device.autocast():
            apart = summed_loss(model, replace(sharing, sharing=False)(rows)).item()
            shared = summed_loss(model, sharing(rows)).item()
    except Exception:  # whatever a family makes of a cache that it does not know
        log.info("common beginnings are not shared: the model refuses", exc_info=True)
        return False
    same = abs(apart - shared) <= _SAME[device.precision] * abs(apart)
    log.info("common beginnings are %s: loss %s apart, %s shared", "shared" if same else "not shared", apart, shared)
    return same
