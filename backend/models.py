"""Base models on this machine: which are here, and in which folder. Light: reads no weights."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from backend import embedded, model_folder
from backend.errors import MissingPart, RunProblem
from backend.settings import Workspace, child
from backend.specs import ModelRef, RunSpec
from backend.template import Tokeniser

DEFAULT = embedded.MODEL_ID


def folder(workspace: Workspace, model_id: str) -> Path:
    """Where the model `model_id` (a hub id such as "owner/name") lies, or would."""
    if model_id == embedded.MODEL_ID:
        return embedded.folder(workspace)
    return child(workspace.models, model_id.replace("/", "--"))


def is_ready(workspace: Workspace, model_id: str) -> bool:
    """Whether the model can be loaded from this machine, as far as its files tell."""
    if model_id == embedded.MODEL_ID:
        return embedded.is_ready(workspace)
    try:
        model_folder.check(folder(workspace, model_id))
    except MissingPart:
        return False
    return True


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
    return ModelRef(id=model_id, path=folder(workspace, model_id))


def located(spec: RunSpec, run_folder: Path) -> RunSpec:
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
    return located(spec, run_folder)


def tokeniser(workspace: Workspace, model_id: str) -> Tokeniser:
    """The model's tokeniser, kept in memory. Raises MissingPart when the model is not here."""
    path = reference(workspace, model_id).path
    return _loaded(path, (path / "tokenizer.json").stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _loaded(path: Path, _changed: int) -> Tokeniser:
    return Tokeniser.load(path)
