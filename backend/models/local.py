"""Base models on this computer: which are installed, and in which folder. Light: reads
no weights.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from backend.errors import MissingPart, RunProblem, WorkspaceProblem
from backend.files import manifest
from backend.files.atomic import write_text
from backend.files.json_file import read_if_json
from backend.files.listing import files_in, text_of
from backend.models import bundled, hub_token, model_folder
from backend.records.base import read_record
from backend.records.specs import ModelRef, RunSpec
from backend.records.units import MIB
from backend.settings import Workspace, child_path
from backend.tokens.tokenizer import ChatTokenizer

DEFAULT = bundled.MODEL_ID
_LOCAL, _REGISTERED = "local/", "folders.json"


def folder(workspace: Workspace, model_id: str) -> Path:
    """The model's folder: a registered one (see `register_folder`), that in the
    workspace, or the current or else the newest usable snapshot in the Hugging Face
    cache. If it is not installed, where it would be in the workspace.
    """
    if is_local(model_id) and model_id in (
        registered := read_if_json(workspace.models / _REGISTERED)
    ):
        return Path(registered[model_id])
    ours = workspace_folder(workspace, model_id)
    if ours.is_dir():
        return ours
    cached = hub_cache() / f"models--{ours.name}"
    current = (
        cached / "snapshots" / (text_of(cached / "refs" / "main").strip() or "none")
    )
    newest = sorted(
        cached.glob("snapshots/*"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return next(
        (snapshot for snapshot in [current, *newest] if _is_usable(snapshot)), ours
    )


def workspace_folder(workspace: Workspace, model_id: str) -> Path:
    """The model's folder in the workspace, where this app unpacks or downloads it."""
    if model_id == bundled.MODEL_ID:
        return bundled.folder(workspace)
    return child_path(workspace.models, _folder_name(model_id))


def _folder_name(model_id: str) -> str:
    return model_id.replace("/", "--")


def is_ready(workspace: Workspace, model_id: str) -> bool:
    """Whether the model is installed, judging by its files."""
    if model_id == bundled.MODEL_ID:
        return bundled.is_ready(workspace)
    return _is_usable(folder(workspace, model_id))


def downloaded(workspace: Workspace, model_ids: Iterable[str]) -> set[str]:
    """The ids of the models that were downloaded, into the workspace or the Hugging
    Face cache. Only folders that exist are looked into: the page asks for the whole
    catalogue many times a second.
    """
    present = set()
    for path in (workspace.models, hub_cache()):
        with suppress(OSError):  # no such folder
            present |= {
                name.casefold().removeprefix("models--") for name in os.listdir(path)
            }  # some ignore the case
    named = [
        model_id
        for model_id in model_ids
        if _folder_name(model_id).casefold() in present
    ]
    return {model_id for model_id in named if is_ready(workspace, model_id)}


def register_folder(workspace: Workspace, path: Path) -> str:
    """Remember a model in a folder anywhere on this computer, and return its id. The
    files stay where they are. Raises MissingPart when the model is incomplete, or its
    tokenizer or chat template fails, WorkspaceProblem when it needs its own code.
    """
    path = path.resolve()
    model_folder.check(path)
    if not _is_usable(path):
        raise MissingPart(
            f"The model in {path.name} can't be used.",
            "It has no tokenizer.json.",
            "Save one, too.",
        )
    ChatTokenizer.load(path)
    model_id = (
        _LOCAL
        + safe_name(path.name)
        + "-"
        + hashlib.sha256(str(path).encode()).hexdigest()[:6]
    )
    registered = {**read_if_json(workspace.models / _REGISTERED), model_id: str(path)}
    write_text(workspace.models / _REGISTERED, json.dumps(registered, indent=1))
    return model_id


def is_local(model_id: str) -> bool:
    """Whether the id is that of a registered folder, unknown to the hub."""
    return model_id.startswith(_LOCAL)


def safe_name(name: str) -> str:
    """`name` with every character that an id can't contain replaced by a dash."""
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
        or "model"
    )


def hub_cache() -> Path:
    """The folder where the Hugging Face libraries store downloads."""
    return Path(os.environ.get("HF_HUB_CACHE") or hub_token.hf_home() / "hub")


def _is_usable(path: Path) -> bool:
    try:
        model_folder.check(path)
    except (MissingPart, WorkspaceProblem):
        return False
    return (path / "tokenizer.json").is_file()


def size(workspace: Workspace, model_id: str) -> float:
    """Size of the model's files in MiB. Raises MissingPart when it is not installed."""
    return (
        sum(
            file.stat().st_size
            for file in files_in(reference(workspace, model_id).path)
        )
        / MIB
    )


def reference(workspace: Workspace, model_id: str) -> ModelRef:
    """The model as a run's spec names it. Raises MissingPart when it is not installed."""
    if not is_ready(workspace, model_id):
        raise MissingPart(
            f"The model {model_id[:100]} is not on this computer.",
            "It has not been unpacked or downloaded yet.",
            "Choose the model that comes with the app, or wait until this one is ready.",
        )
    path = folder(workspace, model_id)
    return ModelRef(id=model_id, path=path, revision=revision(path))


def revision(path: Path) -> str:
    """The hub commit of the model in this folder; "" if unknown."""
    if path.parent.name == "snapshots":
        return path.name
    return str((manifest.read(path) or {}).get("revision", ""))


def relocate(spec: RunSpec, run_folder: Path) -> RunSpec:
    """`spec` with the current path of its model, for a workspace that was moved or
    renamed with its models.
    """
    moved = run_folder.parent.parent / "models" / spec.model.path.name
    if spec.model.path.is_dir() or not moved.is_dir():
        return spec
    return spec.model_copy(
        update={"model": spec.model.model_copy(update={"path": moved})}
    )


def read_run(run_folder: Path) -> RunSpec:
    """The spec of the training run in `run_folder`, see `relocate`. Raises RunProblem
    when there is none.
    """
    try:
        spec = read_record(RunSpec, run_folder / "spec.json")
    except (OSError, ValueError) as error:
        raise RunProblem(
            "This is not a training run.",
            "It has no readable spec.json.",
            "Choose another.",
        ) from error
    return relocate(spec, run_folder)


def learned(run_folder: Path, method: str) -> Path:
    """The folder of what a run learned: an adapter, or all weights with the method
    "full".
    """
    return run_folder / "result" / ("model" if method == "full" else "adapter")


def tokenizer(workspace: Workspace, model_id: str) -> ChatTokenizer:
    """The model's tokenizer, cached in memory; the bundled model need not be unpacked
    for it. Raises MissingPart when the model is not installed, WorkspaceProblem when
    the bundled one's file is damaged.
    """
    if model_id == bundled.MODEL_ID and not bundled.is_ready(workspace):
        return bundled.tokenizer()
    path = reference(workspace, model_id).path
    return _load_tokenizer(path, (path / "tokenizer.json").stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _load_tokenizer(path: Path, _modified: int) -> ChatTokenizer:
    return ChatTokenizer.load(path)
