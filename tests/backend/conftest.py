"""Fixtures that are made once: a tiny model, a random adapter for the bundled model, and that model as GGUF."""

import hashlib
import importlib.util
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from backend.gguf import base_file
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
def shallow_f16(shallow_model: Path) -> Path:
    """Those layers as an F16 GGUF file."""
    file = shallow_model.with_name("shallow-F16.gguf")
    gguf.convert(shallow_model, file)
    return file


@pytest.fixture(scope="session")
def adapter(bundled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_adapter(tmp_path_factory.mktemp("adapter") / "adapter", bundled_model)


@pytest.fixture(scope="session")
def f16(request: pytest.FixtureRequest, bundled_model: Path) -> Path:
    """The bundled model as an F16 GGUF file. It is stored between runs until the model or the conversion changes."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is optional")
    folder = request.config.cache.mkdir("apprentice-f16")
    ours = hashlib.sha256(Path(str(gguf.__file__)).read_bytes() + gguf.CONVERTER_SHA256.encode()).hexdigest()[:12]
    file = folder / f"{base_file._version(bundled_model)}-{ours}.gguf"
    with FileLock(folder / ".lock"):  # other test processes want it too
        if not file.is_file():
            shutil.rmtree(folder / "made", ignore_errors=True)
            for old in folder.glob("*.gguf"):
                old.unlink()
            made = folder / "made" / file.name
            made.parent.mkdir()
            gguf.convert(bundled_model, made)
            made.replace(file)
    return file
