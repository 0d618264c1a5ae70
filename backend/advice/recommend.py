"""Which model to teach on this machine, for this task and data; the others, and how well each fits.

Sizes by card follow the guide: up to 7 or 8 B on 24 GB, below 3.8 B on 12 GB, up to 3.8 B on a T4 and on a laptop of
8 GB. Below 500 M a processor trains in minutes to an hour. Every choice is checked by the memory estimate.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from backend.advice.settings import (
    ASSUMED_TOKENS,
    ChosenSettings,
    Data,
    choose_settings,
    full_fine_tuning,
    least_memory,
    weights_mib,
)
from backend.estimate import Estimate, Memory, Rates
from backend.estimate.memory import Badge, nvidia_gpu
from backend.estimate.memory import available as free
from backend.hardware import format_gb
from backend.models import catalogue
from backend.models.catalogue import Entry, Task
from backend.records.specs import Hardware, Record, TrainSettings

# A card of so many MiB or more trains models up to so many parameters.
_BY_CARD = ((44_000, 10.0e9), (22_000, 8.3e9), (14_000, 3.83e9), (11_000, 3.79e9), (7_000, 3.83e9), (5_000, 1.8e9))
_ON_LESS = 1.3e9
_BY_UNIFIED_MEMORY = ((60_000, 8.3e9), (30_000, 4.1e9), (15_000, 1.8e9))
_ON_LESS_UNIFIED = 0.7e9
_ON_PROCESSOR = 0.7e9
_DISK_RESERVE = 1.2
_MOSTLY = 0.7  # of a card's memory; with less of it free, that decides which model is taken


class Option(Record):
    """A model with what it needs here. startable: nothing but the person's word is missing (a download counts)."""

    model: Entry
    settings: TrainSettings
    estimate: Estimate
    reasons: tuple[str, ...]
    startable: bool = True

    @property
    def memory(self) -> Memory:
        return self.estimate.memory

    @property
    def have_mib(self) -> float:
        return self.estimate.fit.has_mib

    @property
    def fit(self) -> Badge:
        return self.estimate.fit.badge

    def to_json(self) -> dict[str, Any]:
        """{"model", "fit", "startable", "settings", "estimate", "reasons"}."""
        return {
            "model": self.model.to_json(),
            "fit": self.fit,
            "startable": self.startable,
            "settings": self.settings.model_dump(mode="json"),
            "estimate": self.estimate.to_json(),
            "reasons": list(self.reasons),
        }


class Recommendation(Option):
    """The recommended model. why: setting name to the reason for its value. full: all weights trained, if it fits.

    least_mib: what it can make do with, in smaller batches. assumed: tokens of the longest example that the figures
    are for while there are no examples, else None.
    """

    why: dict[str, str]
    hardware: Hardware
    others: tuple[Option, ...]
    least_mib: float
    assumed: int | None
    full: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        """The keys of `recommend --json`; `reasons` are those for the model, then those for the settings."""
        return {
            **super().to_json(),
            "hardware": self.hardware.model_dump(mode="json"),
            "reasons": [*self.reasons, *self.why.values()],
            "why": self.why,
            "least_mib": round(self.least_mib, 1),
            "assumed_tokens": self.assumed,
            "full_fine_tuning": self.full.to_json() if self.full else None,
            "others": [option.to_json() for option in self.others],
        }


