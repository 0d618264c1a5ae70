"""Exports as the page shows them."""

from __future__ import annotations

from pathlib import Path

from backend.export.merge import memory_needed
from backend.export.request import gguf_disk, merged_disk
from backend.gguf import sizes as gguf_sizes
from backend.gguf.convert import TYPES
from backend.models import model_folder
from backend.records.units import MIB
from jobs.records import Job, State
from ui.records.share import ExportFile, ExportStatus, GgufSize, ProgramGuide
from ui.text import format as fmt

NO_BASE = (
    "The base model is no longer on this computer. A merged or GGUF file is made of it, so download it again in "
    "step 1 first; its size is shown there."
)


def passed(job: Job) -> bool:
    """Whether an export completed and none of its checks failed."""
    checks = job.result.get("checks", [])
    return job.state is State.COMPLETED and all(check["ok"] is not False for check in checks)


def export_status(job: Job, folder: Path) -> ExportStatus:
    """An export (its job is named after what it makes) with its checks, and its files in `folder`."""
    files = job.result.get("files", []) if job.state is State.COMPLETED else []
    files = sorted(files, key=lambda file: -file["bytes"])  # the model before the texts about it
    return ExportStatus(
        id=job.id,
        to=job.name,
        state=job.state,
        active=not job.state.is_terminal,
        progress=job.progress,
        failure=job.failure,
        files=tuple(
            ExportFile(file["name"], folder / file["name"], file["bytes"] / MIB, file.get("sha256", ""))
            for file in files
        ),
        checks=tuple((check["ok"], str(check["sentence"])) for check in job.result.get("checks", [])),
        sizes=tuple(
            GgufSize(
                one["kind"],
                one["bytes"] / MIB,
                one["kl"],
                one["same_choice"],
                one["places"],
                one["too_narrow"],
                one["recommended"],
                fmt.task_score(one.get("task")),
            )
            for one in job.result.get("sizes", [])
        ),
        guides=tuple(
            ProgramGuide(one["name"], one["what"], tuple(one["steps"]), one["code"], one["source"])
            for one in job.result.get("programs", [])
        ),
    )


def sizes(model: Path, adapter: Path) -> dict[str, tuple[float, float]]:
    """The size of each kind of export, from and to (MiB), computed from the files that it is made of.

    A merged model is saved in 16 bits, or in 32 where 16 would lose too much of the training (`export.merge`).
    """
    weights, tokenizer = _size(model, "*.safetensors"), _size(model, "tokenizer*")
    learned = _size(adapter, "*")  # its tokenizer included
    wide = weights if model_folder.saved_dtype(model) == "float32" else 2 * weights
    types = {kind: gguf_sizes.size(model, kind) / MIB for kind in TYPES}
    return {
        "adapter": (learned, learned),
        "merged": (weights + tokenizer, wide + tokenizer),
        **{f"gguf:{kind}": (mib, mib) for kind, mib in types.items()},
        "home": (learned + types["Q8_0"], learned + types["Q8_0"]),
    }


def needs(model: Path) -> str:
    """The disk space and memory for exporting a model trained from the one in `model`, computed from its files."""
    if not any(model.glob("*.safetensors")):
        return NO_BASE
    whole = fmt.size(_size(model, "*.safetensors"))
    disk = fmt.size(max(merged_disk(model), gguf_disk(model, ["Q8_0"])) / MIB)
    memory = fmt.size(memory_needed(model) / MIB)
    return (
        f"Making a file of the result takes up to {disk} of disk space and about {memory} of memory "
        f"(computed). It uses the base model's own weights ({whole}), which are on this computer already: nothing "
        "more is downloaded."
    )


def too_narrow(model: Path) -> dict[str, float]:
    """The share of a model's weights that take a larger GGUF type, because their width does not fit it, by type."""
    return {kind: gguf_sizes.too_narrow(model, kind) for kind in TYPES}


def _size(folder: Path, pattern: str) -> float:
    return sum(file.stat().st_size for file in folder.glob(pattern) if file.is_file()) / MIB
