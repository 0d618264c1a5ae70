"""When memory runs out: what a run does without, one step at a time, and the settings as they are really used.

The steps are the guide's ladder, gentlest first. None changes how many examples a correction learns from (the
effective batch) or how much of each is read: shorter examples change what is learned, so a person decides on them.

    half the examples at a time -> one at a time, less kept in between (gradient checkpointing) -> 4 bit (QLoRA)

The guide ends it with offloading: keeping what the optimizer remembers in the computer's memory instead of the
card's. That is no step here, since by then it gains next to nothing: of an adapter those are 8 bytes a trained number
(39 MB for rank 16 on all layers of SmolLM2-135M), and on a processor or a Mac both memories are one. Only where all
weights are trained is it much, and that is chosen before a run begins.

used.json in the run's folder holds the settings as used, once they differ from those in spec.json.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from backend.errors import BadSetting, DoesNotFit, NotEnough, OutOfMemory
from backend.files.atomic import write_text
from backend.records.specs import RunSpec, TrainSettings, parse_settings

log = logging.getLogger(__name__)

NAME = "used.json"
SHORTEST = 256  # tokens, below which shorter examples are not offered
_OUT_OF_MEMORY = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "paging file is too small",  # Windows
    "could not create a primitive",  # oneDNN, when it gets no memory (seen under a limit on the address space)
)


class Step(NamedTuple):
    """changes: of the settings. sentence: the same for people."""

    changes: dict[str, Any]
    sentence: str


def settings_used(run_folder: Path, planned: TrainSettings) -> TrainSettings:
    """The settings that the run in `run_folder` uses by now."""
    try:
        return parse_settings(json.loads((run_folder / NAME).read_text("utf-8")))
    except FileNotFoundError:
        return planned
    except (OSError, ValueError, BadSetting):
        log.warning("%s can't be read; the settings are as planned", NAME)
        return planned


def as_used(run_folder: Path, spec: RunSpec) -> RunSpec:
    """`spec` with the settings that the run in `run_folder` uses by now."""
    return spec.model_copy(update={"settings": settings_used(run_folder, spec.settings)})


def differing(planned: TrainSettings, used: TrainSettings) -> dict[str, Any]:
    """The settings in `used` that are not as planned."""
    before = planned.model_dump(mode="json")
    return {name: value for name, value in used.model_dump(mode="json").items() if value != before[name]}


def keep(run_folder: Path, used: TrainSettings) -> None:
    """Notes the settings as they are used, for the run's next attempt. Raises OSError."""
    write_text(run_folder / NAME, used.model_dump_json())


def step_down(run_folder: Path, planned: TrainSettings, longest: int) -> Step:
    """Takes the next step down the ladder and keeps it. longest: tokens of the longest example.

    Raises DoesNotFit when there is none left, OSError.
    """
    used = settings_used(run_folder, planned)
    step = next_step(planned, used, can_quantise=can_quantise())
    if step is None:
        raise no_step_left(longest)
    keep(run_folder, used.changed(**step.changes))
    return step


def next_step(planned: TrainSettings, used: TrainSettings, *, can_quantise: bool) -> Step | None:
    """What to do without next; None when all was tried. Pure."""
    at_once = used.per_device_train_batch_size
    if at_once == planned.per_device_train_batch_size and at_once > 1:
        fewer = micro(used, at_once // 2)
        now = fewer["per_device_train_batch_size"]
        return Step(fewer, f"It reads {now} instead of {at_once} examples at a time; each step learns from as many.")
    if at_once > 1 or not used.gradient_checkpointing:
        changes = {**micro(used, 1), "gradient_checkpointing": True}
        return Step(changes, "It reads one example at a time and works some things out twice (slower, same result).")
    whole = used.trainer == "sft" and used.sharding == "none"  # DPO compares with the model that it began with
    if used.method == "lora" and can_quantise and whole:
        return Step({"method": "qlora"}, "The model itself is kept in 4 bit from now on (QLoRA).")
    return None


def micro(settings: TrainSettings, most: int) -> dict[str, Any]:
    """The changes that let at most `most` examples be read at a time, the effective batch as it was. Not packed: a
    pack is filled up to max_length however few they are."""
    batch = settings.effective_batch
    size = max(n for n in range(1, most + 1) if batch % n == 0)
    return {"per_device_train_batch_size": size, "gradient_accumulation_steps": batch // size, "packing": False}


@contextmanager
def memory_errors() -> Iterator[None]:
    """Within it, whatever runs out of memory raises OutOfMemory: on a card or in the computer."""
    try:
        yield
    except NotEnough:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory() from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on a card or in the computer."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(text in str(error).lower() for text in _OUT_OF_MEMORY)


def out_of_memory() -> OutOfMemory:
    return OutOfMemory(
        "There is not enough memory for this run.",
        "Even with fewer examples at a time it did not fit.",
        "Choose the method qlora or a smaller model, or close other programs. Then resume it.",
    )


def no_step_left(longest: int) -> DoesNotFit:
    """The end of the ladder. longest: tokens of the longest example."""
    length = half(longest)
    shorter = f", or with shorter examples: max_length {length} halves the longest one, the rest is not learned"
    return DoesNotFit(
        "There is not enough memory for this run.",
        "It was tried with one example at a time, with less kept in between and, where it is possible, in 4 bit.",
        f"Close other programs and resume it. Or train anew with a smaller model{shorter if length else ''}.",
    )


def half(longest: int) -> int | None:
    """The length (tokens) to offer for examples of which the longest has `longest`; None where it is too short."""
    return longest // 2 if longest // 2 >= SHORTEST else None


def can_quantise() -> bool:
    """Whether a model can be held in 4 bit here."""
    return sys.platform != "darwin" and importlib.util.find_spec("bitsandbytes") is not None
