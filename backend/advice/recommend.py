"""Recommends a model for this machine, task and data, and lists the others by how well
they fit.

Sizes by GPU follow the guide: up to 7 or 8 B on 24 GB, below 3.8 B on 12 GB, 2 to 3.8 B
on a T4 and up to 3.8 B on a laptop with 8 GB; a model with published results may be a
little larger. On a processor training may take half an
hour, computed from its measured speed. Within these limits `ranking` decides, mostly by
published results. Every choice is checked with the memory estimate.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from backend.advice import ranking
from backend.advice.ranking import Available, is_sensible
from backend.advice.reasons import obstacle, too_large, traits, why_recommended
from backend.advice.settings import (
    ASSUMED_TOKENS,
    NOTHING_KNOWN,
    Data,
    choose_settings,
    full_fine_tuning,
    least_memory,
    weights_mib,
)
from backend.advice.training_time import expected_time, processor_seconds
from backend.estimate import Estimate, Memory, Rates, Time
from backend.estimate.memory import Badge
from backend.models import catalogue
from backend.models.catalogue import Entry
from backend.records.base import Record
from backend.records.machine import Hardware, nvidia_gpu
from backend.records.machine import available as free
from backend.records.specs import TrainSettings
from backend.records.units import format_sizes


class Option(Record):
    """A model and what it needs on this machine. startable: whether it can be trained
    now, after a download if need be. time: of training it on all examples, None while
    they or the machine's speed are unknown.
    """

    model: Entry
    settings: TrainSettings
    estimate: Estimate
    reasons: tuple[str, ...]
    startable: bool = True
    time: Time | None = None

    @property
    def memory(self) -> Memory:
        return self.estimate.memory

    @property
    def fit(self) -> Badge:
        return self.estimate.fit.badge

    def to_json(self) -> dict[str, Any]:
        """{"model", "fit", "startable", "settings", "estimate", "time",
        "expected_rank", "reasons"}.
        """
        rank = ranking.expected_rank(self.model)
        return {
            "model": self.model.model_dump(mode="json"),
            "fit": self.fit,
            "startable": self.startable,
            "settings": self.settings.model_dump(mode="json"),
            "estimate": self.estimate.to_json(),
            "time": self.time.to_json() if self.time else None,
            "expected_rank": rank if math.isfinite(rank) else None,
            "reasons": list(self.reasons),
        }


class Recommendation(Option):
    """The recommended model. why: setting name to the reason for its value. full: full
    fine-tuning, if anything fits. least_mib: the memory it needs at the least, in
    smaller batches. assumed: the length in tokens that the numbers are for while there
    are no examples, else None. seconds: about how long training takes on a processor
    whose speed was measured, without examples for those of `typical`.
    """

    why: dict[str, str]
    hardware: Hardware
    others: tuple[Option, ...]
    least_mib: float
    assumed: int | None
    full: Estimate | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The keys of `recommend --json`; `reasons` holds those for the model, then
        those for the settings.
        """
        return {
            **super().to_json(),
            "hardware": self.hardware.model_dump(mode="json"),
            "reasons": [*self.reasons, *self.why.values()],
            "why": self.why,
            "least_mib": round(self.least_mib, 1),
            "assumed_tokens": self.assumed,
            "seconds": self.seconds,
            "full_fine_tuning": self.full.to_json() if self.full else None,
            "others": [option.to_json() for option in self.others],
        }


