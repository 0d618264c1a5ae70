"""The bundled model in another workspace, without unpacking or converting it again."""

import os
import shutil
from pathlib import Path

from backend.gguf import base_file
from backend.models import bundled
from backend.settings import HOME_VARIABLE, Workspace


def link_model(model: Path, workspace: Workspace) -> Path:
    """Links the files of the unpacked model (where the file system can't, copies them).
    Returns its folder.
    """
    return Path(shutil.copytree(model, bundled.folder(workspace), copy_function=_link))


def link_gguf(file: Path, model: Path, workspace: Workspace) -> None:
    """Links the GGUF file of the bundled model into the cache of a workspace that
    answers from `model`.
    """
    target = base_file.path(workspace, model)
    target.parent.mkdir(parents=True, exist_ok=True)
    _link(str(file), str(target))


def link_gguf_of(other: Workspace, model: Path, workspace: Workspace) -> None:
    """The same with the file of another workspace's bundled model, if it has one."""
    if (file := base_file.path(other, bundled.folder(other))).is_file():
        link_gguf(file, model, workspace)


def bundled_in(workspace: Workspace) -> Path:
    """The folder of the bundled model in a new workspace: linked from the one in
    $APPRENTICE_HOME, else unpacked.
    """
    home = os.environ.get(HOME_VARIABLE)
    if home and bundled.is_ready(Workspace.open(Path(home))):
        ours = Workspace.open(Path(home))
        link_gguf_of(
            ours, model := link_model(bundled.folder(ours), workspace), workspace
        )
        return model
    return bundled.ensure(workspace)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
