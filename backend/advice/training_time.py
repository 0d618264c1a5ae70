"""How long training other models on the same examples would take, to compare them."""

from __future__ import annotations

from typing import Any

from backend.advice.settings import ChosenSettings, Data, precision_for, trained_tokens
from backend.estimate import Rates, Time, plan_from
from backend.estimate.speed import time
from backend.models.catalogue import Entry
from backend.records.machine import Hardware, nvidia_gpu


def expected_time(
    entry: Entry, smallest: ChosenSettings, hardware: Hardware, data: Data, rates: Rates | None
) -> Time | None:
    """About the time of training `entry` on all examples; None while they or the machine's speed are unknown.

    entry: the model
    smallest: the settings that need the least memory
    hardware: the machine
    data: what is known about the examples
    rates: the machine's measured speed; None if it was not measured

    The settings are assumed from the memory that the smallest leave free: `choose_settings` would take three times as
    long as the whole rest of the comparison. For all models that fit on seven machines, the time was 0.6 to 1.4 times
    that of the chosen settings.
    """
    settings = smallest.settings.changed(**_assumed(smallest, hardware))
    plan = plan_from(settings, precision_for(hardware), longest=data.longest)
    if data.learned_share:
        plan = plan.model_copy(update={"learned_share": min(1.0, data.learned_share)})
    tokens = trained_tokens(data, settings)
    return None if tokens is None else time(entry.architecture, plan, hardware, tokens, rates)


def _assumed(smallest: ChosenSettings, hardware: Hardware) -> dict[str, Any]:
    """Whole batches without checkpointing where half of the memory would stay free; else with checkpointing on a GPU,
    two rows at a time on a processor. Weights in 16 bits where they need no more memory or half stays free."""
    whole, fit = smallest.settings.effective_batch, smallest.estimate.fit
    gpu, ample = nvidia_gpu(hardware) is not None, 2 * fit.needs_mib <= fit.has_mib
    micro = whole if ample or gpu else 2
    sixteen_bits = not gpu and (ample or precision_for(hardware) == "bf16")
    return {
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": whole // micro,
        "gradient_checkpointing": gpu and not ample,
        "method": "lora" if sixteen_bits else smallest.settings.method,
    }
