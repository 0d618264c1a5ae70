"""Uploaded files lie in the workspace, until the app starts again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.settings import Workspace
from ui.web.serve import receive_uploads_in


def test_old_uploads_are_deleted_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "unset")
    workspace = Workspace.open(tmp_path)
    old, own = workspace.uploads / "abc" / "old.csv", tmp_path / "uploads" / "mine.csv"
    for file in (old, own):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"a,b")
    receive_uploads_in(workspace)
    assert (old.exists(), own.exists()) == (False, True)
    assert Path(os.environ["GRADIO_TEMP_DIR"]).is_relative_to(workspace.cache)
