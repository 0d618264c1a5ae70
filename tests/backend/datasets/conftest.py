"""Fixtures for the tests of backend.datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.datasets.store import DatasetStore


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    """An empty store in `tmp_path / "datasets"`."""
    (tmp_path / "datasets").mkdir()
    return DatasetStore(tmp_path / "datasets")
