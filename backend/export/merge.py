"""Merges an adapter into its base model, and checks the saved files.

The files are rewritten tensor by tensor (weights.py), so that one tensor and the adapter are in memory, and each
changed weight is rounded once, from float32 to the dtype that the base stores it in (lora_merge.py). All weights of a
full fine-tuning are rounded likewise. The check compares the saved files with base and adapter, in float32 if memory
allows; otherwise in the dtype on disk, in which PyTorch reads weights straight from the files, so that the system
needs memory for those in use only.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import NotEnough
from backend.export import weights
from backend.export.lora_merge import Adapter
from backend.export.weights import DTYPES, Edit
from backend.files.atomic import delete_folder
from backend.models import causal_lm, model_folder
from backend.records.exports import MergeCheck
from backend.records.units import MIB, format_sizes

if TYPE_CHECKING:
    import torch

# The share of the adapter's effect that rounding the merged weights may lose. Measured on the bundled model after 40
# steps on the orders sample: bf16 loses 0.024, fp16 0.001. An adapter with a smaller effect loses more.
_MAX_LOST = 0.1
_POSITIONS = 64  # of each text are compared, so that their logits fit in memory

Report = Callable[[int, int], None]


def write(model: Path, trained: Path, out: Path, dtype: str | None = None, report: Report = lambda *_: None) -> None:
    """Merge what a run trained into the model in the folder `model`, and save it with its tokenizer in `out`.
    trained: the folder with the adapter, or with the complete model. dtype: of all weights, such as "float16"; None
    for that in which the base stores each. report: called with the bytes written, and of all; what it raises ends the
    work. Raises NotEnough, ExportFailed."""
    import torch

    source = model if _is_adapter(trained) else trained
    require_memory(source)
    stored, base = weights.stored(source), weights.stored(model)
    changes = Adapter(trained).merged_into(stored) if _is_adapter(trained) else {}
    if source == trained and (mapping := causal_lm.key_mapping(model)):
        base = {causal_lm.own_name(name, mapping): tensor for name, tensor in base.items()}
    delete_folder(out)
    out.mkdir(parents=True)
    edits = {}
    for name, tensor in stored.items():
        if tensor.dtype in DTYPES:
            wanted = dtype or DTYPES.get(base.get(name, tensor).dtype, DTYPES[tensor.dtype])
            if name in changes or wanted != DTYPES[tensor.dtype]:
                edits[name] = Edit(wanted, changes.get(name, lambda weight, dtype: weight.to(getattr(torch, dtype))))
    weights.rewrite(source, out, edits, report)
    _copy_other_files(model, trained, out, dtype)


def check(model: Path, trained: Path, merged: Path, texts: Sequence[list[int]]) -> MergeCheck:
    """Whether the saved model in the folder `merged` is what was trained on the base in `model`: an adapter or a
    complete model in `trained`. texts: token ids to compare on."""
    before, expected = _before(model, trained, texts)
    loaded = model_folder.load(merged, model_folder.working_dtype(merged))
    saved = [_logits(loaded, ids) for ids in texts]
    error = sum(float((s - e).square().sum()) for s, e in zip(saved, expected, strict=True))
    change = sum(float((e - b).square().sum()) for e, b in zip(expected, before, strict=True))
    lost = (error / change) ** 0.5 if change else math.inf
    lost = math.inf if math.isnan(lost) else lost
    tokens = sum(len(e) for e in expected)
    same = sum(int((s.argmax(-1) == e.argmax(-1)).sum()) for s, e in zip(saved, expected, strict=True))
    dtype = model_folder.saved_dtype(merged) or "bfloat16"
    return MergeCheck(
        ok=lost <= _MAX_LOST,
        sentence=f"The merged weights ({dtype}) keep {1 - min(1.0, lost):.1%} of what the training changed, and "
        f"choose the same next word in {same / max(1, tokens):.1%} of {tokens} positions.",
        dtype=dtype,
        lost=lost,
        same_choice=same / max(1, tokens),
        tokens=tokens,
    )


def memory_needed(model: Path) -> int:
    """Bytes that merging into the model in a folder takes: its largest weight three times in float32 (the weight, the
    change, their sum), and what the program itself takes. From the headers of the files."""
    largest = max((tensor.numbers for tensor in weights.stored(model).values()), default=0)
    return 3 * 4 * largest + 512 * MIB


def require_memory(model: Path) -> None:
    """Raises NotEnough where less memory is free than `memory_needed`."""
    import psutil

    needed, available = memory_needed(model) // MIB, int(psutil.virtual_memory().available) // MIB
    if available < needed:
        needs, has = format_sizes(needed, available)
        raise NotEnough(
            "There is not enough memory to merge the model now.",
            f"It needs about {needs} and {has} is free.",
            "Close other programs, or choose the adapter instead, which needs no merge.",
        )


def _is_adapter(trained: Path) -> bool:
    return (trained / "adapter_config.json").is_file()


def _before(model: Path, trained: Path, texts: Sequence[list[int]]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The logits of the base, and those of what was trained."""
    base = model_folder.load(model, model_folder.working_dtype(model))
    plain = [_logits(base, ids) for ids in texts]
    if _is_adapter(trained):
        tuned = model_folder.attach_adapter(base, trained)
    else:
        del base
        tuned = model_folder.load(trained, model_folder.working_dtype(trained))
    return plain, [_logits(tuned, ids) for ids in texts]


def _copy_other_files(model: Path, trained: Path, out: Path, dtype: str | None) -> None:
    """Configuration and tokenizer as the base has them; the tokenizer as it was trained with."""
    model_folder.copy_other_files(model, out)
    # The language part of a larger model is saved alone, with a configuration of its own.
    own = ("config.json",) if not _is_adapter(trained) and causal_lm.key_mapping(model) else ()
    for name in (*model_folder.TOKENIZER_FILES, *own):
        if (trained / name).is_file():
            shutil.copyfile(trained / name, out / name)
    if dtype and dtype != model_folder.saved_dtype(model):
        model_folder.write_dtype(out, dtype)


def _logits(model: Any, ids: list[int]) -> torch.Tensor:
    """float32 (positions, vocabulary), at positions spread over the text."""
    import torch

    count = min(len(ids), _POSITIONS)
    positions = torch.tensor([at * len(ids) // count for at in range(count)])
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False, logits_to_keep=positions).logits[0]
    compared: torch.Tensor = logits if len(logits) == count else logits[positions]
    return compared.float()
