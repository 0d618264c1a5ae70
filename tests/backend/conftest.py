"""Fixtures that are made once: a tiny model, a random adapter for the bundled model,
and GGUF files.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from backend.gguf import convert as gguf
from backend.models import bundled
from backend.settings import Workspace
from backend.training import session
from tests.backend.synthetic import make_adapter
from tests.backend.tiny_run import make_model
from tests.conftest import MadeOnce


@pytest.fixture(scope="package", autouse=True)
def short_samples() -> Iterator[None]:
    """What a model answers while it is trained, more slowly than all else if it never
    ends, is a few tokens long.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            session, "sample_answers", partial(session.sample_answers, new_tokens=4)
        )
        yield


@pytest.fixture(scope="session")
def tiny_model(made_once: MadeOnce) -> Path:
    """A random two-layer Llama, which loads fast and answers nonsense."""
    return made_once("tiny", make_model)


@pytest.fixture(scope="session")
def shallow_model(first_layers: Workspace) -> Path:
    """The bundled model's first layers, for what must be converted."""
    return bundled.folder(first_layers)


@pytest.fixture(scope="session")
def shallow_f16(shallow_model: Path, made_once: MadeOnce) -> Path:
    """Those layers as an F16 GGUF file."""
    return made_once("shallow-F16.gguf", lambda file: gguf.convert(shallow_model, file))


@pytest.fixture(scope="session")
def shallow_adapter(shallow_model: Path, made_once: MadeOnce) -> Path:
    """A random adapter for those layers."""
    return made_once(
        "shallow-adapter", lambda folder: make_adapter(folder, shallow_model)
    )


@pytest.fixture(scope="session")
def adapter(bundled_model: Path, made_once: MadeOnce) -> Path:
    return made_once("adapter", lambda folder: make_adapter(folder, bundled_model))
