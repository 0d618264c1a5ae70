"""Merges an adapter into its base model, and checks the saved files.

The files are rewritten tensor by tensor, so that one tensor and the adapter are in
memory, and each changed weight is rounded once, from float32 to the dtype that the base
stores it in: the same bits as peft's `merge_and_unload`. All weights of a full
fine-tuning are rounded likewise. The check compares the saved files with base and
adapter, in float32 if memory allows; otherwise in the dtype on disk, in which PyTorch
reads weights straight from the files, so that the system needs memory for those in use
only.

peft's order: the product B A in float32, turned over for layers that store their
weights the other way round (GPT-2's Conv1D), times the scale, plus the weight, rounded
once to the dtype of the result. DoRA multiplies that sum by magnitude / length of each
row before the rounding (peft 0.21, tuners/lora: `layer.py` and `variants.py`). An
output layer that shares its weights with the embeddings can't be merged: the embeddings
would change too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from backend.errors import ExportFailed, NotEnough
from backend.files.atomic import delete_folder
from backend.files.disk_errors import disk_errors
from backend.files.json_file import loads
from backend.models import causal_lm, model_folder, safetensors_files
from backend.models.safetensors_files import SIZES, Stored
from backend.records.exports import MergeCheck
from backend.records.units import MIB, format_sizes

if TYPE_CHECKING:
    import torch

# The share of the adapter's effect that rounding the merged weights may lose. Measured
# on the bundled model after 40 steps on the orders sample: bf16 loses 0.024, fp16
# 0.001. An adapter with a smaller effect loses more.
_MAX_LOST = 0.1
_POSITIONS = 64  # of each text are compared, so that their logits fit in memory

_PREFIX = "base_model.model."
_MORE = (
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "trainable_token_indices",
    "lora_bias",
)

DTYPES = {
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
}  # torch's names of those of safetensors
_NAMES = {theirs: ours for ours, theirs in DTYPES.items()}
_CHUNK = 16 * MIB  # bytes

Report = Callable[[int, int], None]


class Edit(NamedTuple):
    """How a tensor changes: `compute` gets the stored one and `dtype` ("float32",
    "float16" or "bfloat16"), and returns it in that, in the same shape.
    """

    dtype: str
    compute: Callable[[torch.Tensor, str], torch.Tensor]


def write(
    model: Path,
    trained: Path,
    out: Path,
    dtype: str | None = None,
    report: Report = lambda *_: None,
) -> None:
    """Merge what a run trained into the model in the folder `model`, and save it with
    its tokenizer in `out`. Raises NotEnough, ExportFailed.

    trained: the folder with the adapter, or with the complete model
    dtype: of all weights, such as "float16"; None for that in which the base stores
        each
    report: called with the bytes written, and of all; what it raises ends the work
    """
    import torch

    source = model if _is_adapter(trained) else trained
    require_memory(source)
    stored, base = stored_tensors(source), stored_tensors(model)
    changes = Adapter(trained).merged_into(stored) if _is_adapter(trained) else {}
    if source == trained and (mapping := causal_lm.key_mapping(model)):
        base = {
            causal_lm.own_name(name, mapping): tensor for name, tensor in base.items()
        }
    delete_folder(out)
    out.mkdir(parents=True)
    edits = {}
    for name, tensor in stored.items():
        if tensor.dtype in DTYPES:
            wanted = dtype or DTYPES.get(
                base.get(name, tensor).dtype, DTYPES[tensor.dtype]
            )
            if name in changes or wanted != DTYPES[tensor.dtype]:
                edits[name] = Edit(
                    wanted,
                    changes.get(
                        name, lambda weight, dtype: weight.to(getattr(torch, dtype))
                    ),
                )
    rewrite(source, out, edits, report)
    _copy_other_files(model, trained, out, dtype)


def check(
    model: Path, trained: Path, merged: Path, texts: Sequence[list[int]]
) -> MergeCheck:
    """Whether the saved model is what was trained.

    model: the folder of the base
    trained: the folder with the adapter, or with the complete model
    merged: the folder of the saved model
    texts: token ids to compare on"""
    before, expected = _before(model, trained, texts)
    loaded = model_folder.load(merged, model_folder.working_dtype(merged))
    saved = [_logits(loaded, ids) for ids in texts]
    error = sum(
        float((s - e).square().sum()) for s, e in zip(saved, expected, strict=True)
    )
    change = sum(
        float((e - b).square().sum()) for e, b in zip(expected, before, strict=True)
    )
    lost = (error / change) ** 0.5 if change else math.inf
    lost = math.inf if math.isnan(lost) else lost
    tokens = sum(len(e) for e in expected)
    same = sum(
        int((s.argmax(-1) == e.argmax(-1)).sum())
        for s, e in zip(saved, expected, strict=True)
    )
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
    """Bytes that merging into the model in a folder takes: its largest weight three
    times in float32 (the weight, the change, their sum), and what the program itself
    takes. From the headers of the files.
    """
    largest = max(
        (tensor.numbers for tensor in stored_tensors(model).values()), default=0
    )
    return 3 * 4 * largest + 512 * MIB


def require_memory(model: Path) -> None:
    """Raises NotEnough where less memory is free than `memory_needed`."""
    import psutil

    needed, available = (
        memory_needed(model) // MIB,
        int(psutil.virtual_memory().available) // MIB,
    )
    if available < needed:
        needs, has = format_sizes(needed, available)
        raise NotEnough(
            "There is not enough memory to merge the model now.",
            f"It needs about {needs} and {has} is free.",
            "Close other programs, or choose the adapter instead, which needs no merge.",
        )


def _is_adapter(trained: Path) -> bool:
    return (trained / "adapter_config.json").is_file()


def _before(
    model: Path, trained: Path, texts: Sequence[list[int]]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
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
    """Configuration and tokenizer as the base has them; the tokenizer as it was trained
    with.
    """
    model_folder.copy_files(model, out)
    # The language part of a larger model is saved alone, with a configuration of its
    # own.
    own = (
        ("config.json",)
        if not _is_adapter(trained) and causal_lm.key_mapping(model)
        else ()
    )
    model_folder.copy_files(trained, out, (*model_folder.TOKENIZER_FILES, *own))
    if dtype and dtype != model_folder.saved_dtype(model):
        model_folder.write_dtype(out, dtype)


def _logits(model: Any, ids: list[int]) -> torch.Tensor:
    """float32 (positions, vocabulary), at positions spread over the text."""
    import torch

    count = min(len(ids), _POSITIONS)
    positions = torch.tensor([at * len(ids) // count for at in range(count)])
    with torch.inference_mode():
        logits = model(
            input_ids=torch.tensor([ids]), use_cache=False, logits_to_keep=positions
        ).logits[0]
    compared: torch.Tensor = logits if len(logits) == count else logits[positions]
    return compared.float()


class Adapter:
    """The LoRA adapter in a folder, in memory. Raises MissingPart, and ExportFailed for
    one of another kind.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file

        model_folder.check_adapter(folder)
        config = loads((folder / "adapter_config.json").read_text("utf-8"))
        if (
            any(config.get(name) for name in _MORE)
            or config.get("bias", "none") != "none"
        ):
            raise _unmergeable("It holds more than a LoRA")
        rank = int(config["r"])
        self._scale = config["lora_alpha"] / (
            rank**0.5 if config.get("use_rslora") else rank
        )
        self._turned = bool(config.get("fan_in_fan_out"))
        self._parts: dict[str, dict[str, torch.Tensor]] = {}  # by module
        for name, tensor in load_file(folder / "adapter_model.safetensors").items():
            module, _, part = (
                name.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".")
            )
            self._parts.setdefault(module, {})[part] = tensor.float()

    def merged_into(
        self, names: Iterable[str]
    ) -> dict[str, Callable[[torch.Tensor, str], torch.Tensor]]:
        """For each stored weight that changes, a function of it and a dtype such as
        "bfloat16": the merged weight. names: of the base model's stored weights. Raises
        ExportFailed when one that was trained is not among them.
        """
        stored = set(names)
        merges: dict[str, Callable[[torch.Tensor, str], torch.Tensor]] = {}
        for module, parts in self._parts.items():
            name = stored_name(module, stored)
            if name is None or name in merges:
                raise _unmergeable(
                    f"{module} has no weight of its own in the base model's files"
                )
            merges[name] = self._merge(parts)
        return merges

    def _merge(
        self, parts: dict[str, torch.Tensor]
    ) -> Callable[[torch.Tensor, str], torch.Tensor]:
        if parts.keys() - {"lora_magnitude_vector"} != {"lora_A", "lora_B"}:
            raise _unmergeable(f"It has the parts {', '.join(sorted(parts))}")
        import torch

        def merged(weight: torch.Tensor, dtype: str) -> torch.Tensor:
            product = parts["lora_B"] @ parts["lora_A"]
            whole = weight + (product.T if self._turned else product) * self._scale
            if (magnitude := parts.get("lora_magnitude_vector")) is not None:
                factor = (
                    magnitude
                    / torch.linalg.norm(whole.T if self._turned else whole, dim=1)
                ).view(-1, 1)
                whole = (factor.T if self._turned else factor) * whole
            merged_weight: torch.Tensor = whole.to(getattr(torch, dtype))
            return merged_weight

        return merged


