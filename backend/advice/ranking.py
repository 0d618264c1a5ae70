"""The order of models for a machine and data, before their memory is looked at.

What counts, the most important first: the model speaks the language of the examples,
reads the longest one, chats, suits the task, needs no access request and may be used
commercially, and has no newer model of its makers to take its place
(`Entry.replaced_by`). Among those that are equal in all this, the model comes first
that

1. is of a size that the guide names for the machine (`largest_sensible`), or on a
   processor trains `WITHIN` about half an hour,
2. has the better expected rank after fine-tuning (`expected_rank`),
3. has published results, and
4. is larger.

On a processor, of models that take longer the fastest comes first, and the smallest
while its speed is unknown.
"""

import math
from collections.abc import Collection

from backend.advice.settings import Data
from backend.models import catalogue
from backend.models.catalogue import Entry
from backend.records.machine import Hardware, nvidia_gpu

Available = (
    Collection[str] | None
)  # the ids of the models that are here, if no other can be downloaded
WITHIN = (
    35 * 60.0
)  # seconds that training on a processor may take, asking the base model once included
_A_LITTLE = 1.1  # times the guide's largest size
# (memory in MiB, smallest and largest model in parameters), for a GPU with at least
# this much memory. 16 GB (T4): the guide's 2 to 3.8 B. The others have no lower limit.
_BY_GPU = (
    (44_000, 0, 10.0e9),
    (22_000, 0, 8.3e9),
    (14_000, 2.0e9, 3.83e9),
    (11_000, 0, 3.79e9),
    (7_000, 0, 3.83e9),
    (5_000, 0, 1.8e9),
    (0, 0, 1.3e9),
)
_BY_UNIFIED_MEMORY = ((60_000, 8.3e9), (30_000, 4.1e9), (15_000, 1.8e9), (0, 0.7e9))
_PROCESSOR = 0.7e9


def sort_key(
    entry: Entry,
    hardware: Hardware,
    data: Data,
    available: Available,
    seconds: float | None = None,
) -> tuple[float | bool, ...]:
    """A sort key by the rule above; the best model has the greatest.

    available: the ids of the models that are here, if no other can be downloaded
    seconds: about how long training takes on a processor; None where unknown"""
    suits = _suits(entry, data, available)
    gpu = nvidia_gpu(hardware)
    if gpu is not None or hardware.unified_memory:
        smallest = next(
            (
                smallest
                for mib, smallest, _ in _BY_GPU
                if gpu and gpu.memory_total_mib >= mib
            ),
            0,
        )
        sensible = entry.parameters >= smallest
    elif not in_time(seconds):
        return (
            *suits,
            False,
            -(math.inf if seconds is None else seconds),
            False,
            -entry.parameters,
        )
    else:
        sensible = True
    return (
        *suits,
        sensible,
        -expected_rank(entry),
        bool(entry.evidence),
        entry.parameters,
    )


def largest_sensible(hardware: Hardware) -> float:
    """The largest model, in parameters, that is sensible to train on `hardware`."""
    gpu = nvidia_gpu(hardware)
    if gpu is not None:
        return next(
            largest for mib, _, largest in _BY_GPU if gpu.memory_total_mib >= mib
        )
    if hardware.unified_memory:
        return next(
            largest
            for mib, largest in _BY_UNIFIED_MEMORY
            if hardware.memory_total_mib >= mib
        )
    return _PROCESSOR


def expected_rank(entry: Entry) -> float:
    """The mean rank to expect of a model among fine-tuned ones; lower is better,
    infinite if nothing is known. It is the published one, from the newest comparison. A
    model without any counts as the best of those with at most half its parameters. Size
    alone proves no more: of other families, Llama 3.2 3B did about as well as Qwen3
    1.7B and Llama 3.1 8B worse than Qwen3 4B.
    """
    if entry.evidence:
        return entry.evidence[0].standing
    smaller = (
        other
        for other in catalogue.entries()
        if other.evidence and 2 * other.parameters <= entry.parameters
    )
    return min((other.evidence[0].standing for other in smaller), default=math.inf)


def better_but_larger(entry: Entry, hardware: Hardware, data: Data) -> list[Entry]:
    """Models that suit the data as well as `entry` and have a better published rank,
    the best first: on a processor larger ones of a sensible size, on an NVIDIA GPU
    those a little above the guide's sizes.
    """
    smallest, largest = entry.parameters, largest_sensible(hardware)
    if nvidia_gpu(hardware) is not None:
        smallest, largest = math.floor(largest), largest * _A_LITTLE
    elif hardware.unified_memory:
        return []
    needed = _suits(entry, data, None)
    better = [
        other
        for other in catalogue.entries()
        if smallest < other.parameters <= largest
        and other.evidence
        and expected_rank(other) < expected_rank(entry)
        and _suits(other, data, None) >= needed
    ]
    return sorted(better, key=expected_rank)


def in_time(seconds: float | None) -> bool:
    """Whether training for so many seconds is sensible on a processor; False where they
    are unknown (None).
    """
    return seconds is not None and seconds <= WITHIN


def is_sensible(entry: Entry, hardware: Hardware, seconds: float | None) -> bool:
    """Whether the model is of a sensible size for the machine, or trains on a processor
    in time (`seconds`).
    """
    return in_time(seconds) or entry.parameters <= largest_sensible(hardware)


def _suits(entry: Entry, data: Data, available: Available) -> tuple[bool, ...]:
    """How well a model suits the data and the person's means, the most important
    criterion first.
    """
    return (
        data.language is None or data.language in entry.languages,
        data.longest is None or data.longest <= entry.context_length,
        entry.instruct and entry.chat_template,
        data.task in (None, "other") or data.task in entry.good_for,
        bool(entry.commercial_use)
        and (not entry.gated or (available is not None and entry.id in available)),
        not entry.replaced_by,
    )
