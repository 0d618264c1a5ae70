"""Fixtures for the tests of backend.models."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.models import hub as hub_client
from backend.models import hub_token
from backend.settings import Workspace
from tests.backend.models.model_hub import FakeWork, Hub, pin, running, small_model


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    served = small_model()
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(hub_token, "find", lambda: None)
    monkeypatch.setattr(hub_client, "_PAUSE", 0.0)
    pin(monkeypatch, "")
    with running(served) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield served


@pytest.fixture
def work(hub: Hub, tmp_path: Path) -> FakeWork:
    return FakeWork(Workspace.open(tmp_path / "home"))
