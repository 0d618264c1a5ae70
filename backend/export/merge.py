"""Merges an adapter into its base model, and checks the saved files.

The files are rewritten tensor by tensor (weights.py), so that one tensor and the adapter are in memory, and each
changed weight is rounded once, from float32 to the dtype that the base stores it in (lora_merge.py). All weights of a
full fine-tuning are rounded likewise. The check compares the saved files with base and adapter, in float32 if memory
allows; otherwise in the dtype on disk, in which PyTorch reads weights straight from the files, so that the system
needs memory for those in use only.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import NotEnough
from backend.export import weights
from backend.export.lora_merge import Adapter
from backend.export.weights import DTYPES, Edit
from backend.models import causal_lm, model_folder
from backend.models.safetensors_header import Stored
from backend.records.units import MIB, format_sizes

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

# The share of the adapter's effect that rounding the merged weights may lose. Measured on the bundled model after 40
# steps on the orders sample: bf16 loses 0.024, fp16 0.001. An adapter with a smaller effect loses more.
_MAX_LOST = 0.1
_POSITIONS = 64  # of each text are compared, so that their logits fit in memory

Report = Callable[[int, int], None]
Change = Callable[["torch.Tensor", str], "torch.Tensor"]


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
            f"The merged weights ({self.dtype}) keep {1 - min(1.0, self.lost):.1%} of what the training changed, "
            f"and choose the same next word in {self.same_choice:.1%} of {self.tokens} positions."
        )

    def to_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, **asdict(self), "sentence": self.sentence}


def merge(
    model: Path,
    trained: Path,
    out: Path,
    texts: Sequence[list[int]],
    report: Report = lambda done, total: None,
    *,
    for_gguf: bool = False,
    written: Callable[[], None] = lambda: None,
) -> MergeCheck:
    """Merge what a run trained into the model in the folder `model`, and save it with its tokenizer in `out`.

    trained: the folder with the adapter, or with the complete model. texts: token ids to compare on. report: called
    with the bytes written, and of all. Each weight is saved in the dtype that the base stores it in (fp16 for GGUF,
    the best that an F16 file can hold), or in float32 if that would lose too much of what was learned. written:
    called when the files are there, before they are checked; so twice, if float32 was needed.
    Returns the check of what was saved, passed or not. Raises NotEnough, ExportFailed.
    """
    source = model if (trained / "adapter_config.json").is_file() else trained
    require_memory(source)
    stored, base = weights.stored(source), weights.stored(model)
    if source == trained and (mapping := causal_lm.key_mapping(model)):
        base = {causal_lm.own_name(name, mapping): one for name, one in base.items()}
    changes = _changes(trained, stored)
    before: tuple[list[torch.Tensor], list[torch.Tensor]] | None = None
    for dtype in ("float16" if for_gguf else None, "float32"):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        weights.rewrite(source, out, _edits(stored, changes, base, dtype), report)
        _copy_other_files(model, trained, out, dtype)
        written()
        before = before or _before(model, trained, texts)
        saved = dtype or model_folder.saved_dtype(model) or "bfloat16"
        check = _compare(model_folder.load(out, model_folder.working_dtype(out)), saved, texts, *before)
        log.info("%s", check)
        if check.ok:
            return check
    return check


def memory_needed(model: Path) -> int:
    """Bytes that merging into the model in a folder takes: its largest weight three times in float32 (the weight, the
    change, their sum), and what the program itself takes. From the headers of the files."""
    largest = max((one.numbers for one in weights.stored(model).values()), default=0)
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


def _before(model: Path, trained: Path, texts: Sequence[list[int]]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The logits of the base, and those of what was trained."""
    base = model_folder.load(model, model_folder.working_dtype(model))
    plain = [_logits(base, ids) for ids in texts]
    if (trained / "adapter_config.json").is_file():
        tuned = model_folder.attach_adapter(base, trained)
    else:
        del base
        tuned = model_folder.load(trained, model_folder.working_dtype(trained))
    return plain, [_logits(tuned, ids) for ids in texts]


def _changes(trained: Path, stored: Mapping[str, Stored]) -> dict[str, Change]:
    """How each weight that is not just copied is computed."""
    if not (trained / "adapter_config.json").is_file():
        return {}
    return Adapter(trained).merged_into(stored)


def _edits(
    stored: Mapping[str, Stored], changes: Mapping[str, Change], base: Mapping[str, Stored], dtype: str | None
) -> dict[str, Edit]:
    """dtype: of all weights; None for that in which the base stores each."""
    edits = {}
    for name, one in stored.items():
        if one.dtype not in DTYPES:
            continue
        wanted = dtype or DTYPES.get(base.get(name, one).dtype, DTYPES[one.dtype])
        if name in changes:
            edits[name] = Edit(wanted, partial(_changed, changes[name], wanted))
        elif wanted != DTYPES[one.dtype]:
            edits[name] = Edit(wanted, partial(_cast, dtype=wanted))
    return edits


def _changed(change: Change, dtype: str, weight: torch.Tensor) -> torch.Tensor:
    return change(weight, dtype)


def _cast(weight: torch.Tensor, dtype: str) -> torch.Tensor:
    import torch

    return weight.to(getattr(torch, dtype))


def _copy_other_files(model: Path, trained: Path, out: Path, dtype: str | None) -> None:
    """Configuration and tokenizer as the base has them; the tokenizer as it was trained with."""
    model_folder.copy_other_files(model, out)
    is_full = not (trained / "adapter_config.json").is_file()
    own = ("config.json",) if is_full and causal_lm.key_mapping(model) else ()  # a language part is saved alone
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
        found = model(input_ids=torch.tensor([ids]), use_cache=False, logits_to_keep=positions).logits[0]
    compared: torch.Tensor = found if len(found) == count else found[positions]
    return compared.float()


def _compare(
    merged: Any, dtype: str, texts: Sequence[list[int]], plain: list[torch.Tensor], expected: list[torch.Tensor]
) -> MergeCheck:
    got = [_logits(merged, ids) for ids in texts]
    error = sum(float((g - e).square().sum()) for g, e in zip(got, expected, strict=True))
    change = sum(float((e - p).square().sum()) for e, p in zip(expected, plain, strict=True))
    lost = (error / change) ** 0.5 if change else float("inf")
    tokens = sum(len(e) for e in expected)
    same = sum(int((g.argmax(-1) == e.argmax(-1)).sum()) for g, e in zip(got, expected, strict=True))
    return MergeCheck(dtype, lost if lost == lost else float("inf"), same / max(1, tokens), tokens)
