"""Exports as the page shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.models import model_folder
from jobs.records import Job, State
from ui.records import ExportFile, ExportLine

MIB = 1 << 20


def export_line(job: Job, folder: Path) -> ExportLine:
    """An export (its job is named after what it makes) with its files, which lie in `folder`, and its proofs."""
    files = job.result.get("files", []) if job.state is State.COMPLETED else []
    return ExportLine(
        id=job.id,
        to=job.name,
        state=job.state,
        active=not job.state.is_terminal,
        progress=job.progress,
        failure=job.failure,
        files=tuple(ExportFile(file["name"], folder / file["name"], file["bytes"] / MIB) for file in files),
        proofs=tuple(proofs(job.result)),
    )


def proofs(result: dict[str, Any]) -> list[tuple[bool | None, str]]:
    """What was proved about an export, as (passed, sentence); None: not tried."""
    return [(proof["ok"], str(proof["sentence"])) for proof in result.get("proofs", [])]


def sizes(model: Path, adapter: Path) -> dict[str, tuple[float, float]]:
    """What each export will weigh, at least and at most (MiB), computed from the files that it is made of.

    A GGUF at Q8_0 keeps 34 bytes for each 32 weights, which take 64 in 16 bits. A merged model is saved in 16 bits,
    or in 32 where that would lose too much of what was learned (`backend.export.merge`).
    """
    weights, around = _weight(model, "*.safetensors"), _weight(model, "tokenizer*")
    learned = _weight(adapter, "*")  # its tokenizer too
    wide = weights if model_folder.saved_dtype(model) == "float32" else 2 * weights
    small = wide / 4 * 34 / 32
    return {
        "adapter": (learned, learned),
        "merged": (weights + around, wide + around),
        "gguf:Q8_0": (small, small),
    }


def _weight(folder: Path, files: str) -> float:
    return sum(file.stat().st_size for file in folder.glob(files) if file.is_file()) / MIB
