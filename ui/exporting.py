"""Exports as the page shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.models import Job, State
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


def sizes(model: Path, adapter: Path) -> dict[str, float]:
    """What each export will weigh (MiB), computed from the files that it is made of: a GGUF at Q8_0 keeps 34 bytes
    for each 32 weights, which take 64 in bf16."""
    merged = _weight(model)
    return {"adapter": _weight(adapter), "merged": merged, "gguf:Q8_0": merged * 34 / 64}


def _weight(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) / MIB
