"""What several kinds of export do: merge, compare the tokens, write the card and the text about programs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from backend.export import checks, model_card, programs
from backend.export.merge import merge
from backend.export.programs import Program
from backend.export.request import ExportRequest
from backend.models import model_folder
from backend.tokens.tokenizer import ChatTokenizer


def merge_model(request: ExportRequest, folder: Path, *, for_gguf: bool = False) -> None:
    """Save the merged model in `folder`, with its tokenizer and card. Raises NotEnough, ExportFailed."""
    if request.full:
        shutil.copytree(request.trained_folder, folder)
    else:
        texts = [row["input_ids"] for row in request.rows()[:4]]
        check = merge(request.run.model.path, request.trained_folder, folder, texts, for_gguf=for_gguf)
        request.record_check("merge", check.to_dict())
    model_folder.make_portable(folder, request.run.model.id)
    model_folder.write_end_ids(folder, ChatTokenizer.load(request.trained_folder).stop_ids)
    write_card(request, folder, "merged")


def check_tokens(request: ExportRequest, folder: Path) -> None:
    """Check that transformers reads the folder's prompts as training did. Raises ExportFailed."""
    others = {"transformers": checks.through_transformers(folder)}
    tokenizer = ChatTokenizer.load(request.trained_folder)
    request.record_check("parity", checks.check_tokens(tokenizer, others, request.prompts()))


def write_card(request: ExportRequest, folder: Path, form: str) -> None:
    card = model_card.card(request.run, form, request.name, request.instruction)
    (folder / "README.md").write_text(card, "utf-8")


def write_guides(request: ExportRequest, guides: Sequence[Program], file: Path) -> None:
    """Write where the model can be used, and put it into the job's result for the page."""
    file.write_text(programs.as_text(guides, request.instruction), "utf-8", "replace")
    request.result["programs"] = [asdict(guide) for guide in guides]