def recommend(
    hardware: Hardware,
    *,
    task: Task | None = None,
    rows: int | None = None,
    longest: int | None = None,
    documents: bool = False,
    tokens: int | None = None,
    learned_share: float | None = None,
    language: str | None = None,
    available: Collection[str] | None = None,
    model_id: str | None = None,
    rates: Rates | None = None,
    compare: bool = True,
) -> Recommendation:
    """The model and settings for `hardware`, and the other models by how well they fit.

    rows, longest (tokens of the longest example), documents (plain texts, not conversations), tokens (of all of
    them), learned_share (the part that is learned) and language (ISO 639-1) describe the data as far as it is known.
    available: the ids of the models that are on this computer, when no other can be had; None: any can be
    downloaded. model_id: this model, whatever else fits. compare: also what the other models need; takes seconds the
    first time.
    Raises BadInput for an unknown model_id.
    """
    data = Data(
        task=task,
        rows=rows,
        longest=longest,
        documents=documents,
        tokens=tokens,
        learned_share=learned_share,
        language=language,
    )
    entries = sorted(catalogue.entries(), key=lambda entry: _rank(entry, hardware, data, available), reverse=True)
    wanted = catalogue.find(model_id) if model_id else None
    entry, tailored = (
        (wanted, choose_settings(wanted, hardware, data, rates))
        if wanted
        else _choose(entries, hardware, data, available, rates)
    )
    compared = [other for other in entries if compare and other != entry]
    others = [_option(other, hardware, data, available, rates) for other in compared]
    return Recommendation(
        model=entry,
        settings=tailored.settings,
        estimate=tailored.estimate,
        reasons=_reasons(entry, tailored, hardware, data, available),
        startable=_obstacle(entry, hardware, available) == "",
        why=tailored.why,
        hardware=hardware,
        least_mib=least_memory(entry, hardware, data, rates).estimate.fit.needs_mib,
        assumed=ASSUMED_TOKENS if longest is None else None,
        others=tuple(sorted(others, key=lambda option: _order(option, hardware))),
        full=_full(entries, hardware, data, available) if compare else None,
    )


def _choose(
    entries: list[Entry], hardware: Hardware, data: Data, available: Collection[str] | None, rates: Rates | None
) -> tuple[Entry, ChosenSettings]:
    """The first of `entries` that fits with room to spare, else the smallest."""
    sensible = [
        entry
        for entry in entries
        if not _obstacle(entry, hardware, available) and entry.parameters <= largest_sensible(hardware)
    ] or [catalogue.default()]
    room = free(hardware)
    for entry in sensible:
        if (
            weights_mib(entry, hardware) < room
            and least_memory(entry, hardware, data, rates).estimate.fit.badge == "yes"
        ):
            return entry, choose_settings(entry, hardware, data, rates)
    entry = min(sensible, key=lambda one: weights_mib(one, hardware))
    return entry, choose_settings(entry, hardware, data, rates)


def largest_sensible(hardware: Hardware) -> float:
    """The largest model, in parameters, that is sensible to train on `hardware`."""
    gpu = nvidia_gpu(hardware)
    if gpu is not None:
        return next((most for least, most in _BY_CARD if gpu.memory_total_mib >= least), _ON_LESS)
    if hardware.unified_memory:
        memory = hardware.memory_total_mib
        return next((most for least, most in _BY_UNIFIED_MEMORY if memory >= least), _ON_LESS_UNIFIED)
    return _ON_PROCESSOR


def _rank(
    entry: Entry, hardware: Hardware, data: Data, available: Collection[str] | None
) -> tuple[bool, bool, bool, bool, bool, float]:
    """What makes a model the better choice, the weightiest first. On a processor the smaller one is: it is faster."""
    speaks = data.language is None or data.language in entry.languages
    open_to_all = not entry.gated or (available is not None and entry.id in available)
    fits_task = data.task in (None, "other") or data.task in entry.good_for
    chats = entry.instruct and entry.chat_template
    reads = data.longest is None or data.longest <= entry.context_length
    accelerated = nvidia_gpu(hardware) is not None or hardware.unified_memory
    size = entry.parameters if accelerated else -entry.parameters
    return speaks, reads, chats, fits_task, open_to_all and entry.commercial_use, size


def _obstacle(entry: Entry, hardware: Hardware, available: Collection[str] | None) -> str:
    """Why `entry` can't be started here at all, whatever the memory; "" when it can."""
    if available is not None and entry.id not in available:
        return "It is not on this computer; it is downloaded first."
    if available is None and not entry.embedded and entry.download_mib * _DISK_RESERVE > hardware.disk_free_mib:
        return f"It needs {format_gb(entry.download_mib)} of disk; {format_gb(hardware.disk_free_mib)} is free."
    return ""


def _option(
    entry: Entry, hardware: Hardware, data: Data, available: Collection[str] | None, rates: Rates | None
) -> Option:
    least = least_memory(entry, hardware, data, rates)
    obstacle = _obstacle(entry, hardware, available)
    fit = least.estimate.fit
    reasons = [obstacle] if obstacle else []
    if fit.badge == "no":
        reasons.append(f"It needs at least {format_gb(fit.needs_mib)}; {format_gb(fit.has_mib)} can be used.")
    elif entry.parameters > largest_sensible(hardware):
        reasons.append("It would fit, but be slow here.")
    reasons += _traits(entry, data)
    return Option(
        model=entry,
        settings=least.settings,
        estimate=least.estimate,
        reasons=tuple(reasons),
        startable=not obstacle,
    )


