"""The order of models for a machine and data, before their memory is looked at.

What counts, the most important first: the model speaks the language of the examples,
reads the longest one, chats, needs no access request and may be used commercially; on a
processor it trains `WITHIN` about half an hour; it suits the task, and has no newer
model of its makers to take its place (`Entry.replaced_by`). Among those that are equal
in all this, the model comes first that

1. is not smaller than the guide's models for the machine,
2. has the better expected rank after fine-tuning (`expected_rank`),
3. has published results, and
4. is larger.

On a processor, of models that take longer the fastest comes first, and the smallest
while its speed is unknown, whatever they suit.
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
    can_learn, suits = _can_learn(entry, data, available), _suits(entry, data)
    gpu = nvidia_gpu(hardware)
    if gpu is None and not hardware.unified_memory and not in_time(seconds):
        slowness = math.inf if seconds is None else seconds
        return (*can_learn, False, -slowness, -entry.parameters, *suits)
    smallest = next(
        (
            smallest
            for mib, smallest, _ in _BY_GPU
            if gpu and gpu.memory_total_mib >= mib
        ),
        0,
    )
    return (
        *can_learn,
        True,
        *suits,
        entry.parameters >= smallest,
        -expected_rank(entry),
        bool(entry.evidence),
        entry.parameters,
    )


def largest_advised(hardware: Hardware) -> float:
    """The largest model, in parameters, that is usually trained on `hardware`."""
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


def better_but_slower(entry: Entry, data: Data) -> list[Entry]:
    """Larger models that a processor can train, suit the data as well as `entry` and
    have a better published rank, the best first.
    """
    needed = _can_learn(entry, data, None), _suits(entry, data)
    better = [
        other
        for other in catalogue.entries()
        if entry.parameters < other.parameters <= _PROCESSOR
        and other.evidence
        and expected_rank(other) < expected_rank(entry)
        and (_can_learn(other, data, None), _suits(other, data)) >= needed
    ]
    return sorted(better, key=expected_rank)


def in_time(seconds: float | None) -> bool:
    """Whether training for so many seconds is no long wait; False where they
    are unknown (None).
    """
    return seconds is not None and seconds <= WITHIN


def is_sensible(entry: Entry, hardware: Hardware, seconds: float | None) -> bool:
    """Whether the model is of a sensible size for the machine, on an NVIDIA GPU a
    little above the guide's where its results were published, or trains on a processor
    in time (`seconds`).
    """
    largest = largest_advised(hardware)
    if entry.evidence and nvidia_gpu(hardware):
        largest *= _A_LITTLE
    return in_time(seconds) or entry.parameters <= largest


def _can_learn(entry: Entry, data: Data, available: Available) -> tuple[bool, ...]:
    """Whether a model can learn from the data with the person's means, the most
    important criterion first.
    """
    return (
        data.language is None or data.language in entry.languages,
        data.longest is None or data.longest <= entry.context_length,
        entry.instruct and entry.chat_template,
        bool(entry.commercial_use)
        and (not entry.gated or (available is not None and entry.id in available)),
    )


def _suits(entry: Entry, data: Data) -> tuple[bool, ...]:
    """How well a model suits the task, the most important criterion first."""
    return (
        data.task in (None, "other") or data.task in entry.good_for,
        not entry.replaced_by,
    )
