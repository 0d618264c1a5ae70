"""Checkpoints, saved so that a crash, a full disk or a clock set back never costs more
than the newest one.

    checkpoints/step-N/   weights.safetensors optimizer.safetensors rng.safetensors state.json
                          MANIFEST.json (sizes and SHA-256 of all the others)

Files are written under a temporary name, then the manifest; all are synced, and the
folder is renamed. One without a valid manifest is not a checkpoint. Newest means the
highest step; file times are never used.
"""

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from backend.errors import TrainingFailed
from backend.files import manifest
from backend.files.atomic import UNFINISHED, new_folder

log = logging.getLogger(__name__)

KEPT = 2  # newest valid checkpoints; the best one is kept too
_NAME = re.compile(r"step-(\d+)")


class Found(NamedTuple):
    """newest: the checkpoint to resume from, if any. damaged: newer ones that can't be
    used.
    """

    newest: Path | None
    damaged: list[Path]


def path(parent: Path, step: int) -> Path:
    """The folder of the checkpoint of `step`."""
    return parent / f"step-{step}"


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint folder, -1 if it does not have such a name."""
    match = _NAME.fullmatch(checkpoint.name)
    return int(match.group(1)) if match else -1


def find(parent: Path, *, content: bool = True) -> Found:
    """The checkpoint to resume from; checks file sizes, and with `content` every file's
    SHA-256. Raises TrainingFailed when it belongs to another run.
    """
    damaged: list[Path] = []
    for folder in _by_step(parent):
        if is_valid(folder, content=content):
            run = parent.parent.name
            if (manifest.read(folder) or {}).get("run", run) != run:
                raise TrainingFailed(
                    "A checkpoint in this run's folder belongs to another run.",
                    f"{folder.name} was saved by a different run.",
                    "Remove it from the folder checkpoints, then resume the run.",
                )
            return Found(folder, damaged)
        log.warning(
            "%s is damaged or incomplete; trying an earlier checkpoint", folder.name
        )
        damaged.append(folder)
    return Found(None, damaged)


def is_valid(checkpoint: Path, *, content: bool) -> bool:
    """Whether the files match the manifest: their sizes, and with `content` their
    SHA-256.
    """
    return manifest.holds(checkpoint, content=content, step=step_of(checkpoint))


@contextmanager
def writing(parent: Path, step: int) -> Iterator[Path]:
    """An empty folder for the files of a checkpoint; it becomes step-`step` when the
    block succeeds. Raises OSError when a file can't be written; earlier checkpoints
    then stay as they are.
    """
    with new_folder(path(parent, step)) as unfinished:
        yield unfinished
        manifest.write(unfinished, {"step": step, "run": parent.parent.name})


def prune(parent: Path, best: int | None) -> None:
    """Deletes all but the newest KEPT valid checkpoints and the one of step `best`."""
    kept = 0
    for folder in _by_step(parent):
        valid = is_valid(folder, content=False)
        if valid and (kept < KEPT or step_of(folder) == best):
            kept += 1
        else:
            _remove(folder)
    for left in parent.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


def _by_step(parent: Path) -> list[Path]:
    folders = [folder for folder in parent.glob("step-*") if step_of(folder) >= 0]
    return sorted(folders, key=step_of, reverse=True)


def _remove(checkpoint: Path) -> None:
    (checkpoint / manifest.NAME).unlink(
        missing_ok=True
    )  # first: a half-deleted folder is not a checkpoint
    shutil.rmtree(checkpoint, ignore_errors=True)
