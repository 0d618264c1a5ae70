"""The inputs of an export: the run and its result, file names, folders, and the examples to check it with."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import ValidationError

from backend.chat.engine import Messages
from backend.errors import BadSetting, NotEnough, RunProblem
from backend.evaluation.work import REPORT
from backend.export import checks as export_checks
from backend.export import divergence, merge
from backend.export.formats import jobs_for, slug
from backend.export.four_bit_base import FourBitBase
from backend.export.model_card import Evaluation
from backend.files.json_file import read_json
from backend.files.listing import files_in
from backend.gguf import convert as gguf
from backend.gguf import sizes
from backend.gguf.requirement import require_llama_cpp_python
from backend.models import bundled, local, model_folder
from backend.records.base import Record
from backend.records.encoded import IGNORED
from backend.records.evaluation import EvaluationReport
from backend.records.specs import Precision, RunSpec
from backend.records.units import MIB, format_sizes
from backend.runs import start
from backend.runs.conversations import usual_instruction
from backend.runs.token_rows import TokenRow, read_rows
from backend.training import oom
from backend.training.device import Device
from backend.training.state.resume import DEVICE
from backend.work import JobContext

log = logging.getLogger(__name__)

_PROMPTS = 3  # validation conversations to answer
_LONGEST = 512  # tokens of an example that the checks use
_FALLBACK: Messages = ({"role": "user", "content": "What can you help me with?"},)


class ExportSpec(Record):
    """An export as requested: the run's id, one of FORMATS or several GGUF types, and a name for the files.

    base: the weights that the adapter of a QLoRA run is merged into, the model's own or those of the training.
    evaluation: the job that evaluated the model, "" for none; scores: what it found, in words.
    """

    run: str
    to: str
    name: str = ""
    base: Literal["original", "trained"] = "original"
    evaluation: str = ""
    scores: Evaluation | None = None


class Stopped(Exception):
    """The person stopped the export."""


@dataclass
class ExportRequest:
    """An export in progress.

    run: with the settings as used. work: a folder for intermediate files; out: the folder for the finished files.
    """

    CHECKS: ClassVar = ("parity", "merge", "loss", "template", "same", "task", "smoke")  # by their names in `result`

    context: JobContext
    to: str
    run: RunSpec
    run_folder: Path
    name: str
    work: Path
    base: str = "original"
    evaluation: str = ""
    scores: Evaluation | None = None
    result: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, context: JobContext) -> ExportRequest:
        """The request in `context.spec`. Raises BadSetting if it is invalid, RunProblem if there is no such run."""
        try:
            spec = ExportSpec.model_validate(context.spec)
        except ValidationError as error:
            raise BadSetting(
                "The export can't be made.", f"{error.errors()[0]['msg']}.", "Choose the export again."
            ) from error
        if jobs_for(spec.to) != [spec.to]:
            raise BadSetting(
                "These formats are not made together.", "", "Choose GGUF types only, or one other format."
            )
        run_folder = context.workspace.run_folder(spec.run)
        run = oom.spec_used(run_folder, local.read_run(run_folder))
        if spec.base == "trained" and run.settings.method != "qlora":
            raise BadSetting(
                "This run has no 4-bit base.", "It was not trained with QLoRA.", "Merge into the original weights."
            )
        work = context.folder / "work"
        name = slug(spec.name or run.name)
        return cls(context, spec.to, run, run_folder, name, work, spec.base, spec.evaluation, spec.scores)

    @property
    def kinds(self) -> list[str]:
        """The GGUF types, none for the other formats."""
        return [one.partition(":")[2] for one in self.to.split(",") if ":" in one]

    @property
    def out(self) -> Path:
        return self.work / "out"

    @property
    def full(self) -> bool:
        """Whether all weights were trained, so that the result is a model and not an adapter."""
        return self.run.settings.method == "full"

    @property
    def trained_folder(self) -> Path:
        """The folder with the result of the run: the adapter, or the complete model."""
        return self.run_folder / "result" / ("model" if self.full else "adapter")

    @property
    def four_bit_base(self) -> FourBitBase | None:
        """The 4-bit base that a QLoRA run trained on; None for other runs."""
        if self.run.settings.method != "qlora":
            return None
        return FourBitBase(self.run.model.path, self.run.settings, _precision(self.run_folder))

    @property
    def instruction(self) -> str:
        """The system message that most examples of the run carry, "" for none."""
        return usual_instruction(self.run_folder)

    def report(self) -> EvaluationReport | None:
        """The report of the model's evaluation, for another computer; None without one that can be read."""
        if not (self.evaluation and self.scores):
            return None
        try:
            report = read_json(self.context.workspace.run_folder(self.evaluation) / REPORT)
            return EvaluationReport.model_validate(report).elsewhere()
        except (OSError, ValueError, RunProblem):
            log.warning("the report of %s is left out", self.evaluation, exc_info=True)
            return None

    def report_phase(self, name: str, done: int, total: int) -> None:
        """Report the progress. Raises Stopped when the person stopped the export."""
        self.raise_if_stopped()
        self.context.progress(name, done, total)

    def raise_if_stopped(self) -> None:
        """Raises Stopped when the person stopped the export."""
        if self.context.should_stop():
            raise Stopped

    def record_check(self, name: str, check: dict[str, Any]) -> None:
        """Add the result of a check to the result of the job; one that has failed once stays so."""
        if check["ok"] is False:
            log.error("%s failed: %s", name, check)
        if self.result.get(name, {}).get("ok") is not False:
            self.result[name] = check

    def check(self) -> None:
        """Check that the run has a result and everything needed is here. Raises MissingPart, BadSetting,
        NotEnough."""
        if self.full and self.to == "adapter":
            raise BadSetting("This run has no adapter.", "All weights were trained.", "Choose the merged model.")
        if self.to != "script":  # the script needs no result: it trains again
            (model_folder.check if self.full else model_folder.check_adapter)(self.trained_folder)
        if self.kinds:
            gguf.converter()
        if others := sorted(set(self.kinds) - set(gguf.BY_CONVERTER)):
            require_llama_cpp_python(f"Files of the type {', '.join(others)} can't be made here yet.")
        if self.run.model.id == bundled.MODEL_ID:
            bundled.ensure(self.context.workspace, self.context.progress)
        if self.to == "merged" or self.kinds:
            merge.require_memory(self.run.model.path)
        needed, free = self._disk_needed() // MIB, shutil.disk_usage(self.context.folder).free // MIB
        if free < needed:
            needs, has = format_sizes(needed, free)
            raise NotEnough(
                "There is not enough disk space for this export.",
                f"It needs {needs} while it is made, and {has} is free.",
                "Free some disk space, or choose a smaller format.",
            )

    def prompts(self) -> list[Messages]:
        """Validation conversations to answer."""
        return [list(prompt) for prompt in self.run.data.held_out_prompts[:_PROMPTS]] or [_FALLBACK]

    def rows(self) -> list[dict[str, list[int]]]:
        """Rows to compare probabilities on, {input_ids, labels}: validation rows if there are any, shortened."""
        train, validation = read_rows(self.run_folder)
        return [_shortened(row) for row in (validation or train)[: export_checks.ROWS]]

    def _disk_needed(self) -> int:
        """Bytes."""
        if self.to == "script":
            weights = sum(file.stat().st_size for file in files_in(start.folder(self.run_folder)))
            data = sum(file.stat().st_size for file in files_in(self.run_folder / "data")) - weights
            return 20 * data + 4 * weights + 50 * MIB  # the weights: a copy, the zip file, and the trial's result
        if self.to == "adapter":
            return 2 * sum(file.stat().st_size for file in files_in(self.trained_folder)) + 50 * MIB
        model = self.run.model.path
        rounded = model_folder.weight_bytes(model) if self.base == "trained" else 0
        return rounded + (merged_disk(model) if self.to == "merged" else gguf_disk(model, self.kinds))


