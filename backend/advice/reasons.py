"""The sentences that explain a recommendation."""

from backend.advice.ranking import Available, in_time, is_sensible, largest_advised
from backend.advice.settings import ChosenSettings, Data
from backend.advice.training_time import TYPICAL_ROWS, shorter
from backend.models import catalogue
from backend.models.catalogue import Entry, Task
from backend.records.machine import Hardware, nvidia_gpu
from backend.records.units import format_rough, format_size, format_sizes

_DISK_RESERVE = 1.2
_MOSTLY_FREE = 0.7  # of a GPU's memory; with less free, the reason names the free memory instead of the total
_TASK_SENTENCES: dict[Task | None, str] = {
    "voice": "It was trained for conversation.",
    "extract": "It handles structured output well.",
    "write": "It writes fluent text.",
}

_A_LITTLE_LARGER = "For a GPU with {size} it is a little larger than usual ({billions}), but it fits by the estimate and has better published results than any smaller one."


def obstacle(entry: Entry, hardware: Hardware, available: Available) -> str:
    """Why `entry` can't be trained now, regardless of memory; "" if it can."""
    if available is not None and entry.id not in available:
        return "It needs to be downloaded first."
    needed = (entry.download_mib or 0) * _DISK_RESERVE
    if available is None and not entry.bundled and needed > hardware.disk_free_mib:
        needs, has = format_sizes(needed, hardware.disk_free_mib)
        return f"It needs {needs} of disk space; {has} is free."
    return ""


def traits(entry: Entry, data: Data) -> list[str]:
    """Notes on a model, to read before choosing it for this data."""
    lines = [entry.note] if entry.note else []
    if data.language and entry.languages and data.language not in entry.languages:
        lines.append(
            "It does not know the language of the examples well, so it needs many more of them."
        )
    if data.longest is not None and data.longest > entry.context_length:
        lines.append(
            f"It reads at most {entry.context_length:,} tokens; the longest example has {data.longest:,}."
        )
    if entry.replaced_by:
        lines.append(
            f"Its makers have a newer model of about this size: {catalogue.find(entry.replaced_by).name}."
        )
    if entry.commercial_use is False:
        lines.append("Its license does not allow commercial use.")
    if entry.gated:
        lines.append("Its makers have to approve the download.")
    return lines


def published_results(entry: Entry) -> str:
    """A sentence with the model's result in the newest published comparison, or one
    that says there is none.
    """
    if not entry.evidence:
        return "We know of no published comparison of how well it does after training."
    newest = entry.evidence[0]
    compared = (
        f"In a published comparison of {newest.models} models on {newest.tasks} tasks"
    )
    if newest.place is None:
        return f"{compared}, it was not among the best {newest.places} after training."
    return f"{compared}, it came {ordinal(newest.place)} after training."


def ordinal(place: int) -> str:
    """1 -> "1st", 12 -> "12th"."""
    ending = (
        "th"
        if place % 100 in (11, 12, 13)
        else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    )
    return f"{place}{ending}"


def too_large(hardware: Hardware) -> str:
    """Why a model that fits is not recommended for its size."""
    if nvidia_gpu(hardware) is None:
        return "It fits, but training would be slow here."
    return "It fits, but is larger than is usually advised for this GPU."


def why_recommended(
    entry: Entry,
    chosen: ChosenSettings,
    hardware: Hardware,
    data: Data,
    available: Available,
    slower: Entry | None = None,
    seconds: float | None = None,
) -> tuple[str, ...]:
    """Why this model is recommended, or why none fits, in sentences.

    available: the ids of the models that are here, if no other can be downloaded
    slower: a model that would do better, but takes longer
    seconds: about how long it trains on a processor; None where that is unknown"""
    fit = chosen.estimate.fit
    if fit.badge == "no":
        return _nothing_fits(entry, chosen, hardware)
    sensible = is_sensible(entry, hardware, seconds)
    lines = [_why_this_size(entry, hardware) if sensible else too_large(hardware)]
    time = chosen.estimate.time if data.tokens is not None else None
    takes = time.seconds if time else seconds
    if takes is not None:
        of = "" if time else f" on {data.rows or TYPICAL_ROWS} short examples"
        sentence = (
            f"Training it{of} takes about {format_rough(takes)} on this computer."
        )
        if not in_time(takes):
            fewer = shorter(entry, chosen, data)
            way = f"With {fewer.words}: {format_rough(fewer.seconds)}." if fewer else ""
            lines = [sentence, *filter(None, [way]), *lines]
        elif seconds is not None:
            lines.append(sentence)
    if data.task not in (None, "other") and data.task in entry.good_for:
        lines.append(_TASK_SENTENCES[data.task])
    lines.append(published_results(entry))
    if slower is not None:
        place = slower.evidence[0].place
        better = f"came {ordinal(place)}" if place else "did better"
        times = f"{slower.parameters / entry.parameters:.0f} times"
        lines.append(
            f"{slower.name} {better} and fits too, but its training takes about {times} as long."
        )
    if fit.badge == "tight":
        lines.append("Memory is tight: close other programs before you start.")
    if available is not None:
        lines.append("Other models need to be downloaded first.")
    missing = obstacle(entry, hardware, available)
    return (*lines, *([missing] if missing else []), *traits(entry, data))


def _why_this_size(entry: Entry, hardware: Hardware) -> str:
    gpu = nvidia_gpu(hardware)
    if gpu is not None:
        size = format_size(gpu.memory_total_mib)
        if gpu.memory_free_mib < _MOSTLY_FREE * gpu.memory_total_mib:
            free_now = format_size(gpu.memory_free_mib)
            return f"Only {free_now} of the GPU's {size} is free; this model fits."
        billions = f"{entry.parameters / 1e9:.1f} billion parameters"
        if entry.parameters > largest_advised(hardware):
            return _A_LITTLE_LARGER.format(size=size, billions=billions)
        return f"A GPU with {size} trains a model of this size well ({billions})."
    if hardware.unified_memory:
        return f"It fits well in the {format_size(hardware.memory_total_mib)} of memory on this computer."
    return "Without a GPU, only a small model trains in a reasonable time."


def _nothing_fits(
    entry: Entry, chosen: ChosenSettings, hardware: Hardware
) -> tuple[str, ...]:
    needs, has = chosen.estimate.fit.needs_mib, chosen.estimate.fit.has_mib
    gpu = nvidia_gpu(hardware)
    total = gpu.memory_total_mib if gpu else hardware.memory_total_mib
    required, usable = format_sizes(needs, has)
    lines = [
        f"No model fits now. The smallest, {entry.name}, needs {required}; {usable} can be used."
    ]
    if needs <= total:
        lines.append(f"Close other programs to free {format_size(needs - has)} more.")
    else:
        lines.append(
            f"It would fit on a computer with {format_size(needs * 1.3)} of memory or more."
        )
    if chosen.settings.max_length > 256:
        lines.append("Shorter examples also need less memory.")
    return tuple(lines)
