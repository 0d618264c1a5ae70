"""A base model as a GGUF file (Q8_0), made once and stored in the workspace's cache."""

import hashlib
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from backend.errors import BadInput
from backend.files.atomic import delete_folder, replace_file
from backend.gguf import convert
from backend.gguf.convert import UnsupportedModel
from backend.models import model_folder
from backend.models.bundled import ReportProgress
from backend.records.units import MIB
from backend.settings import Workspace
from backend.work import require_disk

KIND = "Q8_0"
PHASE = "Preparing the model for fast answers (once)"
_MIB_PER_SECOND = 30  # of weights, measured with the bundled model (257 MiB in 8 s on two processor cores)
_DISK = 0.6  # times the weights, which are in 16 bits


def base_file(workspace: Workspace, model: Path, progress: ReportProgress) -> Path:
    """The GGUF file of the model in the folder `model`; converts it first where it is
    new or has changed. Raises MissingPart, NotEnough, ExportFailed, and
    UnsupportedModel for one that llama.cpp does not support.
    """
    file = path(workspace, model)
    folder = file.parent
    folder.mkdir(parents=True, exist_ok=True)
    unsupported = file.with_suffix(".unsupported")
    with _lock(folder, model):
        if file.is_file():
            return file
        if unsupported.is_file():
            raise UnsupportedModel("llama.cpp does not support this model.", "", "")
        _delete(
            folder, model
        )  # of an earlier version of the model, or left over from a conversion that was killed
        require_disk(folder, _DISK * model_folder.weight_bytes(model))
        progress(PHASE, 0, 1)
        try:
            with tempfile.TemporaryDirectory(
                prefix=f"{_key(model)}-making-", dir=folder
            ) as work:
                made = Path(work) / file.name
                convert.convert(model, made, kind=KIND)
                replace_file(made, file)
        except UnsupportedModel:
            unsupported.touch()
            raise
    return file


def path(workspace: Workspace, model: Path) -> Path:
    """Where the GGUF file of the model in the folder `model` is, or would be."""
    return _folder(workspace) / f"{key(model)}-{KIND}.gguf"


def seconds_to_make(workspace: Workspace, model: Path) -> float:
    """About how long `base_file` takes for the model in the folder `model`; 0 where it
    has nothing to convert.
    """
    file = path(workspace, model)
    if file.is_file() or file.with_suffix(".unsupported").is_file():
        return 0.0
    return model_folder.weight_bytes(model) / MIB / _MIB_PER_SECOND


def delete(workspace: Workspace, model: Path) -> float:
    """Deletes the GGUF file of the model in the folder `model`, if there is one.
    Returns the MiB that became free. Raises BadInput while the file is being made;
    OSError.
    """
    folder = _folder(workspace)
    if not folder.is_dir():
        return 0.0
    try:
        with _lock(folder, model, timeout=0):
            return _delete(folder, model)
    except Timeout as error:
        raise BadInput(
            "This model is being prepared for answers.",
            "",
            "Wait a moment, then try again.",
        ) from error


def _delete(folder: Path, model: Path) -> float:
    """Deletes whatever was made of the model, and returns its MiB. The model's lock
    must be held.
    """
    size = 0
    for path in folder.glob(f"{_key(model)}-*"):
        size += sum(
            file.stat().st_size for file in (path, *path.glob("*")) if file.is_file()
        )
        delete_folder(path) if path.is_dir() else path.unlink()
    return size / MIB


def _folder(workspace: Workspace) -> Path:
    return workspace.cache / "gguf"


def _lock(folder: Path, model: Path, timeout: float = -1) -> FileLock:
    return FileLock(folder / f".{_key(model)}.lock", timeout=timeout)


def key(model: Path) -> str:
    """Names the model in the folder `model` as it is now: differs from that of any
    other model or version, judging by the names, sizes and times of its files.
    """
    sha = hashlib.sha256()
    for file in sorted(model.iterdir()):
        if file.is_file() and file.suffix in (".safetensors", ".json", ".jinja"):
            stat = file.stat()
            sha.update(f"{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    return f"{_key(model)}-{sha.hexdigest()[:12]}"


def _key(model: Path) -> str:
    """Names the model in the folder `model`, whatever its version: always 16
    hexadecimal digits.
    """
    return hashlib.sha256(str(model.resolve()).encode()).hexdigest()[:16]
