"""Runs the proofs on the card, within ten minutes, and prints what they measured as a
table.

./start.sh test -m gpu                               on a computer with an NVIDIA card
./start.sh test tests/gpu -m gpu --python PYTHON     also against Unsloth, which this other Python has
./start.sh test tests/gpu -m gpu --on-processor      tiny, to see that the proofs are whole
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest

from backend.hardware.gpu_choice import require_usable_gpu
from backend.hardware.process import show_one_gpu
from tests.backend.tiny_run import make_model
from tests.benchmarks import trainers
from tests.gpu.place import CARD, TINY, Place, Record, random_llama

BUDGET = 420.0  # seconds, after which no further proof is begun: the whole command must end within ten minutes
FOLDER = Path("tests/gpu")
FIRST = (
    "test_way",
    "test_peers",
    "test_out_of_memory",
    "test_memory_and_speed",
)  # if the time is not enough for all
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes")


class Figure(NamedTuple):
    """proof: what is compared. case: its settings. measured, against: the figure, and
    the one to compare it with.
    """

    proof: str
    case: str
    measured: str
    against: str = ""


FIGURES = pytest.StashKey[list[Figure]]()
START = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--on-processor",
        action="store_true",
        help="tests/gpu: run tiny on the processor",
    )
    parser.addoption("--python", help="tests/gpu: a Python that has Unsloth")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """The most important proofs come first. On a card a library's warning is shown, and
    fails no proof: nobody knows yet which ones there are.
    """
    proofs = [
        item
        for item in items
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("gpu")
    ]
    if not config.getoption("--on-processor", False):
        for item in proofs:
            item.add_marker(pytest.mark.filterwarnings("default"))
    items[:] = [item for item in items if item not in proofs]
    items += sorted(
        proofs,
        key=lambda item: (
            FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST)
        ),
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    figures = config.stash.get(FIGURES, [])
    skipped = terminalreporter.stats.get("skipped", [])
    proofs = [
        one for one in skipped if Path(one.nodeid.partition("::")[0]).parent == FOLDER
    ]
    if figures or proofs:
        tiny = config.getoption("--on-processor", False)
        terminalreporter.section(
            "tiny, on the processor: says nothing of a card"
            if tiny
            else "what was measured"
        )
        for line in [versions(), "", *table(figures), *left_out(proofs)]:
            terminalreporter.write_line(line)


def table(figures: Sequence[Figure]) -> list[str]:
    """Lines with aligned columns, in the order of the figures; a proof is named once."""
    rows = [Figure("Proof", "Case", "Measured", "Against"), *figures]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines, before = [], ""
    for row in rows:
        cells = [row.proof if row.proof != before else "", row.case, row.measured]
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  ".join([*padded, row.against]).rstrip())
        before = row.proof
    return lines


def versions() -> str:
    found = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    return ", ".join(f"{name} {found.get(name, 'none')}" for name in PACKAGES)


def left_out(reports: Sequence[pytest.TestReport]) -> list[str]:
    """Each reason for which proofs were skipped, and which."""
    names: dict[str, list[str]] = {}
    for report in reports:
        reason = (
            report.longrepr[2]
            if isinstance(report.longrepr, tuple)
            else str(report.longrepr)
        )
        names.setdefault(reason.removeprefix("Skipped: "), []).append(
            report.nodeid.rpartition("::")[2]
        )
    return [
        f"Left out, because {reason}: {', '.join(each)}"
        for reason, each in names.items()
    ]


@pytest.fixture(scope="session")
def device_of_the_proofs(request: pytest.FixtureRequest) -> Place:
    if python := request.config.getoption("--python", None):
        os.environ[trainers.PYTHONS["unsloth"]] = python
    if request.config.getoption("--on-processor", False):
        return TINY
    require_usable_gpu()  # a card that torch can't use is no reason to skip
    show_one_gpu()  # as in a training: with two in sight the trainer refuses to work
    os.environ["PYTORCH_ALLOC_CONF"] = (
        "expandable_segments:False"  # as in the estimate, whichever proof comes first
    )
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch finds no NVIDIA card here")
    return CARD


@pytest.fixture
def place(device_of_the_proofs: Place, tmp_path: Path) -> Iterator[Place]:
    """The card, with its memory free and nothing counted yet. The files of the proof,
    many gigabytes, don't stay.
    """
    if device_of_the_proofs.is_card and time.monotonic() - START > BUDGET:
        pytest.skip("the ten minutes are nearly over")
    device_of_the_proofs.clean()
    yield device_of_the_proofs
    device_of_the_proofs.clean()
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda *fields: figures.append(Figure(*fields))


@pytest.fixture(scope="session")
def tiny(device_of_the_proofs: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def middle(
    device_of_the_proofs: Place, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A random Llama with the tokenizer of the tiny model."""
    return random_llama(
        tmp_path_factory.mktemp("middle"),
        device_of_the_proofs.kind,
        device_of_the_proofs.shape,
    )
