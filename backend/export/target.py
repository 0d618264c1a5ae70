"""Where an export goes, and what it needs there."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from backend.errors import BadSetting
from backend.export import merge
from backend.export.formats import PAGE
from backend.export.source import Source
from backend.files.listing import files_in
from backend.gguf import convert as gguf
from backend.gguf import sizes
from backend.gguf.requirement import require_quantizer
from backend.models import bundled, model_folder
from backend.records.units import MIB
from backend.runs import start
from backend.work import Report, require_disk

LOG = "gguf.log"  # in the job's folder: what the process writes that opens GGUF files


@dataclass(frozen=True)
class Target:
    """The files of an export."""

    to: str  # one of FORMATS, or several GGUF types
    name: str  # with which the names of the files begin
    folder: Path  # of the job
    work: Path  # the folder for what is needed meanwhile
    place: Path  # the folder of the finished files
    kinds: list[str]  # GGUF types, none for the other formats
    merged: Path  # the folder of the merged model, of which GGUF files are made too
    wide: bool = False  # merge in float32: 16 bits lose too much of what was learned

    @classmethod
    def of(cls, to: str, name: str, folder: Path) -> Self:
        work = folder / "work"
        kinds = [part.partition(":")[2] for part in to.split(",") if ":" in part]
        merged = work / name if kinds or to == PAGE else work / "out" / f"{name}-merged"
        return cls(to, name, folder, work, work / "out", kinds, merged)

    def require(self, source: Source, report: Report) -> None:
        """Check that everything needed is here. Raises MissingPart, BadSetting,
        NotEnough.
        """
        full = source.run.settings.method == "full"
        if full and self.to == "adapter":
            raise BadSetting(
                "This run has no adapter.",
                "All weights were trained.",
                "Choose the merged model.",
            )
        if self.to != "script":  # the script needs no result: it trains again
            (model_folder.check if full else model_folder.check_adapter)(source.learned)
        if self.kinds:
            gguf.converter()
        if quantized := sorted(set(self.kinds) - set(gguf.BY_CONVERTER)):
            require_quantizer(
                f"Files of the type {', '.join(quantized)} can't be made here yet."
            )
        if source.run.model.id == bundled.MODEL_ID:
            bundled.ensure(source.workspace, report)
        if self.to == "merged" or self.kinds:
            merge.require_memory(source.run.model.path)
        advice = "Free some disk space, or choose a smaller format."
        require_disk(
            self.folder, self._disk(source), "while this export is made", advice
        )

    def _disk(self, source: Source) -> int:
        """Bytes."""
        if self.to == "script":
            weights = _bytes_in(start.folder(source.folder))
            data = _bytes_in(source.folder / "data") - weights
            full = source.run.settings.method == "full"
            trained = (
                model_folder.weight_bytes(source.run.model.path) if full else weights
            )
            return (
                20 * data + 2 * (weights + trained) + 50 * MIB
            )  # a copy and its zip file; the trial, in float32
        if self.to == "adapter":
            return 2 * _bytes_in(source.learned) + 50 * MIB
        model = source.run.model.path
        pages = (
            6 * sizes.size(model, self.kinds[0]) + 100 * MIB if self.to == PAGE else 0
        )  # two folders, zipped
        return pages + (
            merged_disk(model) if self.to == "merged" else gguf_disk(model, self.kinds)
        )


def merged_disk(model: Path) -> int:
    """Bytes of disk to make a merged model: a folder and its zip file, in float32 where
    16 bits lose too much.
    """
    return model_folder.weight_bytes(model) * 4 + 50 * MIB


def gguf_disk(model: Path, kinds: Iterable[str]) -> int:
    """Bytes of disk to make GGUF files: the merged model, the F16 file, and the others."""
    return (
        2 * model_folder.weight_bytes(model)
        + sum(sizes.size(model, kind) for kind in {"F16", *kinds})
        + 50 * MIB
    )


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in files_in(folder))
