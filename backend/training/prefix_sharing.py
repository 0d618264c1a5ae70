"""Whether the prefix that all rows share can be read once per batch: tried on the model itself.

Nearly all datasets repeat a system message. Reading it once per batch gives the same result as reading it for each
row, as long as the model uses plain attention through a cache of keys and values. So each run compares both ways
before it relies on this."""

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

_TOLERANCE = {"fp32": 1e-4, "bf16": 1e-2, "fp16": 1e-2}  # relative difference of losses due to rounding
_TEST_ROWS = 2


def with_prefix_sharing(
    collator: Collator, model: Any, rows: Sequence[TokenRow], settings: TrainSettings, device: Device
) -> Collator:
    """`collator`, sharing prefixes if that is exact for `model` and these settings. Not with dropout (each row has
    its own), nor with gradient checkpointing (which allows no cache). collator: of the run, without sharing. model:
    ready for training. rows: the training rows, the first of which are tried. settings: of the run. device: whose
    precision decides what counts as the same loss."""
    dropout = settings.lora_dropout or getattr(model.config, "attention_dropout", 0)
    if collator.packed or collator.masked or dropout or settings.gradient_checkpointing:
        return collator
    sharing = replace(collator, share_prefix=True)
    return sharing if is_exact(model, sharing, rows[:_TEST_ROWS], device) else collator


def is_exact(model: Any, sharing: Collator, rows: Sequence[TokenRow], device: Device) -> bool:
    """Whether `rows` share a prefix, and `model` gives them the same loss with and without sharing it. model: ready
    for training. sharing: the collator with sharing. rows: a few training rows. device: whose precision decides what
    counts as the same."""
    import torch

    if common_prefix(rows) < MIN_SHARED_PREFIX:
        return False
    model.eval()
    try:
        with torch.no_grad(), device.autocast():
            separate = summed_loss(model, replace(sharing, share_prefix=False)(rows)).item()
            shared = summed_loss(model, sharing(rows)).item()
    except Exception:  # a family may fail in any way on a cache that it does not support
        log.info("prefixes are not shared: the model failed", exc_info=True)
        return False
    same = abs(separate - shared) <= _TOLERANCE[device.precision] * abs(separate)
    log.info("prefixes are %s: loss %s separate, %s shared", "shared" if same else "not shared", separate, shared)
    return same
