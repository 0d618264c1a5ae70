"""A base model as a GGUF file (Q8_0), made once and stored in the workspace's cache."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from filelock import FileLock

from backend.errors import ExportFailed, NotEnough
from backend.gguf import convert
from backend.hardware.probe import disk_free_mib
from backend.models import model_folder
from backend.models.bundled import ReportProgress
from backend.records.units import MIB
from backend.settings import Workspace

KIND = "Q8_0"
PHASE = "Preparing the model for fast answers (once)"
_DISK = 1.8  # times the weights: the F16 file that is quantized, and the result


def base_file(workspace: Workspace, model: Path, progress: ReportProgress) -> Path:
    """The GGUF file of the model in the folder `model`; converts it first where it is new or has changed.

    Raises MissingPart, NotEnough, and ExportFailed for a model that llama.cpp does not support; that is remembered.
    """
    folder = workspace.cache / "gguf"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{model.name}-{_fingerprint(model)}-{KIND}.gguf"
    failed = file.with_suffix(".unsupported")
    with FileLock(folder / f".{model.name}.lock"):
        if file.is_file():
            return file
        if failed.is_file():
            raise ExportFailed("llama.cpp does not support this model.", "", "")
        needed, free = int(_DISK * model_folder.weight_bytes(model)) // MIB, disk_free_mib(folder)
        if free < needed:
            raise NotEnough("There is not enough disk space.", f"{needed} MiB are needed, {free} MiB are free.", "")
        progress(PHASE, 0, 2)
        try:
            _make(model, file, progress)
        except ExportFailed:
            failed.touch()
            raise
        for outdated in folder.glob(f"{model.name}-*-{KIND}.*"):
            if outdated != file:
                outdated.unlink()
    return file


def _make(model: Path, file: Path, progress: ReportProgress) -> None:
    with tempfile.TemporaryDirectory(prefix=".making-", dir=file.parent) as work:
        f16, made = Path(work) / "f16.gguf", Path(work) / file.name
        convert.convert(model, f16)
        progress(PHASE, 1, 2)
        convert.quantize(f16, made, KIND)
        made.replace(file)


def _fingerprint(model: Path) -> str:
    """Differs when the model's files do, judging by their names, sizes and times."""
    sha = hashlib.sha256(str(model.resolve()).encode())
    for file in sorted(model.iterdir()):
        if file.is_file() and file.suffix in (".safetensors", ".json", ".jinja"):
            stat = file.stat()
            sha.update(f"{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return sha.hexdigest()[:12]
