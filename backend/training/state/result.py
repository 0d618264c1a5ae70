"""The folder that is kept: result/adapter (or result/model where all weights were trained), with its tokenizer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.files.disk_errors import disk_errors
from backend.models.model_folder import TOKENIZER_FILES
from backend.training.distributed.collective import ProcessGroup
from backend.training.distributed.sharding import gather
from backend.training.model import trainable


def folder_of(run_folder: Path, method: str) -> Path:
    """Where the result of a run lies, or will."""
    return run_folder / "result" / ("model" if method == "full" else "adapter")


@contextmanager
def saved(model: Any, base_folder: Path, target: Path, group: ProcessGroup) -> Iterator[Path]:
    """Saves what was trained as safetensors, and the base's tokenizer and chat template beside it.

    The block gets the folder, under another name, to prove it; `target` appears when the block ends well. Where it
    does not, nothing new is left. Of a `team` the first process writes, and the others read what it wrote.
    Raises OSError.
    """
    unfinished = target.with_name(f".unfinished-{target.name}")
    weights = gather(trainable(model), keep=group.is_main) if group.sharded else None
    if not group.is_main:
        group.any_true(True)  # the first one has written
        yield unfinished
        return
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        _save(model, unfinished, weights)
        for name in TOKENIZER_FILES:
            if (base_folder / name).is_file():
                shutil.copyfile(base_folder / name, unfinished / name)
        group.any_true(True)
        yield unfinished
        shutil.rmtree(target, ignore_errors=True)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _save(model: Any, folder: Path, weights: dict[str, Any] | None) -> None:
    with disk_errors():
        if hasattr(model, "peft_config"):
            model.save_pretrained(folder, state_dict=weights, save_embedding_layers=False)
            (folder / "README.md").unlink(missing_ok=True)  # a form to fill in
        else:
            model.save_pretrained(folder, state_dict=weights)
