"""Steps that several kinds of export share: merge, compare, write the card and the text about programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from backend.export import checks, four_bit_base, model_card, programs
from backend.export.merge import merge
from backend.export.programs import Program
from backend.export.request import ExportRequest
from backend.models import model_folder
from backend.records.units import MIB
from backend.tokens.tokenizer import ChatTokenizer

CHECKS = "CHECKS.json"  # beside the files, or in their folder
_TEXTS = 4  # rows to compare the merged model on


def merge_model(
    request: ExportRequest, folder: Path, *, for_gguf: bool = False, written: Callable[[], None] = lambda: None
) -> None:
    """Save the merged model in `folder`, with its tokenizer and card. written: called before it is checked; see
    `merge`. Raises NotEnough."""

    def report(done: int, total: int) -> None:
        request.report_phase("Merging", done // MIB, total // MIB)

    def complete() -> None:
        model_folder.make_portable(folder, request.run.model.id)
        model_folder.write_end_ids(folder, ChatTokenizer.load(request.trained_folder).stop_ids)
        write_card(request, folder, "merged")
        written()
        request.raise_if_stopped()

    rows, four_bit = request.rows(), request.four_bit_base
    model = request.run.model.path
    if four_bit and request.base == "trained":
        model = request.work / "four-bit-base"
        four_bit.write(model, report)
    check = merge(
        model,
        request.trained_folder,
        folder,
        [row["input_ids"] for row in rows[:_TEXTS]],
        report,
        for_gguf=for_gguf,
        written=complete,
    )
    if model != request.run.model.path:
        shutil.rmtree(model)
    request.record_check("merge", check.to_dict())
    if four_bit and four_bit_base.is_possible(four_bit.model):
        request.raise_if_stopped()
        found = four_bit_base.losses(four_bit, request.trained_folder, folder, rows)
        request.record_check("loss", found.to_dict(request.base))


def check_tokens(request: ExportRequest, folder: Path) -> None:
    """Check that transformers reads the folder's prompts as training did."""
    others = {"transformers": checks.through_transformers(folder)}
    tokenizer = ChatTokenizer.load(request.trained_folder)
    request.record_check("parity", checks.check_tokens(tokenizer, others, request.prompts()))


def write_card(request: ExportRequest, folder: Path, form: str) -> None:
    card = model_card.card(request.run, form, request.name, request.instruction, request.scores)
    (folder / "README.md").write_text(card, "utf-8")


def write_guides(request: ExportRequest, guides: Sequence[Program], file: Path) -> None:
    """Write where the model can be used, and put it into the job's result for the page."""
    file.write_text(programs.as_text(guides, request.instruction), "utf-8", "replace")
    request.result["programs"] = [asdict(guide) for guide in guides]


def write_checks(request: ExportRequest, file: Path) -> None:
    """Write the results of all checks so far, with their numbers.

    Without the answers of GGUF files, which may repeat examples: these files are uploaded and passed on.
    """
    found = {name: request.result[name] for name in request.CHECKS if name in request.result}
    if "smoke" in found:
        found["smoke"] = {
            kind: {name: value for name, value in check.items() if name != "text"}
            for kind, check in found["smoke"].items()
        }
    file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8", "replace")
