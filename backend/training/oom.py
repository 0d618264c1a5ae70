"""The out-of-memory ladder: settings that need ever less memory, and the settings that
a run really uses.

    half the micro batch -> micro batch 1 and gradient checkpointing -> 4-bit base
    (QLoRA)

Offloading the optimizer's state is not a rung because it gains next to nothing: for an
adapter it is 8 bytes per trained parameter (39 MB for rank 16 on all layers of
SmolLM2-135M), and processors and Macs have only one memory. It matters only where all
weights are trained, and is then chosen before the run.

used.json in the run's folder holds the settings in use, once they differ from those in
spec.json.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from backend.errors import (
    DoesNotFit,
    MissingPart,
    NotEnough,
    OutOfMemory,
    is_out_of_memory,
)
from backend.files.atomic import write_text
from backend.models import four_bit
from backend.records.specs import RunSpec, TrainSettings

log = logging.getLogger(__name__)

NAME = "used.json"
MIN_LENGTH = 256  # tokens; shorter examples are not offered


class Rung(NamedTuple):
    """changes: to the settings. sentence: the same for people."""

    changes: dict[str, Any]
    sentence: str


def settings_used(run_folder: Path, planned: TrainSettings) -> TrainSettings:
    """The settings that the run in `run_folder` uses now."""
    try:
        return TrainSettings.model_validate_json((run_folder / NAME).read_text("utf-8"))
    except FileNotFoundError:
        return planned
    except (OSError, ValueError):
        log.warning("%s can't be read; using the planned settings", NAME)
        return planned


def spec_used(run_folder: Path, spec: RunSpec) -> RunSpec:
    """`spec` with the settings that the run in `run_folder` uses now."""
    return spec.model_copy(
        update={"settings": settings_used(run_folder, spec.settings)}
    )


def save_settings(run_folder: Path, used: TrainSettings) -> None:
    """Saves the settings in use, for the run's next attempt. Raises OSError."""
    write_text(run_folder / NAME, used.model_dump_json())


def step_down(run_folder: Path, planned: TrainSettings, longest: int) -> Rung:
    """Goes one rung down the ladder and saves the new settings. longest: tokens of the
    longest example. Raises DoesNotFit on the last rung, OSError.
    """
    used = settings_used(run_folder, planned)
    rung = next_rung(planned, used, can_quantize=four_bit.is_possible())
    if rung is None:
        raise ladder_exhausted(longest)
    save_settings(run_folder, used.changed(**rung.changes))
    return rung


def next_rung(
    planned: TrainSettings, used: TrainSettings, *, can_quantize: bool
) -> Rung | None:
    """The next rung; None after the last. Pure."""
    current = used.per_device_train_batch_size
    if current == planned.per_device_train_batch_size and current > 1:
        changes = with_micro_batch(used, current // 2)
        size = changes["per_device_train_batch_size"]
        what = f"It processes {size} instead of {current} examples at a time; each step still uses as many."
        return Rung(changes, what)
    if current > 1 or not used.gradient_checkpointing:
        changes = {**with_micro_batch(used, 1), "gradient_checkpointing": True}
        return Rung(
            changes,
            "It processes one example at a time and recomputes some values (slower, same result).",
        )
    if (
        used.method == "lora" and can_quantize and used.trainer == "sft"
    ):  # DPO compares with the base as it is
        return Rung(
            {"method": "qlora"},
            "The base model is stored in 4-bit from now on (QLoRA).",
        )
    return None


def with_micro_batch(settings: TrainSettings, most: int) -> dict[str, Any]:
    """The changes for a micro batch of at most `most` with the same effective batch.
    Packing is turned off: a pack is filled up to max_length in any case.
    """
    batch = settings.effective_batch
    size = max(n for n in range(1, most + 1) if batch % n == 0)
    return {
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": batch // size,
        "packing": False,
    }


@contextmanager
def memory_errors() -> Iterator[None]:
    """A context that turns every out-of-memory error, of a GPU or the computer, into
    OutOfMemory.
    """
    try:
        yield
    except NotEnough:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory() from error


def out_of_memory() -> OutOfMemory:
    return OutOfMemory(
        "There is not enough memory for this run.",
        "It did not fit even with fewer examples at a time.",
        "Choose the method qlora or a smaller model, or close other programs. Then resume the run.",
    )


def ladder_exhausted(longest: int) -> DoesNotFit:
    """The error after the last rung. longest: tokens of the longest example."""
    length = half_length(longest)
    shorter = f" or shorter examples: max_length {length} cuts the longest one in half, and the rest is not learned"
    return DoesNotFit(
        "There is not enough memory for this run.",
        "It was tried with one example at a time, with gradient checkpointing and, where possible, in 4-bit.",
        f"Close other programs and resume it. Or start a new run with a smaller model{shorter if length else ''}.",
    )


def half_length(longest: int) -> int | None:
    """The maximum length (tokens) to offer if the longest example has `longest`; None
    if it would be too short.
    """
    return longest // 2 if longest // 2 >= MIN_LENGTH else None


def require_bitsandbytes(settings: TrainSettings) -> None:
    """Raises MissingPart when the settings ask for 4-bit weights or 8-bit AdamW, and
    this computer has neither.
    """
    for asked, what, way_out in (
        (
            settings.method == "qlora",
            "4-bit training (QLoRA)",
            "Choose the method lora.",
        ),
        (settings.optim != "adamw", "AdamW in 8 bits", "Set optim to adamw."),
    ):
        if asked and not four_bit.is_possible():
            why = "It needs the package bitsandbytes, which is not installed or, as on a Mac, does not work here."
            raise MissingPart(f"{what} is not possible on this computer.", why, way_out)
