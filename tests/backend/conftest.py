"""Fixtures that are made once: a tiny model, a random adapter for the bundled model, and that model as GGUF."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from backend.gguf import convert as gguf
from tests.backend.shallow import make_shallow
from tests.backend.synthetic import make_adapter
from tests.backend.tiny_run import make_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama, which loads fast and answers nonsense."""
    return make_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def shallow_model(bundled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model's first layers, for what must be converted."""
    return make_shallow(tmp_path_factory.mktemp("shallow") / "model", bundled_model)


@pytest.fixture(scope="session")
def adapter(bundled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tmp_path_factory.mktemp("adapter") / "adapter", bundled_model)


@pytest.fixture(scope="session")
def f16(bundled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model as an F16 GGUF file."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is optional")
    file = tmp_path_factory.mktemp("gguf") / "bundled-F16.gguf"
    gguf.convert(bundled_model, file)
    return file
