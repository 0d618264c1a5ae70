"""The weights that a run starts from, where it continues another run: its own copy, in
data/start. With the copy, deleting or resuming the other run changes nothing; the
digest in the run's spec proves that it is the same at every attempt.
"""

import hashlib
import shutil
from pathlib import Path

from backend.errors import RunProblem
from backend.files import manifest
from backend.records.specs import RunSpec, TrainSettings

BASE = "base.json"  # in a run's folder: the files of its base model as the run began


def folder(run_folder: Path) -> Path:
    """Where a run has the weights that it starts from."""
    return run_folder / "data" / "start"


def continues(run: RunSpec) -> bool:
    """Whether the run starts from the weights of another one."""
    return run.descent is not None and bool(run.descent.weights)


def is_intact(run: RunSpec, run_folder: Path) -> bool:
    """Whether a run that continues another one still has the weights that it starts
    from. One that was imported from another computer has none. Raises OSError.
    """
    return run.descent is not None and digest(folder(run_folder)) == run.descent.weights


def digest(weights: Path) -> str:
    """The SHA-256 of the names and contents of the safetensors files in a folder.
    Raises OSError.
    """
    sha = hashlib.sha256()
    for file in sorted(weights.glob("*.safetensors")):
        sha.update(f"{file.name} {manifest.digest(file)}\n".encode())
    return sha.hexdigest()


def copy(run_folder: Path, result: Path, to: Path, expected: str) -> None:
    """Copies the weights in `result`, a folder in `run_folder`, to the folder `to` of a
    new run. Raises RunProblem when their digest is not the `expected` one, OSError.
    """
    target = folder(to)
    target.mkdir(parents=True)
    for file in sorted(result.glob("*.safetensors")):
        shutil.copyfile(file, target / file.name)
    if (run_folder / BASE).is_file():
        shutil.copyfile(run_folder / BASE, target / BASE)
    if digest(target) != expected:
        raise RunProblem(
            "The version to continue has just changed.",
            "It is being trained.",
            "Wait until it ends.",
        )


def shape(settings: TrainSettings) -> dict[str, object]:
    """The settings that a run must share with the one that it continues: those that
    give its weights their shape.
    """
    if settings.method == "full":
        return {"method": settings.method}
    return {
        name: getattr(settings, name)
        for name, setting in settings.facts().items()
        if setting.shape
    }


def differing(before: TrainSettings, now: TrainSettings) -> list[str]:
    """The settings in `now` that prevent a start from the weights of a run with the
    settings `before`.
    """
    if (before.method == "full") != (now.method == "full"):
        return ["method"]
    wanted, given = shape(before), shape(now)
    return [name for name in wanted if wanted[name] != given[name]]
