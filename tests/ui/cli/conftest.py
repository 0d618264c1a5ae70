"""Fixtures for the tests of the command line."""

import pytest

from backend.settings import Workspace
from tests.ui.cli.shell import Shell


@pytest.fixture
def app(
    workspace_with_model: Workspace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Shell:
    monkeypatch.setenv("APPRENTICE_HOME", str(workspace_with_model.root))
    return Shell(workspace_with_model, capsys)
