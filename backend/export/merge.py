"""The adapter folded into its base model, with the proof that the saved files hold it.

Computed in float32 where the memory allows, whatever the adapter was trained on: one that was trained on 4-bit
weights (QLoRA) is merged into the unquantised base. The saved files are loaded again and compared with base and
adapter, so what is proved is what is given away.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import ExportFailed, NotEnough
from backend.files.disk_errors import disk_errors
from backend.models import model_folder

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

# How much of what the adapter changes may be lost by rounding the merged weights. Measured on the embedded model
# after 40 steps on the orders sample: bf16 loses 0.024 of it, fp16 0.001. A fainter adapter loses more.
_LOSS_ALLOWED = 0.1


@dataclass(frozen=True)
class MergeCheck:
    """What the saved merged model was found to compute, against base and adapter, on `tokens` tokens.

    lost: distance of merged from base-with-adapter, as a share of the distance of base-with-adapter from base
    (Euclidean, over all logits). same_choice: share of the tokens where both find the same next token likeliest.
    """

    dtype: str
    lost: float
    same_choice: float
    tokens: int

    @property
    def ok(self) -> bool:
        return self.lost <= _LOSS_ALLOWED

    @property
    def sentence(self) -> str:
        return (
            f"The merged weights ({self.dtype}) keep {1 - self.lost:.1%} of what the training changed, "
            f"and choose the same next word in {self.same_choice:.1%} of {self.tokens} places."
        )

    def to_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self), "sentence": self.sentence}


def merge(model: Path, adapter: Path, out: Path, texts: Sequence[list[int]], *, for_gguf: bool = False) -> MergeCheck:
    """Saves the model of the folder `model` with `adapter` merged in as safetensors into `out`, tokenizer included.

    texts: token ids to compare on. Weights are saved in the base's own dtype (fp16 for GGUF: the finest that fits
    into an F16 file), or in float32 where that would lose too much of the adapter.
    Raises NotEnough, and ExportFailed when the merged model is not what base and adapter are together.
    """
    import torch

    base = model_folder.load(model, working_dtype(model))
    own = torch.float16 if for_gguf else getattr(torch, model_folder.saved_dtype(model), torch.bfloat16)
    plain = _computed(base, texts)
    tuned = model_folder.attach_adapter(base, adapter)
    wanted = _computed(tuned, texts)
    merged = tuned.merge_and_unload()
    for dtype in (own, torch.float32):
        shutil.rmtree(out, ignore_errors=True)
        _save(merged, out, dtype, (adapter, model))
        proof = _compared(model_folder.load(out, base.dtype), str(dtype), texts, plain, wanted)
        log.info("%s", proof)
        if proof.ok:
            return proof
    raise ExportFailed(
        "The merged model is not the model that was trained.",
        f"It would keep only {1 - min(1.0, proof.lost):.0%} of what the training changed.",
        "Take the adapter instead, or train a little longer.",
    )


def working_dtype(model: Path) -> torch.dtype:
    """float32 where it fits into the memory twice (the model and what is being saved), else bfloat16."""
    import psutil
    import torch

    weights, available = model_folder.weight_bytes(model), psutil.virtual_memory().available
    if available > 4.5 * weights:  # weights on disk take two bytes each
        return torch.float32
    if available > 2.5 * weights:
        return torch.bfloat16
    raise NotEnough(
        "There is not enough memory to merge the model now.",
        f"It needs about {int(2.5 * weights) >> 20} MiB and {available >> 20} MiB are free.",
        "Close other programs, or take the adapter instead, which needs none.",
    )


def _computed(model: Any, texts: Sequence[list[int]]) -> list[torch.Tensor]:
    from backend.chat.torch_engine import logits

    return [logits(model, ids).float() for ids in texts]


def _save(merged: Any, out: Path, dtype: torch.dtype, tokenizers: tuple[Path, ...]) -> None:
    """The weights as `dtype`, and each tokenizer file from the first of the folders `tokenisers` that has it."""
    narrowed: dict[int, torch.Tensor] = {}  # tied weights stay tied: one tensor, saved once
    weights = {
        name: narrowed.setdefault(tensor.data_ptr(), tensor.to(dtype)) for name, tensor in merged.state_dict().items()
    }
    with disk_errors():
        merged.save_pretrained(out, state_dict=weights)
    for name in model_folder.TOKENIZER_FILES:
        found = next((folder / name for folder in tokenizers if (folder / name).is_file()), None)
        if found:
            shutil.copyfile(found, out / name)
    config = json.loads((out / "config.json").read_text("utf-8"))
    config["dtype"] = str(dtype).removeprefix("torch.")
    (out / "config.json").write_text(json.dumps(config), "utf-8")


def _compared(
    merged: Any, dtype: str, texts: Sequence[list[int]], plain: list[torch.Tensor], wanted: list[torch.Tensor]
) -> MergeCheck:
    got = _computed(merged, texts)
    missed = sum(float((g - w).square().sum()) for g, w in zip(got, wanted, strict=True))
    change = sum(float((w - p).square().sum()) for w, p in zip(wanted, plain, strict=True))
    lost = (missed / change) ** 0.5 if change else float("inf")
    tokens = sum(len(w) for w in wanted)
    same = sum(int((g.argmax(-1) == w.argmax(-1)).sum()) for g, w in zip(got, wanted, strict=True))
    return MergeCheck(
        dtype.removeprefix("torch."), lost if lost == lost else float("inf"), same / max(1, tokens), tokens
    )
