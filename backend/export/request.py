"""What an export is made of and where: the run, its result, file names, folders, and the examples to prove it on."""

from __future__ import annotations

import logging
import re
import shutil
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.chat.engine import Messages
from backend.chat.gguf_engine import require_llama_cpp
from backend.errors import BadSetting, ExportFailed, NotEnough
from backend.export import checks as export_checks
from backend.export import gguf
from backend.files.listing import files_in
from backend.models import bundled, local, model_folder
from backend.records.specs import Record, RunSpec
from backend.runs.token_rows import read_rows
from backend.training import oom

log = logging.getLogger(__name__)

FORMATS = ("adapter", "merged", "script", *(f"gguf:{kind}" for kind in gguf.TYPES))
_PROMPTS = 3  # held-back conversations that are answered
_LONGEST = 512  # tokens of an example that the proofs look at
_FALLBACK: Messages = ({"role": "user", "content": "What can you help me with?"},)


class ExportSpec(Record):
    """What to export: the run's id, one of FORMS, and a name for the files."""

    run: str
    to: str
    name: str = ""


class Stopped(Exception):
    """The person asked to stop."""


@dataclass
class ExportRequest:
    """One export in the making.

    run: with the settings as used. work: a folder for what is needed on the way; out: what is given away lies there.
    """

    context: Any
    to: str
    run: RunSpec
    run_folder: Path
    name: str
    work: Path
    result: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Any) -> ExportRequest:
        """The order in `context.spec`. Raises BadSetting for a wrong one, RunProblem where the run is none."""
        try:
            spec = ExportSpec.model_validate(context.spec)
        except ValidationError as error:
            raise BadSetting(
                "The export can't be made.", f"{error.errors()[0]['msg']}.", "Choose it anew."
            ) from error
        if spec.to not in FORMATS:
            raise BadSetting(f"There is no export {spec.to[:40]!r}.", "", f"Choose one of: {', '.join(FORMATS)}.")
        run_folder = context.workspace.run_folder(spec.run)
        run = oom.spec_used(run_folder, local.read_run(run_folder))
        return cls(context, spec.to, run, run_folder, slug(spec.name or run.name), context.folder / "work")

    @property
    def kind(self) -> str:
        """The type of GGUF, "" for the other forms."""
        return self.to.partition(":")[2]

    @property
    def out(self) -> Path:
        return self.work / "out"

    @property
    def full(self) -> bool:
        """Whether all weights were trained, so that there is a model and no adapter."""
        return self.run.settings.method == "full"

    @property
    def learned(self) -> Path:
        """The folder with what was learned: the adapter, or the whole model."""
        return self.run_folder / "result" / ("model" if self.full else "adapter")

    def phase(self, name: str, done: int, total: int) -> None:
        """Tells the progress. Raises Stopped when a stop was asked for."""
        if self.context.should_stop():
            raise Stopped
        self.context.progress(name, done, total)

    def prove(self, name: str, proof: dict[str, Any]) -> None:
        """Keeps the proof in the result. Raises ExportFailed when it has failed."""
        self.result[name] = proof
        if proof["ok"] is False:
            log.error("%s failed: %s", name, proof)
            raise ExportFailed(
                "The export is not the model that was trained, so it is not offered.",
                proof["sentence"],
                "Take another form, such as the adapter or gguf:F16.",
            )

    def check(self) -> None:
        """That there is something to export, and all that is needed to do it.

        Raises MissingPart, BadSetting, NotEnough.
        """
        if self.full and self.to == "adapter":
            raise BadSetting("This run has no adapter.", "All weights were trained.", "Take the merged model.")
        if self.to != "script":  # which needs no model: it makes one
            (model_folder.check if self.full else model_folder.check_adapter)(self.learned)
        if self.kind:
            gguf.converter()
        if self.kind not in ("", "F16"):
            require_llama_cpp()
        if self.run.model.id == bundled.MODEL_ID:
            bundled.ensure(self.context.workspace, self.context.progress)
        needed, free = self._disk_needed() >> 20, shutil.disk_usage(self.context.folder).free >> 20
        if free < needed:
            raise NotEnough(
                "There is not enough room on the disk for this export.",
                f"It needs {needed} MiB for a moment, and {free} MiB are free.",
                "Free some space, or choose a smaller form.",
            )

    def prompts(self) -> list[Messages]:
        """Held-back conversations to answer."""
        return [list(prompt) for prompt in self.run.data.held_out_prompts[:_PROMPTS]] or [_FALLBACK]

    def rows(self) -> list[dict[str, list[int]]]:
        """Examples to rate answers on, {input_ids, labels}: held-back ones if there are any; long ones shortened."""
        train, validation = read_rows(self.run_folder)
        return [
            {"input_ids": row.input_ids[:_LONGEST].tolist(), "labels": row.labels[:_LONGEST].tolist()}
            for row in (validation or train)[: export_checks.ROWS]
        ]

    def _disk_needed(self) -> int:
        """Bytes: a folder and its zip; for GGUF the merged model, the F16 file and the smaller one; merging may need
        float32, twice the size of the weights on disk."""
        if self.to == "script":
            return 20 * sum(file.stat().st_size for file in files_in(self.run_folder / "data")) + (50 << 20)
        if self.to == "adapter":
            return 2 * sum(file.stat().st_size for file in files_in(self.learned)) + (50 << 20)
        weights = model_folder.weight_bytes(self.run.model.path)
        return weights * 4 + (50 << 20)


def slug(name: str, fallback: str = "model") -> str:
    """A file name from a name for people: small ASCII letters, digits and single dashes, at most 40."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or fallback
