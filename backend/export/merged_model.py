"""The merged model of an export, of which GGUF files are made too, and what merging a
QLoRA adapter costs.

bitsandbytes rounds each linear weight of the base to 4 bits (NF4, double quantization),
and training computes with the rounded values. An adapter learned to correct those too,
so that it fits them, and not the weights on disk, best.
"""

from pathlib import Path
from typing import Any

from backend.export import merge, model_card
from backend.export.source import Source
from backend.export.target import Target
from backend.files.json_file import read_if_json
from backend.models import four_bit, model_folder
from backend.records.exports import ExportFile, ExportResult, LossCheck
from backend.records.units import MIB
from backend.training import model as training_model
from backend.training.device import Device
from backend.training.state.resume import DEVICE
from backend.work import Report

_TEXTS = 4  # rows to compare the merged model on
_WORSE = 0.05  # nats by which the merged model may be worse without a warning


def make(source: Source, target: Target, report: Report) -> list[ExportFile]:
    """Save the merged model with its tokenizer and card. Raises NotEnough,
    ExportFailed.
    """
    folder = target.merged
    # Of the 16-bit types, fp16 is the best that an F16 file can hold.
    dtype = "float32" if target.wide else "float16" if target.kinds else None
    paths = source.run.model.path, source.learned, folder
    merge.write(
        *paths, dtype, lambda done, total: report("Merging", done // MIB, total // MIB)
    )
    model_folder.make_portable(folder, source.run.model.id)
    model_folder.write_end_ids(folder, source.tokenizer.stop_ids)
    card = model_card.card(
        source.run, "merged", target.name, source.instruction, source.requested.scores
    )
    (folder / model_card.FILE).write_text(card, "utf-8")  # the GGUF converter reads it
    return [ExportFile(name=folder.name, bytes=model_folder.weight_bytes(folder))]


def check(
    source: Source, target: Target, files: list[ExportFile], report: Report
) -> ExportResult:
    """Check that the merged model is what was trained, and after QLoRA also how much
    its loss has changed.
    """
    import psutil

    texts = [row["input_ids"] for row in source.rows[:_TEXTS]]
    base = source.run.model.path
    result = ExportResult(merge=merge.check(base, source.learned, target.merged, texts))
    if source.run.settings.method != "qlora" or not four_bit.is_possible():
        return result
    if psutil.virtual_memory().available <= four_bit.SHARE * model_folder.weight_bytes(
        base
    ):
        return result  # no memory for the 4-bit model now
    report.poll()
    return result.joined(ExportResult(loss=_check_loss(source, target.merged)))


def _check_loss(source: Source, merged: Path) -> LossCheck:
    """Compare the loss as trained and as merged, one model in memory after the other.
    No verdict where the merged model is worse. Raises MissingPart without bitsandbytes.
    """
    from backend.chat.torch_engine import nats

    places = sum(label >= 0 for row in source.rows for label in row["labels"][1:])

    def loss(model: Any) -> float:
        return sum(
            nats(model, row["input_ids"], row["labels"]) for row in source.rows
        ) / max(1, places)

    trained = loss(model_folder.attach_adapter(_base(source), source.learned))
    after = loss(model_folder.load(merged, model_folder.working_dtype(merged)))
    sentence = (
        f"On {places} words of known answers the loss is {trained:.3f} as trained (4-bit base), and {after:.3f} "
        "merged into the original weights (nats, lower is better)."
    )
    ok = None if after - trained > _WORSE else True
    return LossCheck(
        ok=ok, sentence=sentence, trained=trained, merged=after, places=places
    )


def _base(source: Source) -> Any:
    """The 4-bit model as in training, on the processor."""
    precision = read_if_json(source.folder / DEVICE).get("precision", "bf16")
    device = Device(
        "cpu", "fp32" if precision == "fp16" else precision
    )  # processors lack fp16
    model = training_model.load(
        source.run.model.path, source.run.settings, device
    ).eval()
    four_bit.compute_as_asked(model)
    return model
