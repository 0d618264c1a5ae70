"""The bundled model in another workspace, without unpacking it again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from backend.models import bundled
from backend.settings import HOME_VARIABLE, Workspace


def link_model(model: Path, workspace: Workspace) -> Path:
    """Links the files of the unpacked model (where the file system can't, copies them). Returns its folder."""
    return Path(shutil.copytree(model, bundled.folder(workspace), copy_function=_link))


def bundled_in(workspace: Workspace) -> Path:
    """The folder of the bundled model in a new workspace: linked from the one in $APPRENTICE_HOME, else unpacked."""
    home = os.environ.get(HOME_VARIABLE)
    if home and bundled.is_ready(Workspace.open(Path(home))):
        return link_model(bundled.folder(Workspace.open(Path(home))), workspace)
    return bundled.ensure(workspace)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
