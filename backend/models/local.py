"""Base models on this machine: which are here, and in which folder. Light: reads no weights."""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from backend.errors import MissingPart, RunProblem, WorkspaceProblem
from backend.files import manifest
from backend.files.atomic import write_text
from backend.models import bundled, hub_token, model_folder
from backend.records.specs import ModelRef, RunSpec
from backend.settings import Workspace, child_path
from backend.tokens.tokenizer import ChatTokenizer

DEFAULT = bundled.MODEL_ID
_LOCAL, _ADOPTED = "local/", "folders.json"


def folder(workspace: Workspace, model_id: str) -> Path:
    """Where the model `model_id` (a hub id such as "owner/name") lies, or would: in the workspace, else in the
    Hugging Face cache if it is there, or where a person said (see `adopt`)."""
    if is_local(model_id) and model_id in (adopted := _adopted(workspace)):
        return Path(adopted[model_id])
    place = workspace_folder(workspace, model_id)
    return place if place.is_dir() else _snapshot(hub_cache() / f"models--{place.name}") or place


def workspace_folder(workspace: Workspace, model_id: str) -> Path:
    """Where the model lies, or would, in the workspace: unpacked or downloaded by this app."""
    if model_id == bundled.MODEL_ID:
        return bundled.folder(workspace)
    return child_path(workspace.models, model_id.replace("/", "--"))


def is_ready(workspace: Workspace, model_id: str) -> bool:
    """Whether the model can be loaded from this machine, as far as its files tell."""
    if model_id == bundled.MODEL_ID:
        return bundled.is_ready(workspace)
    return _is_usable(folder(workspace, model_id))


def register_folder(workspace: Workspace, place: Path) -> str:
    """Notes a model in a folder anywhere on this computer, which stays there, and gives the id to know it by.

    Raises MissingPart when there is no whole model in it, WorkspaceProblem when it asks for code of its own.
    """
    place = place.resolve()
    model_folder.check(place)
    if not _is_usable(place):
        raise MissingPart(
            f"The model in {place.name} can't be used.", "It lacks a tokenizer.json.", "Save it with its tokenizer."
        )
    model_id = _LOCAL + safe_name(place.name) + "-" + hashlib.sha256(str(place).encode()).hexdigest()[:6]
    write_text(workspace.models / _ADOPTED, json.dumps({**_adopted(workspace), model_id: str(place)}, indent=1))
    return model_id


def is_local(model_id: str) -> bool:
    """Whether the model is one that a person brought in a folder (see `adopt`), so that no hub knows its id."""
    return model_id.startswith(_LOCAL)


def safe_name(name: str) -> str:
    """`name` with nothing but what an id may hold."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name) or "model"


def _adopted(workspace: Workspace) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((workspace.models / _ADOPTED).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def hub_cache() -> Path:
    """Where the Hugging Face libraries keep what they download."""
    return Path(os.environ.get("HF_HUB_CACHE") or hub_token.hf_home() / "hub")


def cached() -> dict[str, Path]:
    """Whole models in the Hugging Face cache that can be loaded: id to folder."""
    found = {}
    for place in sorted(hub_cache().glob("models--*--*")):
        snapshot = _snapshot(place)
        if snapshot:
            found["/".join(place.name.split("--", 2)[1:])] = snapshot
    return found


def _snapshot(place: Path) -> Path | None:
    """Of a model in the cache the snapshot that is current there, else the newest one that can be loaded."""
    current = place / "snapshots" / _text(place / "refs" / "main")
    newest = sorted(place.glob("snapshots/*"), key=lambda path: path.stat().st_mtime, reverse=True)
    return next((snapshot for snapshot in [current, *newest] if _is_usable(snapshot)), None)


def _is_usable(place: Path) -> bool:
    try:
        model_folder.check(place)
    except (MissingPart, WorkspaceProblem):
        return False
    return (place / "tokenizer.json").is_file()


def size(workspace: Workspace, model_id: str) -> float:
    """MiB that the model's files take on the disk. Raises MissingPart when it is not here."""
    place = reference(workspace, model_id).path
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 2**20


def reference(workspace: Workspace, model_id: str) -> ModelRef:
    """The model as a run names it. Raises MissingPart when it is not here."""
    if not is_ready(workspace, model_id):
        raise MissingPart(
            f"The model {model_id[:100]} is not on this computer.",
            "It is not unpacked or downloaded yet.",
            "Choose the model that comes with the app, or wait until it is ready.",
        )
    place = folder(workspace, model_id)
    return ModelRef(id=model_id, path=place, revision=revision(place))


def revision(place: Path) -> str:
    """The commit on the hub that the model in this folder is of; "" where it is not known."""
    if place.parent.name == "snapshots":
        return place.name
    return str((manifest.read(place) or {}).get("revision", ""))


def relocate(spec: RunSpec, run_folder: Path) -> RunSpec:
    """`spec` with its model where it lies now: a workspace that was moved or renamed took its models along."""
    here = run_folder.parent.parent / "models" / spec.model.path.name
    if spec.model.path.is_dir() or not here.is_dir():
        return spec
    return spec.model_copy(update={"model": spec.model.model_copy(update={"path": here})})


def read_run(run_folder: Path) -> RunSpec:
    """The spec of the training in `run_folder`, its model `located`. Raises RunProblem when it holds none."""
    try:
        spec = RunSpec.model_validate_json((run_folder / "spec.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RunProblem(
            "This is no training run.", "It lacks a readable spec.json.", "Choose another run."
        ) from error
    return relocate(spec, run_folder)


def tokenizer(workspace: Workspace, model_id: str) -> ChatTokenizer:
    """The model's tokeniser, kept in memory. Raises MissingPart when the model is not here."""
    path = reference(workspace, model_id).path
    return _loaded(path, (path / "tokenizer.json").stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int) -> ChatTokenizer:
    return ChatTokenizer.load(path)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError:
        return "none"
