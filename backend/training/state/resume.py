"""Before a run goes on: its newest sound checkpoint, and whether what it began with is still the same."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import TrainingFailed
from backend.files.atomic import write_text
from backend.models.model_folder import TOKENIZER_FILES
from backend.records.events import NoteEvent
from backend.records.specs import TrainSettings
from backend.runs.prepare import versions
from backend.training import device
from backend.training.device import Device
from backend.training.state import checkpoints

if TYPE_CHECKING:
    from backend.training.work import Work


DEVICE = "device.json"  # in the run's folder: what it is trained on, and in which precision
BASE = "base.json"  # in the run's folder: the model's files as the run began
_TRAINING = ("torch", "transformers", "trl", "peft")  # whose versions may change what is learned
_WHOLE_UP_TO = 1 << 30  # bytes of a file that are hashed; of a larger one as many, evenly spread
_PART = 1 << 20


def checkpoint_of(work: Work, base: Path) -> Path | None:
    """The checkpoint to go on from, None to begin anew; what had to be passed over is told.

    base: the model's folder. Raises TrainingFailed when a checkpoint is of another run, or the model has changed
    since the run began; OSError.
    """
    folder = work.folder / "checkpoints"
    found = checkpoints.find(folder)
    now = base_files(base)
    if found.damaged:
        names = ", ".join(path.name for path in found.damaged)
        after = f"The run goes on from {found.newest.name}." if found.newest else "The run begins from the start."
        tell(work, "A saved state was damaged", f"{names} can't be used. {after}", "Check the disk.")
    if found.newest:
        _must_be_same(work.folder / BASE, now)
    write_text(work.folder / BASE, json.dumps(now, indent=1))
    return found.newest


def device_for(run_folder: Path, settings: TrainSettings) -> Device:
    """The device to train on, in the precision that the run's first attempt chose by measuring: another one may
    measure otherwise on a busy machine, and would not learn exactly the same. Raises BadSetting, OSError."""
    place, noted = device.choose(settings), run_folder / DEVICE
    try:
        before = Device(**json.loads(noted.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        before = place
    if before.kind == place.kind and settings.precision in ("auto", before.precision):
        place = replace(before, four_bit=before.four_bit or place.four_bit)
    write_text(noted, json.dumps(asdict(place)))
    return place


def base_files(base: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of each file of the model in `base` that decides what it computes."""
    paths = [base / "config.json", *(base / name for name in TOKENIZER_FILES), *sorted(base.glob("*.safetensors"))]
    return {p.name: {"bytes": p.stat().st_size, "sha256": _digest(p)} for p in paths if p.is_file()}


def tell_other_versions(work: Work, began: dict[str, str]) -> None:
    """A note when the libraries that train are not those that the run `began` with."""
    began = {name: version for name, version in began.items() if name in _TRAINING}
    now = versions(tuple(began))
    other = [f"{name} {was or 'none'}, now {now[name] or 'none'}" for name, was in began.items() if now[name] != was]
    if other:
        tell(
            work,
            "Other versions than before",
            f"This run began with other versions of what it trains with: {'; '.join(other)}. "
            "It goes on, but may not learn exactly as it would have.",
            "For a run that can be repeated exactly, start it anew.",
        )


def tell(work: Work, title: str, what: str, following: str = "") -> None:
    """A note for the person: what happened, and what to do (may be left out)."""
    work.emit(NoteEvent(title, what, following))


def _must_be_same(noted: Path, now: dict[str, dict[str, Any]]) -> None:
    try:
        before = json.loads(noted.read_text("utf-8"))
    except (OSError, ValueError):
        return  # a run of before this was noted
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        raise TrainingFailed(
            "The model that this run began with has changed since.",
            f"Different, new or gone in its folder: {', '.join(changed)}.",
            "Put the model back as it was and resume the run, or start a new one.",
        )


def _digest(path: Path) -> str:
    size = path.stat().st_size
    parts = -(-size // _PART)
    step = max(1, parts * _PART // _WHOLE_UP_TO)
    sha = hashlib.sha256()
    with path.open("rb") as file:
        for part in [*range(0, parts, step), *([parts - 1] if step > 1 else [])]:
            file.seek(part * _PART)
            sha.update(file.read(_PART))
    return sha.hexdigest()