def stored_name(module: str, names: set[str]) -> str | None:
    """The stored weight of a model's `module`, None if there is none. Files may name it
    without the model's own prefix (GPT-2), or within the language part of a larger
    model.
    """
    weight = f"{module}.weight"
    inner = weight.partition(".")[2]
    prefixes = (
        "language_model.model",
        "model.language_model",
        "language_model",
        "model.text_model",
        "text_model",
    )
    inside = [f"{prefix}.{inner}" for prefix in prefixes]
    return next(
        (
            name
            for name in (weight, inner, *inside, f"language_model.{weight}")
            if name in names
        ),
        None,
    )


def _unmergeable(why: str) -> ExportFailed:
    return ExportFailed(
        "This adapter can't be merged.", f"{why}.", "Choose the adapter instead."
    )


def stored_tensors(model: Path) -> dict[str, Stored]:
    """The tensors of the model in the folder `model`, from the headers of its files."""
    return safetensors_files.read_all(model_folder.weight_files(model))


def rewrite(
    source: Path,
    out: Path,
    edits: Mapping[str, Edit],
    report: Callable[[int, int], None],
) -> None:
    """Write the model files of the folder `source` to the folder `out`, in the same
    shards; tensors without an edit are copied byte for byte. Raises NotEnough on a full
    disk, ValueError when an edit does not return what it promised.

    edits: by the name of the tensor
    report: called before each tensor with the bytes done, and of all; what it raises
        ends the work
    """
    files = model_folder.weight_files(source)
    total, done, size = sum(file.stat().st_size for file in files), 0, 0
    places: dict[str, str] = {}
    for file in files:
        tensors, about = safetensors_files.read(file)
        entries = {
            name: (tensor.dtype, tensor.end - tensor.begin)
            for name, tensor in tensors.items()
        }
        for name in tensors.keys() & edits.keys():
            dtype = _NAMES[edits[name].dtype]
            entries[name] = dtype, tensors[name].numbers * SIZES[dtype]
        order = sorted(
            entries, key=lambda name: (-SIZES.get(entries[name][0], 1), name)
        )  # aligned
        with disk_errors(), file.open("rb") as old, (out / file.name).open("wb") as new:
            placed = {
                name: (entries[name][0], tensors[name].shape, entries[name][1])
                for name in order
            }
            size += safetensors_files.write(new, placed, about)
            for name in order:
                report(done, total)
                if name in edits:
                    _write_edited(new, file, name, edits[name], entries[name][1])
                else:
                    _copy(old, new, tensors[name])
                done += tensors[name].end - tensors[name].begin
        places |= dict.fromkeys(tensors, file.name)
    if (source / model_folder.INDEX).is_file():
        index = {
            "metadata": {"total_size": size},
            "weight_map": dict(sorted(places.items())),
        }
        (out / model_folder.INDEX).write_text(
            json.dumps(index, indent=2) + "\n", "utf-8"
        )


def _write_edited(
    new: BinaryIO, file: Path, name: str, edit: Edit, length: int
) -> None:
    import torch
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        made = edit.compute(tensors.get_tensor(name), edit.dtype).contiguous()
    if (
        str(made.dtype) != f"torch.{edit.dtype}"
        or made.numel() * made.element_size() != length
    ):
        raise ValueError(f"{name} became {made.dtype}, {tuple(made.shape)}")
    new.write(made.reshape(-1).view(torch.uint8).numpy().data)


def _copy(old: BinaryIO, new: BinaryIO, tensor: Stored) -> None:
    old.seek(tensor.begin)
    left = tensor.end - tensor.begin
    while left:
        chunk = old.read(min(_CHUNK, left))
        if not chunk:
            raise EOFError("the file is shorter than its header says")
        new.write(chunk)
        left -= len(chunk)
