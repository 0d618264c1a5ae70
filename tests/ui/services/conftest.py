"""Fixtures for the tests of the services."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.settings import Workspace
from ui.services.app import App


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """The services over an empty workspace in `tmp_path / "workspace"`."""
    made = App(Workspace.open(tmp_path / "workspace"))
    yield made
    made.close()
