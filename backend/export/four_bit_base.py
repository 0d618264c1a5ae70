"""What merging a QLoRA adapter costs: it was trained on the base in 4-bit, and is merged into the 16-bit weights.

bitsandbytes rounds each linear weight of the base to 4 bits (NF4, double quantization), and training computes with
the rounded values. An adapter learned to correct those too, so that it fits them, and not the weights on disk, best.
"""

from pathlib import Path
from typing import Any

from backend.export.source import Source
from backend.files.json_file import loads
from backend.models import four_bit, model_folder
from backend.records.exports import LossCheck
from backend.training import model as training_model
from backend.training.device import Device
from backend.training.state.resume import DEVICE

_WORSE = 0.05  # nats by which the merged model may be worse without a warning


def check_loss(source: Source, merged: Path) -> LossCheck:
    """Compare the loss as trained and as merged, one model in memory after the other. No verdict where the merged
    model is worse. Raises MissingPart without bitsandbytes."""
    from backend.chat.torch_engine import nats

    places = sum(label >= 0 for row in source.rows for label in row["labels"][1:])

    def loss(model: Any) -> float:
        return sum(nats(model, row["input_ids"], row["labels"]) for row in source.rows) / max(1, places)

    trained = loss(model_folder.attach_adapter(_base(source), source.learned))
    after = loss(model_folder.load(merged, model_folder.working_dtype(merged)))
    sentence = (
        f"On {places} words of known answers the loss is {trained:.3f} as trained (4-bit base), and {after:.3f} "
        "merged into the original weights (nats, lower is better)."
    )
    ok = None if after - trained > _WORSE else True
    return LossCheck(ok=ok, sentence=sentence, trained=trained, merged=after, places=places)


def _base(source: Source) -> Any:
    """The 4-bit model as in training, on the processor."""
    try:
        precision = Device(**loads((source.folder / DEVICE).read_text("utf-8"))).precision
    except (OSError, ValueError, TypeError):
        precision = "bf16"
    device = Device("cpu", "fp32" if precision == "fp16" else precision)  # processors lack fp16
    model = training_model.load(source.run.model.path, source.run.settings, device).eval()
    four_bit.compute_as_asked(model)
    return model


def is_possible(model: Path) -> bool:
    """Whether this computer can compute with the 4-bit model now: bitsandbytes is installed, and memory is free."""
    import psutil

    needed = four_bit.SHARE * model_folder.weight_bytes(model)
    return four_bit.is_possible() and psutil.virtual_memory().available > needed
