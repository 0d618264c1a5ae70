"""Runs the proofs on the card, within ten minutes, and prints what they measured as a table.

./start.sh test -m gpu                                          on a computer with an NVIDIA card
.venv/bin/python -m pytest tests/gpu -m gpu --on-processor      tiny, to see that the proofs are whole
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backend.tiny_run import make_model
from tests.gpu.figures import Figure, table, versions
from tests.gpu.place import CARD, TINY, Place

BUDGET = 420.0  # seconds, after which no further proof is begun: the whole command must end within ten minutes
FIGURES = pytest.StashKey[list[Figure]]()
START = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--on-processor", action="store_true", help="tests/gpu: run tiny on the processor")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        tiny = config.getoption("--on-processor", False)
        terminalreporter.section("tiny, on the processor: says nothing of a card" if tiny else "what was measured")
        for line in [versions(), "", *table(figures)]:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def device_of_the_proofs(request: pytest.FixtureRequest) -> Place:
    if request.config.getoption("--on-processor", False):
        return TINY
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch finds no NVIDIA card here")
    return CARD


@pytest.fixture
def place(device_of_the_proofs: Place) -> Iterator[Place]:
    """The card, with its memory free and nothing counted yet."""
    if device_of_the_proofs.is_card and time.monotonic() - START > BUDGET:
        pytest.skip("left out: the ten minutes are nearly over")
    device_of_the_proofs.clean()
    yield device_of_the_proofs
    device_of_the_proofs.clean()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Takes the fields of a Figure."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda *fields: figures.append(Figure(*fields))


@pytest.fixture(scope="session")
def tiny(device_of_the_proofs: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def middle(device_of_the_proofs: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return device_of_the_proofs.middle_model(tmp_path_factory.mktemp("middle"))
