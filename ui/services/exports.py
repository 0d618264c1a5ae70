"""Exports as the page shows them."""

from __future__ import annotations

from pathlib import Path

from backend.models import model_folder
from backend.records.units import MIB
from jobs.records import Job, State
from ui.records import ExportFile, ExportStatus, ProgramGuide


def export_status(job: Job, folder: Path) -> ExportStatus:
    """An export (its job is named after what it makes) with its checks, and its files in `folder`."""
    files = job.result.get("files", []) if job.state is State.COMPLETED else []
    return ExportStatus(
        id=job.id,
        to=job.name,
        state=job.state,
        active=not job.state.is_terminal,
        progress=job.progress,
        failure=job.failure,
        files=tuple(ExportFile(file["name"], folder / file["name"], file["bytes"] / MIB) for file in files),
        checks=tuple((check["ok"], str(check["sentence"])) for check in job.result.get("checks", [])),
        guides=tuple(
            ProgramGuide(one["name"], one["what"], tuple(one["steps"]), one["code"], one["source"])
            for one in job.result.get("programs", [])
        ),
    )


def sizes(model: Path, adapter: Path) -> dict[str, tuple[float, float]]:
    """The size of each kind of export, from and to (MiB), computed from the files that it is made of.

    A GGUF at Q8_0 stores 34 bytes for each 32 weights, which take 64 bytes in 16 bits. A merged model is saved in 16
    bits, or in 32 where 16 would lose too much of the training (`backend.export.merge`).
    """
    weights, tokenizer = _size(model, "*.safetensors"), _size(model, "tokenizer*")
    learned = _size(adapter, "*")  # its tokenizer included
    wide = weights if model_folder.saved_dtype(model) == "float32" else 2 * weights
    gguf = wide / 4 * 34 / 32
    return {
        "adapter": (learned, learned),
        "merged": (weights + tokenizer, wide + tokenizer),
        "gguf:Q8_0": (gguf, gguf),
    }


def _size(folder: Path, pattern: str) -> float:
    return sum(file.stat().st_size for file in folder.glob(pattern) if file.is_file()) / MIB
