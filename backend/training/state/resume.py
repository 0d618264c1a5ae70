"""Before a run resumes: its newest valid checkpoint, and whether its model and versions
are still the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import TrainingFailed
from backend.files.atomic import write_text
from backend.files.json_file import loads, read_if_json
from backend.models.model_folder import TOKENIZER_FILES
from backend.records.events import NoteEvent
from backend.records.specs import TrainSettings
from backend.records.units import GIB, MIB
from backend.runs import start
from backend.runs.prepare import versions
from backend.runs.start import BASE
from backend.training import device
from backend.training.device import Device
from backend.training.state import checkpoints

if TYPE_CHECKING:
    from backend.work import Work

DEVICE = "device.json"  # in the run's folder: the device and precision it trains with
_TRAINING = (
    "torch",
    "transformers",
    "trl",
    "peft",
)  # packages whose version may change the result
_HASHED_AT_MOST = (
    GIB  # bytes of a file; of a larger one as many are hashed, evenly spread
)


def find_checkpoint(work: Work, base: Path) -> Path | None:
    """The checkpoint to resume from, None to start from the beginning; reports damaged
    ones in a note. base: the model's folder. Raises TrainingFailed when a checkpoint
    belongs to another run, or the model has changed since the run, or the version that
    it continues, began; OSError.
    """
    checkpoint, damaged = checkpoints.find(work.folder / "checkpoints")
    now = base_files(base)
    if damaged:
        names = ", ".join(path.name for path in damaged)
        after = (
            f"The run continues from {checkpoint.name}."
            if checkpoint
            else "The run starts over."
        )
        work.emit(
            NoteEvent(
                "A checkpoint is damaged",
                f"{names} can't be used. {after}",
                "Check the disk.",
            )
        )
    if checkpoint:
        _check_base(work.folder / BASE, now, "this run")
    else:
        _check_base(
            start.folder(work.folder) / BASE, now, "the version that this run continues"
        )
    write_text(work.folder / BASE, json.dumps(now, indent=1))
    return checkpoint


def choose_device(run_folder: Path, settings: TrainSettings) -> Device:
    """The device to train on, in the precision that the run's first attempt measured as
    the best. Measuring again on a busy machine might give another one, and a different
    result. Raises BadSetting, OSError.
    """
    place, saved = device.choose(settings), run_folder / DEVICE
    try:
        before = Device(**loads(saved.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        before = place
    if before.kind == place.kind and settings.precision in ("auto", before.precision):
        place = replace(before, four_bit=before.four_bit or place.four_bit)
    write_text(saved, json.dumps(asdict(place)))
    return place


def base_files(base: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of each file in `base` that affects what the model computes."""
    paths = [
        base / "config.json",
        *(base / name for name in TOKENIZER_FILES),
        *sorted(base.glob("*.safetensors")),
    ]
    return {
        p.name: {"bytes": p.stat().st_size, "sha256": _digest(p)}
        for p in paths
        if p.is_file()
    }


def report_versions(work: Work, began: dict[str, str]) -> None:
    """Adds a note when the training libraries are not the versions that the run `began`
    with.
    """
    began = {name: version for name, version in began.items() if name in _TRAINING}
    now = versions(tuple(began))
    other = [
        f"{name} {was or 'none'}, now {now[name] or 'none'}"
        for name, was in began.items()
        if now[name] != was
    ]
    if other:
        what = f"This run began with other versions of its training packages: {'; '.join(other)}. "
        what += "It continues, but the result may differ slightly."
        way_out = "For an exactly repeatable run, start a new one."
        work.emit(NoteEvent("Package versions have changed", what, way_out))


def _check_base(saved: Path, now: dict[str, dict[str, Any]], since: str) -> None:
    before = read_if_json(saved)
    changed = sorted(
        name for name in {*before, *now} if before and before.get(name) != now.get(name)
    )
    if changed:
        raise TrainingFailed(
            f"The base model has changed since {since} began.",
            f"Changed, added or deleted in its folder: {', '.join(changed)}.",
            "Restore the model and resume the run, or start a new one.",
        )


def _digest(path: Path) -> str:
    parts = -(-path.stat().st_size // MIB)
    step = max(1, parts * MIB // _HASHED_AT_MOST)
    sha = hashlib.sha256()
    with path.open("rb") as file:
        for part in [*range(0, parts, step), *([parts - 1] if step > 1 else [])]:
            file.seek(part * MIB)
            sha.update(file.read(MIB))
    return sha.hexdigest()
