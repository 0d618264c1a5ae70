"""Exports as the page shows them."""

from contextlib import suppress
from pathlib import Path

from backend.errors import NotEnough
from backend.export import page_to_give
from backend.export.merge import memory_needed
from backend.export.target import gguf_disk, merged_disk
from backend.gguf import sizes as gguf_sizes
from backend.gguf.convert import TYPES
from backend.models import model_folder
from backend.records.exports import ExportResult
from backend.records.units import MIB
from jobs.records import Failure, Job, State
from ui.records.share import ExportStatus
from ui.text import format as fmt

DAMAGED = Failure(
    what="The result of this export can't be read.",
    why="Its file status.json is damaged, or of a version that is not supported.",
    next="Make the export again.",
)


def export_status(exports: Path, job: Job) -> ExportStatus:
    """An export with its files in a folder of `exports`."""
    result = (
        job.result_as(ExportResult) if job.state is State.COMPLETED else ExportResult()
    )
    if result is None:
        job = job.model_copy(update={"state": State.FAILED, "failure": DAMAGED})
    return ExportStatus(job, exports / job.id, result or ExportResult())


def sizes(model: Path, adapter: Path) -> dict[str, tuple[float, float]]:
    """The size of each kind of export, from and to (MiB), computed from the files that
    it is made of. A merged model is saved in 16 bits, or in 32 where 16 would lose too
    much of the training (`export.merge`).
    """
    weights, tokenizer = _size(model, "*.safetensors"), _size(model, "tokenizer*")
    learned = _size(adapter, "*")  # its tokenizer included
    wide = weights if model_folder.saved_dtype(model) == "float32" else 2 * weights
    types = {kind: gguf_sizes.size(model, kind) / MIB for kind in TYPES}
    page = 0.0  # too large
    with suppress(NotEnough):
        page = types[page_to_give.kind_for(model)] + page_to_give.OWN_MIB
    return {
        "adapter": (learned, learned),
        "merged": (weights + tokenizer, wide + tokenizer),
        **{f"gguf:{kind}": (mib, mib) for kind, mib in types.items()},
        "page": (page, page),
        "home": (learned + types["Q8_0"], learned + types["Q8_0"]),
    }


def needs(model: Path) -> str:
    """The disk space and memory for exporting a model trained from the one in `model`,
    computed from its files.
    """
    if not any(model.glob("*.safetensors")):
        return (
            "The base model is no longer on this computer. A merged or GGUF file is "
            "made of it, so download it again in step 1 first; its size is shown "
            "there."
        )
    whole = fmt.size(_size(model, "*.safetensors"))
    disk = fmt.size(max(merged_disk(model), gguf_disk(model, ["Q8_0"])) / MIB)
    memory = fmt.size(memory_needed(model) / MIB)
    return (
        f"Making a file of the result takes up to {disk} of disk space and about "
        f"{memory} of memory (computed). It uses the base model's own weights "
        f"({whole}), which are on this computer already: nothing more is downloaded."
    )


def _size(folder: Path, pattern: str) -> float:
    return (
        sum(file.stat().st_size for file in folder.glob(pattern) if file.is_file())
        / MIB
    )
