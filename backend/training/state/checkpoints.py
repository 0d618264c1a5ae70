"""Checkpoints: saved so that a crash, a full disk or a clock set back never costs more than the newest one.

    checkpoints/step-N/   weights.safetensors optimizer.safetensors rng.safetensors state.json trainer_state.json
                          MANIFEST.json (sizes and SHA-256 of all the others)

Files are written under a temporary name, seen on the disk, then the manifest, then the folder is renamed. What has no
manifest that holds is no checkpoint. Newest means the highest step: times are never looked at.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from backend.errors import TrainingFailed
from backend.files import manifest
from backend.files.atomic import fsync
from backend.files.listing import files_in

log = logging.getLogger(__name__)

KEPT = 2  # the newest valid ones; the best one is kept besides
_NAME = re.compile(r"step-(\d+)")
_UNFINISHED = ".unfinished-"


class Found(NamedTuple):
    """newest: the checkpoint to go on from, if any. damaged: newer ones that can't be used."""

    newest: Path | None
    damaged: list[Path]


def path(parent: Path, step: int) -> Path:
    """Where the checkpoint of `step` lies, or would."""
    return parent / f"step-{step}"


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint folder, -1 if it is not named like one."""
    found = _NAME.fullmatch(checkpoint.name)
    return int(found.group(1)) if found else -1


def find(parent: Path, *, content: bool = True) -> Found:
    """The checkpoint to go on from: sizes are checked, and with `content` every file's SHA-256.

    Raises TrainingFailed when one was made by another run.
    """
    damaged: list[Path] = []
    for folder in _by_step(parent):
        if is_valid(folder, content=content):
            _must_be_ours(folder)
            return Found(folder, damaged)
        log.warning("%s is damaged or unfinished; an earlier checkpoint is used", folder.name)
        damaged.append(folder)
    return Found(None, damaged)


def newest(parent: Path) -> Path | None:
    """The valid checkpoint with the highest step; None when there is none. Raises TrainingFailed like `find`."""
    return find(parent).newest


def is_valid(checkpoint: Path, *, content: bool) -> bool:
    """Whether the manifest holds: the files' sizes, and with `content` their SHA-256."""
    noted = manifest.read(checkpoint)
    return (
        noted is not None and noted.get("step") == step_of(checkpoint) and manifest.holds(checkpoint, content=content)
    )


def _must_be_ours(checkpoint: Path) -> None:
    run = checkpoint.parent.parent.name
    if (manifest.read(checkpoint) or {}).get("run", run) != run:
        raise TrainingFailed(
            "A saved state in this run's folder is not of this run.",
            f"{checkpoint.name} was made by another one.",
            "Take it out of the folder checkpoints, then resume the run.",
        )


@contextmanager
def writing(parent: Path, step: int) -> Iterator[Path]:
    """An empty folder to write the files of a checkpoint into; it becomes step-`step` when the block ends well.

    Raises OSError when something can't be written; earlier checkpoints are then as they were.
    """
    target = path(parent, step)
    unfinished = parent / f"{_UNFINISHED}{target.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        for file in files_in(unfinished):
            fsync(file)
        manifest.write(unfinished, {"step": step, "run": parent.parent.name})
        fsync(unfinished / manifest.NAME)
        fsync(unfinished)
        if target.exists():  # of an earlier attempt, and not the one resumed from
            _remove(target)
        os.replace(unfinished, target)
        fsync(parent)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def prune(parent: Path, best: int | None) -> None:
    """Removes all but the newest KEPT valid checkpoints and the one of step `best`."""
    kept = 0
    for folder in _by_step(parent):
        valid = is_valid(folder, content=False)
        if valid and (kept < KEPT or step_of(folder) == best):
            kept += 1
        else:
            _remove(folder)
    for left in parent.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


def _by_step(parent: Path) -> list[Path]:
    found = [folder for folder in parent.glob("step-*") if step_of(folder) >= 0]
    return sorted(found, key=step_of, reverse=True)


def _remove(checkpoint: Path) -> None:
    (checkpoint / manifest.NAME).unlink(missing_ok=True)  # first: what is half removed is no checkpoint
    shutil.rmtree(checkpoint, ignore_errors=True)
