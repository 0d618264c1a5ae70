"""Thirty machines that people have, for docs/hardware.md: what start.py installs, what
trains, and what is said.

python -m tests.backend.hardware.machines      writes the page
"""

import re
import tempfile
from pathlib import Path

import pytest

from backend.advice.recommend import recommend
from backend.advice.settings import Data, precision_for
from backend.files.json_file import read_json
from backend.hardware import load_hardware, probe
from backend.hardware.benchmark import rates_from
from backend.install.builds import Row
from backend.models import catalogue
from backend.records.units import format_rough, format_size
from backend.settings import PROJECT_ROOT
from tests.backend.hardware.simulated import Card, Simulated

DOCUMENT = PROJECT_ROOT / "docs" / "hardware.md"

_TABLES = read_json(PROJECT_ROOT / "tests" / "data" / "simulated_machines.json")
_CARDS = {
    name: Card(**{**card, "capability": tuple(card["capability"])})
    for name, card in _TABLES["cards"].items()
}
MACHINES = {
    name: Simulated(
        **{**facts, "cards": [_CARDS[card] for card in facts.get("cards", ())]}
    )
    for name, facts in _TABLES["machines"].items()
}


def line(name: str, machine: Simulated) -> str:
    """A line of the table."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        row = machine.install(patch, Path(folder))
        installed = {"": "none"}.get(row.build, row.build)
        if not row.build:
            return f"| {name} | {installed} | - | - | - | {row.why} {row.advice} |"
        found = probe(Path(folder))
        hardware = found.hardware
        chosen = recommend(hardware, compare=False)
        device = hardware.gpus[0].name if hardware.gpus else "processor"
        if len(hardware.gpus) > 1:
            device += f" (number {hardware.gpus[0].index})"
        told = " ".join(
            " ".join(filter(None, (one.what, one.why))) for one in found.problems
        )
        cells = (
            device,
            precision_for(hardware),
            f"{chosen.model.name}, {chosen.settings.method}",
        )
        if found.blocked:
            cells = ("refused", "-", "-")
        return f"| {name} | {_installed(row, machine)} | {' | '.join(cells)} | {told or '-'} |"


def _installed(row: Row, machine: Simulated) -> str:
    if machine.cuda == "fits":
        return row.build + (
            f", <{'.'.join(map(str, row.below))}" if row.below < (3,) else ""
        )
    return f"here: CUDA {machine.cuda or '-'}; fits: {row.build}"


FILES = PROJECT_ROOT / "tests" / "backend" / "machines"
TIMED = {
    "Laptop, 8 GB, no card": "cpu8", "Laptop, 16 GB, no card": "cpu16", "Desktop, 24 GB, no card": "cpu24",
    "MacBook, M2, 16 GB": "macbook16", "Laptop, RTX 4060 8 GB": "laptop4060", "RTX 3060 12 GB": "rtx3060",
    "Tesla T4 16 GB": "t4", "RTX 3090 24 GB": "rtx3090", "RTX 4090 24 GB": "rtx4090", "RTX A6000 48 GB": "a6000",
    "H100 80 GB": "h100",
}  # fmt: skip
EXAMPLES = Data(rows=240, longest=96, tokens=17_000, learned_share=0.4)
LAPTOP_SPEED = rates_from("cpu", 150e9, 150e9, 12e9, 1.1e-6)
MAC_SPEED = rates_from("mps", 2.5e12, 2.2e12, 60e9, 5e-6)


def times(name: str, file: str) -> str:
    """A line of the table of times."""
    hardware = load_hardware(FILES / f"{file}.json")
    speed = (
        MAC_SPEED
        if hardware.unified_memory
        else None
        if hardware.gpus
        else LAPTOP_SPEED
    )
    best = recommend(hardware, EXAMPLES, rates=speed, compare=False)
    bundled = catalogue.default().id
    now = recommend(
        hardware,
        EXAMPLES,
        rates=speed,
        compare=False,
        available={bundled},
        model_id=bundled,
    )
    assert now.time is not None
    assert best.time is not None
    return (
        f"| {name} | {now.model.name}, {format_rough(now.time.seconds)} | {best.model.name}, "
        f"{format_rough(best.time.seconds)} | {format_size(best.model.download_mib)} |"
    )


def document() -> str:
    """docs/hardware.md: the lines of its two tables made anew, below its own prose."""
    about, timing = re.findall(
        r"^##? .*?^\|(?:---\|)+\n",
        DOCUMENT.read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    lines = "\n".join(line(name, machine) for name, machine in MACHINES.items())
    return (
        about
        + lines
        + "\n\n"
        + timing
        + "\n".join(times(*timed) for timed in TIMED.items())
        + "\n"
    )


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8", newline="\n")
