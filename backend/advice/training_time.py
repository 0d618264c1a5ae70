"""How long training other models on the same examples would take, to compare them."""

from __future__ import annotations

from backend.advice.settings import ChosenSettings, Data, precision_for
from backend.estimate import Rates, Time, plan_from
from backend.estimate.speed import time
from backend.models.catalogue import Entry
from backend.records.specs import Hardware


def expected_time(
    entry: Entry, smallest: ChosenSettings, hardware: Hardware, data: Data, rates: Rates | None
) -> Time | None:
    """The time of training `entry` on all examples; None while they or the machine's speed are unknown.

    smallest: the settings that need the least memory. If they leave half of it free, whole batches without
    checkpointing are assumed, as `choose_settings` then takes them nearly always; it would simulate each to be sure.
    """
    if data.tokens is None:
        return None
    settings, fit = smallest.settings, smallest.estimate.fit
    if 2 * fit.needs_mib <= fit.has_mib:
        settings = settings.changed(
            per_device_train_batch_size=settings.effective_batch,
            gradient_accumulation_steps=1,
            gradient_checkpointing=False,
        )
    plan = plan_from(settings, precision_for(hardware), longest=data.longest)
    if data.learned_share:
        plan = plan.model_copy(update={"learned_share": min(1.0, data.learned_share)})
    return time(entry.architecture, plan, hardware, data.tokens * settings.num_train_epochs, rates)