def _order(option: Option, hardware: Hardware) -> tuple[int, bool, bool]:
    """Those that fit first, of them those that can be started and are not too slow; else as ranked."""
    slow = option.model.parameters > largest_sensible(hardware)
    return ("yes", "tight", "no").index(option.fit), not option.startable, slow


def _traits(entry: Entry, data: Data) -> list[str]:
    lines = [entry.note] if entry.note else []
    if data.language and data.language not in entry.languages:
        lines.append("It was not made for the language of the examples, so it needs many more of them.")
    if data.longest is not None and data.longest > entry.context_length:
        lines.append(f"It reads at most {entry.context_length:,} tokens; the longest example has {data.longest:,}.")
    if not entry.commercial_use:
        lines.append("Its licence forbids commercial use.")
    if entry.gated:
        lines.append("Its makers want to be asked before it can be downloaded.")
    return lines


def _reasons(
    entry: Entry, tailored: ChosenSettings, hardware: Hardware, data: Data, available: Collection[str] | None
) -> tuple[str, ...]:
    fit = tailored.estimate.fit
    if fit.badge == "no":
        return _nothing_fits(entry, tailored, hardware)
    slow = entry.parameters > largest_sensible(hardware)
    lines = ["It fits, but it will be slow here." if slow else _why_this_size(entry, hardware)]
    if data.task not in (None, "other") and data.task in entry.good_for:
        lines.append(_TASK_SENTENCES[data.task])
    if fit.badge == "tight":
        lines.append("Memory is tight: close other programs before the start.")
    if available is not None:
        lines.append("With no network only models on this computer can be taken; others are downloaded first.")
    obstacle = _obstacle(entry, hardware, available)
    return (*lines, *([obstacle] if obstacle else []), *_traits(entry, data))


_TASK_SENTENCES: dict[Task | None, str] = {
    "voice": "It was trained for conversation.",
    "extract": "It handles structured output well.",
    "write": "It writes fluent text.",
}


def _why_this_size(entry: Entry, hardware: Hardware) -> str:
    gpu = nvidia_gpu(hardware)
    if gpu is not None:
        size = format_gb(gpu.memory_total_mib)
        if gpu.memory_free_mib < _MOSTLY * gpu.memory_total_mib:
            free_now = format_gb(gpu.memory_free_mib)
            return f"Only {free_now} of the graphics card's {size} is free; this model fits into that."
        return f"A graphics card of {size} trains a model of this size ({entry.parameters / 1e9:.1f} billion) well."
    if hardware.unified_memory:
        shared = format_gb(hardware.memory_total_mib)
        return f"It leaves room in the {shared} that this computer shares with its graphics."
    if hardware.hosted == "zero_gpu":
        return "The graphics card of this Space is lent for single calls only, so the processor trains a small model."
    return "Without a graphics card a small model is the one that trains in a sensible time."


def _nothing_fits(entry: Entry, tailored: ChosenSettings, hardware: Hardware) -> tuple[str, ...]:
    needs, has = tailored.estimate.fit.needs_mib, tailored.estimate.fit.has_mib
    gpu = nvidia_gpu(hardware)
    total = gpu.memory_total_mib if gpu else hardware.memory_total_mib
    lines = [f"No model fits now. The nearest, {entry.name}, needs {format_gb(needs)}; {format_gb(has)} can be used."]
    if needs <= total:
        lines.append(f"It would fit with {format_gb(needs - has)} more free: close other programs.")
    else:
        lines.append(f"It would fit on a computer with {format_gb(needs * 1.3)} of memory or more.")
    if tailored.settings.max_length > 256:
        lines.append("Shorter examples need less, too.")
    return tuple(lines)


def _full(entries: list[Entry], hardware: Hardware, data: Data, available: Collection[str] | None) -> Estimate | None:
    """Training all weights of the largest model for which that fits, where the guide offers it."""
    for entry in sorted(entries, key=lambda one: -one.parameters):
        if _obstacle(entry, hardware, available) or entry.gated:
            continue
        needed = full_fine_tuning(entry, hardware, data)
        if needed is not None and needed.fit.badge == "yes":
            return needed
    return None
