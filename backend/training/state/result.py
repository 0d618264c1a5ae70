"""The result folder: result/adapter (result/model where all weights were trained), with
the tokenizer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.files.atomic import new_folder
from backend.files.disk_errors import disk_errors
from backend.models import causal_lm, model_folder
from backend.training.model import trainable


@contextmanager
def saved(model: Any, base_folder: Path, target: Path) -> Iterator[Path]:
    """Saves the trained weights as safetensors, with the base's tokenizer and chat
    template. The block gets the folder under a temporary name, to verify it. It is
    renamed to `target` when the block succeeds, else deleted. Raises OSError.
    """
    with new_folder(target) as unfinished:
        _save(model, unfinished, base_folder)
        model_folder.copy_files(base_folder, unfinished, model_folder.TOKENIZER_FILES)
        yield unfinished


def load(model: Any, folder: Path) -> None:
    """Loads weights that `saved` wrote. Raises KeyError or RuntimeError when they have
    another shape; OSError.
    """
    import torch
    from safetensors.torch import load_file

    if hasattr(model, "peft_config"):
        from peft import get_peft_model_state_dict

        own = get_peft_model_state_dict(model, save_embedding_layers=False)
        needed = set(own)
    else:
        own, needed = model.state_dict(), set(trainable(model))
    with torch.no_grad():
        for file in sorted(folder.glob("*.safetensors")):
            for name, value in load_file(file).items():
                own[name].copy_(value)
                needed.discard(name)
    if needed:
        raise KeyError(f"{len(needed)} weights are missing")


def _save(model: Any, folder: Path, base_folder: Path) -> None:
    with disk_errors():
        if hasattr(model, "peft_config"):
            model.save_pretrained(folder, save_embedding_layers=False)
            (folder / "README.md").unlink(missing_ok=True)  # peft's blank model card
        else:
            # A language part that was loaded alone is a model of its own, and its
            # weights get the names of one.
            model.save_pretrained(
                folder, save_original_format=not causal_lm.key_mapping(base_folder)
            )
