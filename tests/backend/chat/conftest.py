"""The workspace in which chats and engines open the bundled model."""

from pathlib import Path

import pytest

from backend.models import bundled
from backend.settings import Workspace
from tests.linked_model import link_gguf, link_gguf_of


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory,
    bundled_model: Path,
    bundled_gguf: Path | None,
    first_layers: Workspace,
) -> Workspace:
    """Its cache has the bundled model, and its first layers, as llama.cpp answers from
    them.
    """
    made = Workspace.open(tmp_path_factory.mktemp("workspace"))
    if bundled_gguf:
        link_gguf(bundled_gguf, bundled_model, made)
        link_gguf_of(first_layers, bundled.folder(first_layers), made)
    return made
