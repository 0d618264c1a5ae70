"""Where gradio puts uploaded files: into the workspace.

Its own choice, /tmp/gradio, belongs to whoever started a gradio app first on this computer, and no other user can
open the page then."""

from __future__ import annotations

import os
import shutil

from backend.settings import Workspace


def receive_in(workspace: Workspace) -> None:
    """Sets the folder, and deletes what was uploaded before a restart. To be called before gradio is imported: gradio
    6.31 reads the variable then, and again at each upload."""
    shutil.rmtree(workspace.uploads, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = str(workspace.uploads)
