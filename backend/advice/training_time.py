"""How long training a model on the examples would take, to compare models; and what
makes it shorter.
"""

import math
from typing import Any, NamedTuple

from backend.advice.ranking import in_time
from backend.advice.settings import (
    ChosenSettings,
    Data,
    least_memory,
    least_steps,
    precision_for,
    trained_tokens,
)
from backend.datasets.split import split_sizes
from backend.estimate import Rates, Time, plan_from
from backend.estimate.speed import time as time_of
from backend.models.catalogue import Entry
from backend.records.machine import Hardware, nvidia_gpu
from backend.records.specs import TrainSettings

TYPICAL_ROWS, TYPICAL_TOKENS = (
    60,
    100,
)  # examples, and tokens of each: assumed until there are examples
_SHORT = 25 * 60.0  # seconds of a run that is made shorter


class Shorter(NamedTuple):
    """A way to train in less time. seconds: about what it then takes."""

    epochs: float
    words: str
    seconds: float


def shorter_epochs(
    settings: TrainSettings, rows: int, seconds: float
) -> tuple[float, str] | None:
    """The epochs with which training takes about 25 minutes, but no fewer than give it
    enough steps, and words for them; None where it takes little longer anyway.

    rows: that are trained, without general ones
    seconds: of training with `settings`
    """
    if in_time(seconds) or settings.max_steps > 0:
        return None
    planned = settings.planned_steps(rows + settings.general_rows(rows))
    least = least_steps(settings.learning_rate) / planned
    wanted = settings.num_train_epochs * max(_SHORT / seconds, least)
    epochs = math.ceil(100 * wanted) / 100
    if epochs >= settings.num_train_epochs:
        return None
    words = f"{epochs:g} {'pass' if epochs == 1 else 'passes'} over the examples"
    if epochs < 1:
        words = f"{round(epochs * rows):,} of the {rows:,} examples, each read once"
    return epochs, words


def shorter(entry: Entry, chosen: ChosenSettings, data: Data) -> Shorter | None:
    """How to train `entry` in less time, see `shorter_epochs`; None also while the
    examples or the machine's speed are unknown.
    """
    settings, time = chosen.settings, chosen.estimate.time
    if data.rows is None or data.tokens is None or time is None:
        return None
    rows = data.train_rows or split_sizes(data.rows)[0]
    fewer = shorter_epochs(settings, rows, time.seconds)
    if fewer is None:
        return None
    epochs, words = fewer
    tokens = trained_tokens(entry, data, settings.changed(num_train_epochs=epochs)) or 0
    saved = (time.tokens - tokens) / time.tokens_per_second
    return Shorter(epochs, words, time.seconds - saved)


def typical(data: Data) -> Data:
    """`data`, where examples whose number or length is unknown count as `TYPICAL_ROWS`
    short ones.
    """
    if data.tokens is not None:
        return data
    rows = data.rows or TYPICAL_ROWS
    short = {
        "rows": rows,
        "tokens": rows * TYPICAL_TOKENS,
        "longest": 2 * TYPICAL_TOKENS,
        "learned_share": 0.5,
    }
    return data.model_copy(update=short)


def expected_time(
    entry: Entry,
    least: ChosenSettings,
    hardware: Hardware,
    data: Data,
    rates: Rates | None,
) -> Time | None:
    """About the time of training `entry` on all examples; None while they or the
    machine's speed are unknown. The settings are assumed from the memory that the
    `least` leave free: `choose_settings` would take three times as long as the whole
    rest of the comparison. For all models that fit on seven machines, the time was 0.6
    to 1.4 times that of the chosen settings.
    """
    settings = least.settings.changed(**_assumed(least, hardware))
    plan = plan_from(
        settings,
        precision_for(hardware),
        longest=data.longest,
        learned_share=data.learned_share,
    )
    tokens = trained_tokens(entry, data, settings)
    return (
        None
        if tokens is None
        else time_of(entry.architecture, plan, hardware, tokens, rates)
    )


def processor_seconds(
    entry: Entry, hardware: Hardware, data: Data, rates: Rates | None
) -> float | None:
    """About the seconds of training `entry` on a processor, without examples for those
    of `typical`. None on a GPU, where the speed is unknown, and for models whose work
    is not modeled.
    """
    if rates is None or nvidia_gpu(hardware) or hardware.unified_memory:
        return None
    data = typical(data)
    expected = expected_time(
        entry, least_memory(entry, hardware, data, rates), hardware, data, rates
    )
    return expected.seconds if expected else None


def _assumed(smallest: ChosenSettings, hardware: Hardware) -> dict[str, Any]:
    """Whole batches without checkpointing where half of the memory would stay free;
    else with checkpointing on a GPU, two rows at a time on a processor. Weights in 16
    bits where they need no more memory or half stays free.
    """
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
