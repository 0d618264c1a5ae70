"""Fixtures that are made once, for all test processes: a tiny model, a random adapter for the bundled model, its first
layers, and these as GGUF."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from backend.gguf import convert as gguf
from backend.training import session
from tests.backend.shallow import make_shallow
from tests.backend.synthetic import make_adapter
from tests.backend.tiny_run import make_model

MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """made_once(name, make): the file or folder that `make` makes at a path, in the first test process that asks."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder  # of all processes

    def once(name: str, make: Callable[[Path], object]) -> Path:
        path, made = folder / "once" / name, folder / "once" / f".{name}.made"
        made.parent.mkdir(exist_ok=True)
        with FileLock(made.with_suffix(".lock")):
            if not made.is_file():
                shutil.rmtree(path, ignore_errors=True)  # by a process that failed
                make(path)
                made.touch()
        return path

    return once


@pytest.fixture(scope="package", autouse=True)
def short_samples() -> Iterator[None]:
    """What a model answers while it is trained, more slowly than all else if it never ends, is a few tokens long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "sample_answers", partial(session.sample_answers, new_tokens=4))
        yield


@pytest.fixture(scope="session")
def tiny_model(made_once: MadeOnce) -> Path:
    """A random two-layer Llama, which loads fast and answers nonsense."""
    return made_once("tiny", make_model)


@pytest.fixture(scope="session")
def shallow_model(bundled_model: Path, made_once: MadeOnce) -> Path:
    """The bundled model's first layers, for what must be converted."""
    return made_once("shallow", lambda folder: make_shallow(folder, bundled_model))


@pytest.fixture(scope="session")
def shallow_f16(shallow_model: Path, made_once: MadeOnce) -> Path:
    """Those layers as an F16 GGUF file."""
    return made_once("shallow-F16.gguf", lambda file: gguf.convert(shallow_model, file))


@pytest.fixture(scope="session")
def adapter(bundled_model: Path, made_once: MadeOnce) -> Path:
    return made_once("adapter", lambda folder: make_adapter(folder, bundled_model))


@pytest.fixture(scope="session")
def f16(bundled_model: Path, made_once: MadeOnce) -> Path:
    """The bundled model as an F16 GGUF file."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is optional")
    return made_once("F16.gguf", lambda file: gguf.convert(bundled_model, file))
