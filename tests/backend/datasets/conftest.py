"""Fixtures for the tests of backend.datasets."""

from pathlib import Path

import pytest

from backend.datasets.store import DatasetStore
from tests.backend.datasets.builders import ROW


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    """An empty store in `tmp_path / "datasets"`."""
    (tmp_path / "datasets").mkdir()
    return DatasetStore(tmp_path / "datasets")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of four examples, of which the last has no answer."""
    path = tmp_path / "orders.jsonl"
    path.write_text(
        "".join(ROW % (word, word * 2) for word in ("one", "two", "three"))
        + ROW % ("four", "")
    )
    return path
