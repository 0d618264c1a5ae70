"""Merges an adapter into its base model, and checks the saved files.

The merge is computed in float32 if memory allows. An adapter that was trained on 4-bit weights (QLoRA) is merged into
the unquantized base. The saved files are loaded again and compared with base and adapter: the check is about the
files that people get.
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

# The share of the adapter's effect that rounding the merged weights may lose. Measured on the bundled model after 40
# steps on the orders sample: bf16 loses 0.024, fp16 0.001. An adapter with a smaller effect loses more.
_MAX_LOST = 0.1


@dataclass(frozen=True)
class MergeCheck:
    """The saved merged model, compared with base and adapter on `tokens` tokens.

    lost: distance between merged and base-with-adapter, relative to the distance between base-with-adapter and base
    (Euclidean, over all logits). same_choice: share of the positions where both rank the same next token first.
    """

    dtype: str
    lost: float
    same_choice: float
    tokens: int

    @property
    def ok(self) -> bool:
        return self.lost <= _MAX_LOST

    @property
    def sentence(self) -> str:
        return (
            f"The merged weights ({self.dtype}) keep {1 - self.lost:.1%} of what the training changed, "
            f"and choose the same next word in {self.same_choice:.1%} of {self.tokens} positions."
        )

    def to_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self), "sentence": self.sentence}


def merge(model: Path, adapter: Path, out: Path, texts: Sequence[list[int]], *, for_gguf: bool = False) -> MergeCheck:
    """Merge `adapter` into the model in the folder `model`, and save it with its tokenizer in `out` (safetensors).

    texts: token ids to compare on. Weights are saved in the base model's dtype (fp16 for GGUF, the best that an F16
    file can hold), or in float32 if that would lose too much of the adapter's effect.
    Raises NotEnough, and ExportFailed if the merged model does not match base and adapter.
    """
    import torch

    base = model_folder.load(model, working_dtype(model))
    preferred = torch.float16 if for_gguf else getattr(torch, model_folder.saved_dtype(model), torch.bfloat16)
    plain = _logits(base, texts)
    tuned = model_folder.attach_adapter(base, adapter)
    expected = _logits(tuned, texts)
    merged = tuned.merge_and_unload()
    for dtype in (preferred, torch.float32):
        shutil.rmtree(out, ignore_errors=True)
        _save(merged, out, dtype, (adapter, model))
        check = _compare(model_folder.load(out, base.dtype), str(dtype), texts, plain, expected)
        log.info("%s", check)
        if check.ok:
            return check
    raise ExportFailed(
        "The merged model does not match the trained model.",
        f"It would keep only {1 - min(1.0, check.lost):.0%} of what the training changed.",
        "Choose the adapter instead, or train a little longer.",
    )


def working_dtype(model: Path) -> torch.dtype:
    """float32 if the model fits in memory twice (loaded, and while it is saved), else bfloat16."""
    import psutil
    import torch

    weights, available = model_folder.weight_bytes(model), psutil.virtual_memory().available
    if available > 4.5 * weights:  # on disk they take two bytes each
        return torch.float32
    if available > 2.5 * weights:
        return torch.bfloat16
    raise NotEnough(
        "There is not enough memory to merge the model now.",
        f"It needs about {int(2.5 * weights) >> 20} MiB and {available >> 20} MiB are free.",
        "Close other programs, or choose the adapter instead, which needs no merge.",
    )


def _logits(model: Any, texts: Sequence[list[int]]) -> list[torch.Tensor]:
    from backend.chat.torch_engine import logits

    return [logits(model, ids).float() for ids in texts]


def _save(merged: Any, out: Path, dtype: torch.dtype, tokenizers: tuple[Path, ...]) -> None:
    """Save the weights as `dtype`, and each tokenizer file from the first folder of `tokenizers` that has it."""
    converted: dict[int, torch.Tensor] = {}  # tied weights stay tied: one tensor, saved once
    weights = {
        name: converted.setdefault(tensor.data_ptr(), tensor.to(dtype))
        for name, tensor in merged.state_dict().items()
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


def _compare(
    merged: Any, dtype: str, texts: Sequence[list[int]], plain: list[torch.Tensor], expected: list[torch.Tensor]
) -> MergeCheck:
    got = _logits(merged, texts)
    error = sum(float((g - e).square().sum()) for g, e in zip(got, expected, strict=True))
    change = sum(float((e - p).square().sum()) for e, p in zip(expected, plain, strict=True))
    lost = (error / change) ** 0.5 if change else float("inf")
    tokens = sum(len(e) for e in expected)
    same = sum(int((g.argmax(-1) == e.argmax(-1)).sum()) for g, e in zip(got, expected, strict=True))
    return MergeCheck(
        dtype.removeprefix("torch."), lost if lost == lost else float("inf"), same / max(1, tokens), tokens
    )