def _shortened(row: TokenRow) -> dict[str, list[int]]:
    """The start of a row; where nothing in it is learned, as after a long prompt, the first token and the end."""
    ids, labels = row.input_ids.tolist(), row.labels.tolist()
    if len(ids) > _LONGEST and all(label == IGNORED for label in labels[:_LONGEST]):
        end = 1 - _LONGEST
        return {"input_ids": [*ids[:1], *ids[end:]], "labels": [*labels[:1], *labels[end:]]}
    return {"input_ids": ids[:_LONGEST], "labels": labels[:_LONGEST]}


def merged_disk(model: Path) -> int:
    """Bytes of disk to make a merged model: a folder and its zip file, in float32 where 16 bits lose too much."""
    return model_folder.weight_bytes(model) * 4 + 50 * MIB


def gguf_disk(model: Path, kinds: Iterable[str]) -> int:
    """Bytes of disk to make GGUF files: the merged model, the F16 file, the others, and the comparison."""
    files = sum(sizes.size(model, kind) for kind in {"F16", *kinds})
    compared = divergence.disk_needed(export_checks.ROWS, sizes.vocabulary(model))
    return 2 * model_folder.weight_bytes(model) + files + compared + 50 * MIB


def _precision(run_folder: Path) -> Precision:
    """The precision that the run trained in, from device.json."""
    try:
        return Device(**json.loads((run_folder / DEVICE).read_text("utf-8"))).precision
    except (OSError, ValueError, TypeError):
        return "bf16"
