"""Thirty machines that people have, for docs/hardware.md: what start.py installs, what trains, and what is said.

python -m tests.backend.hardware.machines      writes the page
"""

import re
import tempfile
from pathlib import Path

import pytest

from backend.advice.recommend import recommend
from backend.advice.settings import Data, precision_for
from backend.hardware import load_hardware, probe
from backend.hardware.benchmark import rates_from
from backend.install.builds import Row
from backend.models import catalogue
from backend.records.units import format_rough, format_size
from backend.settings import PROJECT_ROOT
from tests.backend.hardware.simulated import T4, Card, Simulated, ampere

DOCUMENT = PROJECT_ROOT / "docs" / "hardware.md"

RTX5090 = Card("NVIDIA GeForce RTX 5090", (12, 0), 32607, 31900)
RTX4090 = Card("NVIDIA GeForce RTX 4090", (8, 9), 24564, 23900)
RTX3060 = Card("NVIDIA GeForce RTX 3060", (8, 6), 12288, 11700)
LAPTOP = Card("NVIDIA GeForce RTX 4060 Laptop GPU", (8, 9), 8188, 7700)
GTX1080 = Card("NVIDIA GeForce GTX 1080 Ti", (6, 1), 11264, 10900)
V100 = Card("Tesla V100-SXM2-16GB", (7, 0), 16384, 16100)
P40 = Card("Tesla P40", (6, 1), 24576, 24200)
H100 = Card("NVIDIA H100 80GB HBM3", (9, 0), 81559, 80900)
A100_PARTS = Card("NVIDIA A100-SXM4-40GB", (8, 0), 40960, 40000, slices=(4864, 19968))
K80 = Card("Tesla K80", (3, 7), 11441, 11400)
DEAD = Card("NVIDIA GeForce RTX 3090", (8, 6), 24576, 24000, lost=True)

MACHINES: dict[str, Simulated] = {
    "No GPU, 8 GB": Simulated(memory=8192),
    "No GPU, 16 GB, Windows": Simulated(system="Windows", memory=16384),
    "RTX 5090, driver 581, Windows": Simulated([RTX5090], "581.15", system="Windows"),
    "RTX 5090, driver 576, Windows": Simulated([RTX5090], "576.02", system="Windows"),
    "RTX 5090, driver 566, Windows": Simulated([RTX5090], "566.36", system="Windows"),
    "RTX 5090, driver 580, Linux": Simulated([RTX5090], "580.65.06"),
    "RTX 4090, driver 580, Linux": Simulated([RTX4090], "580.65.06"),
    "RTX 4090, driver 550, WSL": Simulated([RTX4090], "551.23"),
    "RTX 4090 added, PyTorch without CUDA": Simulated([RTX4090], "580.65.06", cuda=""),
    "RTX 3060, driver 531, Windows": Simulated([RTX3060], "531.14", system="Windows"),
    "RTX 4060 Laptop, driver 580, Windows": Simulated([LAPTOP], "580.88", system="Windows", memory=16384),
    "GTX 1080 Ti, driver 580, Windows": Simulated([GTX1080], "580.88", system="Windows"),
    "GTX 1080 Ti, PyTorch of PyPI": Simulated([GTX1080], "580.65.06", cuda="13.2"),
    "Tesla V100, driver 570": Simulated([V100], "570.133.07"),
    "Tesla T4, driver 535": Simulated([T4()], "535.104.05"),
    "Tesla T4, driver 535, PyTorch of PyPI": Simulated([T4()], "535.104.05", cuda="13.2"),
    "Tesla T4, driver 470": Simulated([T4()], "470.256.02"),
    "Tesla K80, driver 470": Simulated([K80], "470.256.02"),
    "H100, driver 580": Simulated([H100], "580.65.06", memory=131_072),
    "Two RTX 3090, the first dead": Simulated([DEAD, ampere()], "580.65.06"),
    "Tesla P40 and RTX 3060, driver 560": Simulated([P40, RTX3060], "560.35.03"),
    "Tesla P40 and RTX 3060, driver 580": Simulated([P40, RTX3060], "580.65.06"),
    "A100 in two parts (MIG)": Simulated([A100_PARTS], "580.65.06"),
    "T4 and RTX 3090, CUDA_VISIBLE_DEVICES=0": Simulated([T4(), ampere()], "580.65.06", visible="0"),
    "T4 and RTX 3090, CUDA_VISIBLE_DEVICES=0,1": Simulated([T4(), ampere()], "580.65.06", visible="0,1"),
    "RTX 3090, CUDA_VISIBLE_DEVICES=-1": Simulated([ampere()], "580.65.06", visible="-1"),
    "RTX 3090, CUDA_VISIBLE_DEVICES=3": Simulated([ampere()], "580.65.06", visible="3"),
    "RTX 3090, driver that does not answer": Simulated([ampere()], "580.65.06", broken="nvmlInit"),
    "DGX Spark": Simulated([Card("NVIDIA GB10", (12, 1), None)], "580.95.05", processor="arm64", memory=122_880),
    "Jetson Thor, JetPack 7": Simulated(
        [Card("NVIDIA Thor", (11, 0), None)], "580.00", processor="arm64", jetson=True, memory=125_952
    ),
    "Jetson Orin, JetPack 6": Simulated(
        [Card("Orin (nvgpu)", (8, 7), None)], "540.4.0", processor="arm64", jetson=True, memory=63_488
    ),
    "Mac, M1, 8 GB, macOS 14": Simulated(
        system="Darwin", processor="arm64", macos="14.6", chip="Apple M1", memory=8192
    ),
    "Mac, M1, 16 GB, macOS 13": Simulated(
        system="Darwin", processor="arm64", macos="13.6", chip="Apple M1", memory=16384
    ),
    "Mac with an Intel processor": Simulated(system="Darwin", macos="14.6", chip="i386"),
    "Radeon RX 7900 XTX, Linux": Simulated(amd=True),
    "Windows on Arm": Simulated(system="Windows", processor="arm64"),
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
        told = " ".join(" ".join(filter(None, (one.what, one.why))) for one in found.problems)
        cells = (device, precision_for(hardware), f"{chosen.model.name}, {chosen.settings.method}")
        if found.blocked:
            cells = ("refused", "-", "-")
        return f"| {name} | {_installed(row, machine)} | {' | '.join(cells)} | {told or '-'} |"


def _installed(row: Row, machine: Simulated) -> str:
    if machine.cuda == "fits":
        return row.build + (f", <{'.'.join(map(str, row.below))}" if row.below < (3,) else "")
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
    speed = MAC_SPEED if hardware.unified_memory else None if hardware.gpus else LAPTOP_SPEED
    best = recommend(hardware, EXAMPLES, rates=speed, compare=False)
    bundled = catalogue.default().id
    now = recommend(hardware, EXAMPLES, rates=speed, compare=False, available={bundled}, model_id=bundled)
    assert now.time is not None
    assert best.time is not None
    second = best.second.name if best.second else "-"
    return (
        f"| {name} | {now.model.name}, {format_rough(now.time.seconds)} | {best.model.name}, "
        f"{format_rough(best.time.seconds)} | {format_size(best.model.download_mib)} | {second} |"
    )


def document() -> str:
    """docs/hardware.md: the lines of its two tables made anew, below its own prose."""
    about, timing = re.findall(r"^##? .*?^\|(?:---\|)+\n", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = "\n".join(line(name, machine) for name, machine in MACHINES.items())
    return about + lines + "\n\n" + timing + "\n".join(times(*timed) for timed in TIMED.items()) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), "utf-8", newline="\n")
