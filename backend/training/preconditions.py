"""What a run is refused for before a process starts (and once more when it does), each in a sentence."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from backend.errors import BadInput, BadSetting, NotEnough, TrainingFailed
from backend.estimate import Architecture
from backend.estimate.plan import adapted
from backend.estimate.reading import SUPPORTED
from backend.files import manifest
from backend.files.listing import files_in
from backend.hardware.probe import memory_mib
from backend.models import model_folder
from backend.records.specs import RunSpec, TrainSettings
from backend.records.units import MIB
from backend.runs.prepare import PreparedRun
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.distributed import process_group
from backend.training.schedule import schedule
from backend.training.state import checkpoints

_STATE = 12  # bytes of a trained number in a checkpoint: itself and the two moments of AdamW, in float32
_HELD = checkpoints.KEPT + 2  # checkpoints there may be at once: those kept, the best, and the one being written
_RESULT = 8  # bytes of a trained number in the result and in the one being written, in float32
_ROOM = 64 * MIB  # for events, log, tokenizer and data

# Kinds of models whose packed rows do not see each other (tests/backend/training/test_packing.py): all but LFM2,
# whose convolutions read across them.
PACKABLE = SUPPORTED - {"lfm2", "qwen3_5_text"}


class Learned(Protocol):
    """A row, before it is written or as read back."""

    @property
    def learned(self) -> int: ...


def before_start(run: PreparedRun, folder: Path, shape: Architecture) -> None:
    """Whether the run can be queued; `folder`: on the disk that it will lie on. shape: of its model.

    Raises BadInput, BadSetting, TrainingFailed, NotEnough.
    """
    check_packing(run.spec.model.path, run.spec.settings)
    process_group.check(run.spec.settings, process_group.visible_gpus())
    check_load_memory(shape, run.spec.settings)
    check_rows(run.train, run.spec.data.longest, model_folder.context_length(run.spec.model.path))
    schedule(len(run.train), len(run.validation), run.spec.settings)
    check_disk(folder, disk_needed(shape, run.spec.settings))


def check_chat_template(tokenizer: ChatTokenizer, conversations: bool) -> None:
    """Raises BadInput when the data are `conversations` and the model has no chat template."""
    if conversations and not tokenizer.chat_template:
        raise BadInput(
            "This model can't learn from conversations.",
            "It is a base model: it has no chat template, the form in which a model is given a conversation.",
            "Choose an instruct model, or bring plain texts.",
        )


def check_packing(model: Path, settings: TrainSettings) -> None:
    """Raises BadSetting when rows shall be packed and the model in the folder `model` may mix them up."""
    kind = model_folder.model_type(model)
    if settings.packing and kind not in PACKABLE:
        raise BadSetting(
            "Examples can't be packed for this model.",
            f"It is of a kind ({kind or 'unknown'}) in which packed examples may run into each other.",
            "Set packing to false: examples are then padded instead.",
        )


def check_rows(rows: Sequence[Learned], longest: int, limit: int) -> None:
    """Raises TrainingFailed when `rows` have nothing to learn, or the longest is over the model's limit (tokens)."""
    if not any(row.learned for row in rows):
        raise TrainingFailed(
            "There is nothing to learn in these examples.",
            "No token in them is an answer." if rows else "There are no examples.",
            "Look at the preview in the data tab: what is learned is coloured there.",
        )
    if longest > limit:
        raise TrainingFailed(
            "An example is longer than this model can read.",
            f"It has {longest} tokens, and the model reads at most {limit}.",
            f"Set max_length to {limit} or less, or choose a model with a longer context.",
        )


def trainable_parameters(shape: Architecture, settings: TrainSettings) -> int:
    """How many numbers are trained: all of the model, or each adapted layer's A and B (DoRA: and its lengths)."""
    if settings.method == "full":
        return shape.params
    named = adapted(settings.target_modules)
    blocks = [shape.matrices(index) for index in range(shape.num_layers)]
    sizes = [size for block in blocks for name, size in block.items() if name in named]
    lora = sum(settings.lora_rank * (outputs + inputs) for outputs, inputs in sizes)
    return lora + sum(outputs for outputs, _ in sizes if settings.use_dora)


def disk_needed(shape: Architecture, settings: TrainSettings) -> int:
    """Bytes that a run takes at most: _HELD checkpoints of _STATE bytes a trained number, its result, and _ROOM."""
    return trainable_parameters(shape, settings) * (_HELD * _STATE + _RESULT) + _ROOM


def check_disk(folder: Path, needed: int) -> None:
    """Raises NotEnough when the disk of `folder` has less than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NotEnough(
            "There is not enough room on the disk for this run.",
            f"Its saved states and its result need up to {-(-needed // MIB)} MiB, and {free // MIB} MiB are free.",
            "Delete runs or files that you no longer need, or choose another folder with --workspace DIR.",
        )


def check_load_memory(shape: Architecture, settings: TrainSettings) -> None:
    """Raises NotEnough when a divided model can't be loaded: each process first holds all of it in the computer's
    memory, and where all of it is trained, in float32 (4 bytes a number). An adapter's base is not counted: it may
    lie in mapped files that the processes have in common."""
    if settings.sharding == "none" or settings.method != "full":
        return
    needed, (_, free) = settings.num_processes * shape.params * 4 // MIB, memory_mib()
    if needed > free:
        raise NotEnough(
            "There is not enough memory to load the model in every process.",
            f"Each first holds all of it in the computer's memory: {needed} MiB in all, and {free} MiB are free.",
            "Choose a smaller model, or close other programs.",
        )


def before_resume(folder: Path, spec: RunSpec) -> None:
    """Whether the run in `folder` can go on, as far as names and sizes tell; contents are checked when it does.

    Raises TrainingFailed (data damaged, a saved state of another run), MissingPart (no model), NotEnough (no room).
    """
    model_folder.check(spec.model.path)
    if not manifest.holds(folder / "data"):
        raise TrainingFailed(
            "The examples of this run are damaged.",
            "A file in the run's data folder is missing or has changed since the run was made.",
            "Start a new run from your data.",
        )
    found = checkpoints.find(folder / "checkpoints", content=False).newest
    state = sum(file.stat().st_size for file in files_in(found)) if found else 0
    check_disk(folder, 2 * state + _ROOM)  # the next saved state, and a result smaller than one
