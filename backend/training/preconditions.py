"""Checks before a run's process starts, each with its error; training repeats those
that could have changed.
"""

from collections.abc import Sequence
from pathlib import Path

from backend.errors import BadInput, BadSetting, TrainingFailed
from backend.estimate import Architecture
from backend.estimate.plan import adapted
from backend.estimate.reading import SUPPORTED
from backend.files import manifest
from backend.files.listing import files_in
from backend.models import model_folder
from backend.records.specs import RunSpec, TrainSettings
from backend.records.units import MIB
from backend.runs.prepare import PreparedRun
from backend.runs.token_rows import Tokens
from backend.tokens.tokenizer import ChatTokenizer
from backend.training.oom import require_bitsandbytes
from backend.training.schedule import schedule
from backend.training.state import checkpoints
from backend.work import require_disk

_CHECKPOINT_BYTES = (
    12  # per trained parameter: itself and the two moments of AdamW, in float32
)
_CHECKPOINTS = (
    checkpoints.KEPT + 2
)  # at most at once: the newest, the best, and the one being written
_RESULT_BYTES = (
    8  # per trained parameter: the result and the one being written, in float32
)
_OTHER_BYTES = 64 * MIB  # events, log, tokenizer and data

# Model types that keep packed rows apart (tests/backend/training/test_packing.py): all
# but LFM2, whose convolutions read across rows, Qwen3.5, whose recurrent layers do, and
# Granite 4.0, whose attention does in transformers.
PACKABLE = SUPPORTED - {"granitemoehybrid", "lfm2", "qwen3_5_text"}


def before_start(run: PreparedRun, folder: Path, shape: Architecture) -> None:
    """Checks that the run can be queued. folder: any folder on the run's disk. shape:
    of its model. Raises BadInput, BadSetting, MissingPart, TrainingFailed, NotEnough.
    """
    check_packing(run.spec.model.path, run.spec.settings)
    require_bitsandbytes(run.spec.settings)
    check_rows(
        run.train,
        run.spec.data.longest,
        model_folder.context_length(run.spec.model.path),
    )
    schedule(len(run.train), len(run.validation), run.spec.settings)
    check_disk(folder, disk_needed(shape, run.spec.settings))


def check_variant(spec: RunSpec) -> None:
    """Raises TrainingFailed for an older run whose LoRA is no longer trained."""
    if spec.variant:
        raise TrainingFailed(
            f"{spec.variant} can no longer be trained.",
            "Apprentice now trains plain LoRA only.",
            "Train a new model from your examples.",
        )


def check_chat_template(tokenizer: ChatTokenizer, conversations: bool) -> None:
    """Raises BadInput when the data are `conversations` and the model has no chat
    template.
    """
    if conversations and not tokenizer.chat_template:
        raise BadInput(
            "This model can't learn from conversations.",
            "It is a base model without a chat template, the format in which a model reads a conversation.",
            "Choose an instruct model, or use plain texts.",
        )


def check_packing(model: Path, settings: TrainSettings) -> None:
    """Raises BadSetting if rows are to be packed and the model in the folder `model`
    may mix them up.
    """
    kind = model_folder.model_type(model)
    if settings.packing and kind not in PACKABLE:
        raise BadSetting(
            "Examples can't be packed for this model.",
            f"It is of a kind ({kind or 'unknown'}) in which packed examples may run into each other.",
            "Set packing to false: examples are then padded instead.",
        )


def check_rows(rows: Sequence[Tokens], longest: int, limit: int) -> None:
    """Raises TrainingFailed if `rows` have nothing to learn, or `longest` exceeds the
    model's `limit` (tokens).
    """
    if not any(row.learned for row in rows):
        raise TrainingFailed(
            "There is nothing to learn in these examples.",
            "No token in them is part of an answer."
            if rows
            else "There are no examples.",
            "Check the preview on the Data tab, which colors the learned parts.",
        )
    if longest > limit:
        raise TrainingFailed(
            "An example is longer than this model can read.",
            f"It has {longest} tokens, and the model reads at most {limit}.",
            f"Set max_length to {limit} or less, or choose a model with a longer context.",
        )


def trainable_parameters(shape: Architecture, settings: TrainSettings) -> int:
    """The number of trained parameters: the whole model, or A and B of each adapted
    layer.
    """
    if settings.method == "full":
        return shape.params
    named = adapted(settings.target_modules)
    blocks = [shape.matrices(index) for index in range(shape.num_layers)]
    sizes = [
        size
        for block in blocks
        for name, size in block.items()
        if name.rpartition(".")[2] in named
    ]
    return sum(settings.lora_rank * (outputs + inputs) for outputs, inputs in sizes)


def disk_needed(shape: Architecture, settings: TrainSettings) -> int:
    """Bytes on disk that a run needs at most: its checkpoints, its result and other
    files.
    """
    return (
        trainable_parameters(shape, settings)
        * (_CHECKPOINTS * _CHECKPOINT_BYTES + _RESULT_BYTES)
        + _OTHER_BYTES
    )


def check_disk(folder: Path, needed: int) -> None:
    """Raises NotEnough if the disk of `folder` has less than `needed` bytes free."""
    advice = "Delete runs or files that you no longer need, or choose another folder with --workspace DIR."
    require_disk(
        folder, needed, "for the checkpoints and the result of this run", advice
    )


def before_resume(folder: Path, spec: RunSpec) -> None:
    """Checks names and sizes of the files that the run in `folder` resumes from; the
    run itself checks contents. Raises TrainingFailed (damaged data, a checkpoint of
    another run, a variant of LoRA), MissingPart (no model), NotEnough (disk space).
    """
    check_variant(spec)
    model_folder.check(spec.model.path)
    if not manifest.holds(folder / "data"):
        raise TrainingFailed(
            "The examples of this run are damaged.",
            "A file in the run's data folder is missing or has changed since the run was created.",
            "Start a new run from your data.",
        )
    newest = checkpoints.find(folder / "checkpoints", content=False).newest
    state = sum(file.stat().st_size for file in files_in(newest)) if newest else 0
    check_disk(
        folder, 2 * state + _OTHER_BYTES
    )  # the next checkpoint, and a result smaller than one
