"""The folder that is kept: result/adapter (or result/model where all weights were trained), with its tokenizer."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from backend.model_folder import TOKENISER_FILES


def folder_of(run_folder: Path, method: str) -> Path:
    """Where the result of a run lies, or will."""
    return run_folder / "result" / ("model" if method == "full" else "adapter")


def save(model: Any, base_folder: Path, target: Path) -> None:
    """Saves what was trained as safetensors, and the base's tokenizer and chat template beside it.

    `target` appears whole or not at all. Raises OSError.
    """
    unfinished = target.with_name(f".unfinished-{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        if hasattr(model, "peft_config"):
            model.save_pretrained(unfinished, save_embedding_layers=False)
            (unfinished / "README.md").unlink(missing_ok=True)  # a form to fill in
        else:
            model.save_pretrained(unfinished)
        for name in TOKENISER_FILES:
            if (base_folder / name).is_file():
                shutil.copyfile(base_folder / name, unfinished / name)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