def recommend(
    hardware: Hardware,
    data: Data = NOTHING_KNOWN,
    *,
    available: Available = None,
    model_id: str | Entry | None = None,
    rates: Rates | None = None,
    compare: bool = True,
) -> Recommendation:
    """The model and settings for `hardware`, and the others by how well they fit.
    Raises BadInput for an unknown id.

    available: the ids of the models that are here, if no other can be downloaded
    model_id: the model to use, instead of the best
    compare: list the other models too, which takes seconds
    """
    rank = partial(ranking.sort_key, hardware=hardware, data=data, available=available)
    entries = sorted(catalogue.entries(), key=rank, reverse=True)
    seconds_of = cache(
        partial(processor_seconds, hardware=hardware, data=data, rates=rates)
    )
    requested = catalogue.find(model_id) if isinstance(model_id, str) else model_id
    entry = requested or _choose(entries, hardware, data, available, rates, seconds_of)
    chosen = choose_settings(entry, hardware, data, rates)
    seconds = seconds_of(entry)
    if seconds is not None and data.tokens is not None and chosen.estimate.time:
        seconds = chosen.estimate.time.seconds
    has_gpu = nvidia_gpu(hardware) is not None or hardware.unified_memory
    larger = [] if has_gpu else ranking.better_but_slower(entry, data)
    slower = next(
        (
            other
            for other in larger
            if not ranking.in_time(seconds_of(other))
            and least_memory(other, hardware, data).estimate.fit.badge == "yes"
        ),
        None,
    )
    others = [other for other in entries if compare and other != entry]
    compared = sorted(
        others, key=lambda other: rank(other, seconds=seconds_of(other)), reverse=True
    )

    def order(option: Option) -> tuple[int, bool, bool]:
        slow = not is_sensible(option.model, hardware, seconds_of(option.model))
        return ("yes", "tight", "no").index(option.fit), not option.startable, slow

    startable = (
        other
        for other in entries
        if compare and not (obstacle(other, hardware, available) or other.gated)
    )
    full = (
        needs
        for other in startable
        if (needs := full_fine_tuning(other, hardware, data))
    )
    options = [
        _option(other, hardware, data, available, rates, seconds_of(other))
        for other in compared
    ]
    return Recommendation(
        model=entry,
        settings=chosen.settings,
        estimate=chosen.estimate,
        reasons=why_recommended(
            entry, chosen, hardware, data, available, slower, seconds
        ),
        startable=obstacle(entry, hardware, available) == "",
        time=None if data.tokens is None else chosen.estimate.time,
        why=chosen.why,
        hardware=hardware,
        least_mib=least_memory(entry, hardware, data, rates).estimate.fit.needs_mib,
        assumed=ASSUMED_TOKENS if data.longest is None else None,
        others=tuple(sorted(options, key=order)),
        full=next((needs for needs in full if needs.fit.badge == "yes"), None),
        seconds=seconds,
    )


def _choose(
    entries: list[Entry],
    hardware: Hardware,
    data: Data,
    available: Available,
    rates: Rates | None,
    seconds_of: Callable[[Entry], float | None],
) -> Entry:
    """The best that clearly fits, else the smallest. entries: the best first, before
    time on a processor is known.
    """
    startable = [entry for entry in entries if not obstacle(entry, hardware, available)]
    sensible = [
        entry for entry in startable if is_sensible(entry, hardware, seconds_of(entry))
    ]
    sensible.sort(
        key=lambda entry: ranking.sort_key(
            entry, hardware, data, available, seconds_of(entry)
        ),
        reverse=True,
    )
    sensible = sensible or [catalogue.default()]
    room = free(hardware)
    light = (entry for entry in sensible if weights_mib(entry, hardware) < room)
    fitting = (
        entry
        for entry in light
        if least_memory(entry, hardware, data, rates).estimate.fit.badge == "yes"
    )
    return next(fitting, None) or min(
        sensible, key=lambda entry: weights_mib(entry, hardware)
    )


def _option(
    entry: Entry,
    hardware: Hardware,
    data: Data,
    available: Available,
    rates: Rates | None,
    seconds: float | None,
) -> Option:
    smallest = least_memory(entry, hardware, data, rates)
    missing = obstacle(entry, hardware, available)
    fit = smallest.estimate.fit
    reasons = [missing] if missing else []
    if fit.badge == "no":
        needs, has = format_sizes(fit.needs_mib, fit.has_mib)
        reasons.append(f"It needs at least {needs}; {has} can be used.")
    elif not is_sensible(entry, hardware, seconds):
        reasons.append(too_large(hardware))
    reasons += traits(entry, data)
    return Option(
        model=entry,
        settings=smallest.settings,
        estimate=smallest.estimate,
        reasons=tuple(reasons),
        startable=not missing,
        time=expected_time(entry, smallest, hardware, data, rates),
    )
