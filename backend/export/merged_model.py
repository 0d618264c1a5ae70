"""The merged model of an export, of which GGUF files are made too."""

from backend.export import four_bit_base, merge, model_card
from backend.export.source import Source
from backend.export.target import Report, Target
from backend.models import model_folder
from backend.records.exports import ExportFile, ExportResult
from backend.records.units import MIB
from backend.tokens.tokenizer import ChatTokenizer

_TEXTS = 4  # rows to compare the merged model on


def make(source: Source, target: Target, report: Report) -> list[ExportFile]:
    """Save the merged model with its tokenizer and card. Raises NotEnough, ExportFailed."""

    def merging(done: int, total: int) -> None:
        report("Merging", done // MIB, total // MIB)

    folder = target.merged
    # Of the 16-bit types, fp16 is the best that an F16 file can hold.
    dtype = "float32" if target.wide else "float16" if target.kinds else None
    merge.write(source.run.model.path, source.learned, folder, dtype, merging)
    model_folder.make_portable(folder, source.run.model.id)
    model_folder.write_end_ids(folder, ChatTokenizer.load(source.learned).stop_ids)
    card = model_card.card(source.run, "merged", target.name, source.instruction, source.requested.scores)
    (folder / model_card.FILE).write_text(card, "utf-8")  # the GGUF converter reads it
    return [ExportFile(name=folder.name, bytes=model_folder.weight_bytes(folder))]


def check(source: Source, target: Target, files: list[ExportFile], report: Report) -> ExportResult:
    """Check that the merged model is what was trained, and after QLoRA also how much its loss has changed."""
    texts = [row["input_ids"] for row in source.rows[:_TEXTS]]
    base = source.run.model.path
    result = ExportResult(merge=merge.check(base, source.learned, target.merged, texts))
    if source.run.settings.method != "qlora" or not four_bit_base.is_possible(base):
        return result
    report.poll()
    return result.joined(ExportResult(loss=four_bit_base.check_loss(source, target.merged)))
