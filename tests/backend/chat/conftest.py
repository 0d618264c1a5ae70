"""The workspace in which chats and engines open the bundled model."""

from pathlib import Path

import pytest

from backend.settings import Workspace
from tests.linked_model import link_gguf


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, bundled_model: Path, bundled_gguf: Path | None) -> Workspace:
    """Its cache has the bundled model as llama.cpp answers from it."""
    made = Workspace.open(tmp_path_factory.mktemp("workspace"))
    if bundled_gguf:
        link_gguf(bundled_gguf, bundled_model, made)
    return made
