"""The 4-bit base that a QLoRA adapter was trained on: loaded as in training, or as weights to merge into.

bitsandbytes rounds each linear weight of the base to 4 bits (NF4, double quantization), and training computes with
the rounded values. An adapter learned to correct those too, so that it fits them, and not the weights on disk, best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.export import weights
from backend.export.lora_merge import stored_name
from backend.export.weights import DTYPES, Edit
from backend.models import causal_lm, four_bit, model_folder
from backend.records.exports import LossCheck
from backend.records.specs import Precision, TrainSettings
from backend.training import model as training_model
from backend.training.device import Device

if TYPE_CHECKING:
    import torch

Rows = Sequence[Mapping[str, list[int]]]
_WORSE = 0.05  # nats by which the merged model may be worse without a warning


@dataclass(frozen=True)
class FourBitBase:
    """The base model in the folder `model`, as a run with `settings` trained on it in 4-bit, in `precision`."""

    model: Path
    settings: TrainSettings
    precision: Precision

    @property
    def device(self) -> Device:
        return Device("cpu", "fp32" if self.precision == "fp16" else self.precision)  # processors lack fp16

    def load(self) -> Any:
        """The 4-bit model on the processor, as in training. Raises MissingPart without bitsandbytes."""
        model = training_model.load(self.model, self.settings, self.device).eval()
        four_bit.compute_as_asked(model)
        return model

    def write(self, out: Path, report: Callable[[int, int], None]) -> None:
        """Save the model in `out`, its linear weights with the values that they have in 4-bit. report: see
        `weights.rewrite`."""
        stored = weights.stored(self.model)
        names = {stored_name(module, set(stored)) for module in self.linear()}
        out.mkdir(parents=True)
        edits = {
            name: Edit(DTYPES[stored[name].dtype], lambda weight: self.round(weight).to(weight.dtype))
            for name in names
            if name
        }
        weights.rewrite(self.model, out, edits, report)
        model_folder.copy_other_files(self.model, out)

    def round(self, weight: torch.Tensor) -> torch.Tensor:
        """A linear weight with the values that it has in 4-bit."""
        from bitsandbytes import functional

        chosen = four_bit.config(self.device.four_bit_dtype)
        packed, state = functional.quantize_4bit(
            weight.to(self.device.dtype).contiguous(),
            quant_type=chosen.bnb_4bit_quant_type,
            compress_statistics=chosen.bnb_4bit_use_double_quant,
        )
        rounded: torch.Tensor = functional.dequantize_4bit(packed, state)
        return rounded

    def linear(self) -> list[str]:
        """The modules whose weights are in 4-bit; builds the model without weights."""
        import torch
        from bitsandbytes.nn import Linear4bit
        from transformers import AutoModelForCausalLM
        from transformers.quantizers import AutoHfQuantizer

        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(causal_lm.config_of(self.model))
        quantizer = AutoHfQuantizer.from_config(four_bit.config(self.device.four_bit_dtype), pre_quantized=False)
        quantizer.preprocess_model(empty, device_map={"": "cpu"})
        return [name for name, module in empty.named_modules() if isinstance(module, Linear4bit)]


def check_loss(base: FourBitBase, adapter: Path, merged: Path, rows: Rows, into: str) -> LossCheck:
    """Compare the loss on `rows` ({input_ids, labels}) as trained and as merged, one model in memory after the other.
    into: what was merged into, "original" or "trained". No verdict where the merged model is worse."""
    from backend.chat.torch_engine import nats

    places = sum(label >= 0 for row in rows for label in row["labels"][1:])

    def loss(model: Any) -> float:
        return sum(nats(model, row["input_ids"], row["labels"]) for row in rows) / max(1, places)

    trained = loss(model_folder.attach_adapter(base.load(), adapter))
    after = loss(model_folder.load(merged, model_folder.working_dtype(merged)))
    worse = after - trained > _WORSE
    weights_of = "the 4-bit weights of the training" if into == "trained" else "the original weights"
    sentence = (
        f"On {places} words of known answers the loss is {trained:.3f} as trained (4-bit base), and {after:.3f} "
        f"merged into {weights_of} (nats, lower is better)."
    )
    if worse and into == "original":
        sentence += " Merged into the 4-bit weights of the training it may be closer."
    return LossCheck(ok=None if worse else True, sentence=sentence, trained=trained, merged=after, places=places)


def is_possible(model: Path) -> bool:
    """Whether this computer can compute with the 4-bit model now: bitsandbytes is installed, and memory is free."""
    import psutil

    needed = four_bit.SHARE * model_folder.weight_bytes(model)
    return four_bit.is_possible() and psutil.virtual_memory().available > needed
