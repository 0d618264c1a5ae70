"""Which build of PyTorch fits a machine, as a table.

The first row of `TABLE` whose conditions all hold applies.

Sources, read in November 2026:
  RELEASE   https://github.com/pytorch/pytorch/blob/main/RELEASE.md, the compatibility matrices of 2.10 to 2.14
  2.15      https://github.com/pytorch/pytorch/issues/190385: the last builds for Maxwell to Volta are of 2.14
  DRIVERS   https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
  PYPI      the wheels on PyPI, asked with `pip install --dry-run --platform`
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from backend.install.pins import first_untested_torch

INDEX = "https://download.pytorch.org/whl/"  # https://pytorch.org/get-started/locally/
Version = tuple[int, ...]

_RELEASE, _DRIVERS = "RELEASE.md", "CUDA compatibility, minor versions"
_UPDATE = "Install the newest driver from https://www.nvidia.com/drivers, restart the computer, then start again."


class Machine(NamedTuple):
    """Facts that the choice depends on. capability: of the newest NVIDIA GPU. driver: its version, () if unknown.
    os_version: of macOS. amd: the name of an AMD GPU with memory of its own. jetson: an NVIDIA Jetson board. rosetta:
    a Python for Intel processors on a Mac with an Apple processor."""

    system: str
    processor: str = "x86_64"
    nvidia: bool = False
    capability: Version | None = None
    driver: Version = ()
    os_version: Version = ()
    amd: str = ""
    jetson: bool = False
    rosetta: bool = False
    is_32_bit: bool = False


class Row(NamedTuple):
    """A kind of machine and the build for it. build: the name of an index of PyTorch's, "PyPI", or "" if there is no
    build and the app can't run. below: the first version of torch without this build. cuda: how the CUDA version of a
    fitting build begins, "" for one without CUDA. From `system` to `needs`: what must hold; "", () and None stand for
    anything, and versions are [least, below). keep: whether any installed build is as good. falls_back: whether the
    processor trains in place of a GPU; else training waits until the advice was followed. why: the reason. advice:
    what the person should know or do. source: of the fact."""

    what: str
    build: str
    below: Version = (3,)
    cuda: str = ""
    system: str = ""
    processor: str = ""
    nvidia: bool | None = None
    capability: tuple[Version, Version] = ((), ())
    driver: tuple[Version, Version] = ((), ())
    os_version: tuple[Version, Version] = ((), ())
    needs: str = ""  # a field of `Machine` that must be true
    keep: bool = False
    falls_back: bool = False
    why: str = ""
    advice: str = ""
    source: str = ""

    @property
    def torch(self) -> str:
        """The requirement: versions that have this build, up to those that the tests have seen."""
        return "torch>=2.10,<" + ".".join(map(str, min(self.below, first_untested_torch())))


TABLE = (
    Row(
        "Python for 32 bits", "", needs="is_32_bit", source="PYPI",
        why="PyTorch needs a Python for 64 bits.",
        advice="Install the 64-bit Python 3.12 from https://www.python.org/downloads, then start again.",
    ),
    Row(
        "Python for Intel on an Apple processor", "", needs="rosetta", source="PYPI",
        why="This Python was made for Macs with an Intel processor, for which there is no PyTorch any more.",
        advice="Install Python 3.12 for Apple silicon from https://www.python.org/downloads, then start again.",
    ),
    Row(
        "Mac with an Intel processor", "", system="Darwin", processor="x86_64", source="PYPI",
        why="There is no PyTorch for Macs with an Intel processor any more.",
        advice="Use a Mac with an Apple processor, a computer with Windows or Linux, or a Space on Hugging Face.",
    ),
    Row(
        "Windows on an Arm processor", "", system="Windows", processor="arm64", source="PYPI",
        why="PyPI has no PyTorch for a Python of Windows on Arm.",
        advice="Install the 64-bit Python 3.12 for Intel and AMD from https://www.python.org/downloads (Windows "
        "translates it), then start again.",
    ),
    Row(
        "Mac with macOS 13 or older", "PyPI", (2, 12), system="Darwin", os_version=((), (14,)),
        falls_back=True, source=_RELEASE,
        why="Newer builds need macOS 14, and so does the graphics chip (MPS).",
        advice="Training uses the processor only. Update to macOS 14 or newer to train on the graphics chip.",
    ),
    Row(
        "Mac with an Apple processor", "PyPI", system="Darwin", source=_RELEASE,
        why="PyPI's build for macOS uses the graphics chip (MPS).",
    ),
    Row(
        "AMD GPU, Linux", "cpu", system="Linux", nvidia=False, needs="amd", keep=True, falls_back=True,
        source="not tried",
        why="PyTorch has builds for AMD (ROCm), but Apprentice has never been tried with one.",
        advice="Training uses the processor, because Apprentice can't use AMD GPUs.",
    ),
    Row(
        "AMD GPU, Windows", "PyPI", system="Windows", nvidia=False, needs="amd", keep=True, falls_back=True,
        source="not tried",
        why="PyTorch has no builds for AMD on Windows; AMD offers its own, which Apprentice was never tried with.",
        advice="Training uses the processor, because Apprentice can't use AMD GPUs.",
    ),
    Row(
        "no GPU, Linux", "cpu", system="Linux", nvidia=False, keep=True, source=_RELEASE,
        why="It is a tenth of the size of PyPI's build, which brings CUDA along.",
    ),
    Row(
        "no GPU, Windows", "PyPI", system="Windows", nvidia=False, keep=True, source="PYPI",
        why="PyPI's build for Windows has no CUDA.",
    ),
    Row(
        "Jetson with JetPack 6 or older", "cpu", needs="jetson", driver=((), (580,)),
        keep=True, falls_back=True, source=_DRIVERS,
        why="PyTorch's builds with CUDA work on a Jetson from JetPack 7 on.",
        advice="Training uses the processor only. Install JetPack 7, then start again.",
    ),
    Row(
        "NVIDIA GPU whose driver does not answer", "PyPI", cuda="13.", system="Linux", driver=((), (1,)), keep=True,
        source="-", why="The GPU and its driver could not be identified.",
        advice="The driver of the GPU does not answer. Restart the computer, then start again. If that does "
        "not help, install the driver from https://www.nvidia.com/drivers.",
    ),
    Row(
        "NVIDIA GPU whose driver does not answer", "cu126", (2, 15), "12.6", system="Windows",
        driver=((), (1,)), keep=True, source="-",
        why="The GPU and its driver could not be identified; this build works on most computers.",
        advice="The driver of the GPU does not answer. Restart the computer, then start again. If that does "
        "not help, install the driver from https://www.nvidia.com/drivers.",
    ),
    Row(
        "NVIDIA GPU before Maxwell (below 5.0)", "cpu", capability=((), (5, 0)),
        keep=True, falls_back=True, source=_RELEASE,
        why="No current PyTorch has code for it.",
        advice="The GPU is too old for PyTorch, so training uses the processor.",
    ),
    Row(
        "driver before 525", "cpu", driver=((), (525,)), keep=True, source=_DRIVERS,
        why="CUDA 12 needs driver 525, and PyTorch has no builds for older ones.",
        advice="The driver of the GPU is too old for PyTorch. " + _UPDATE,
    ),
    Row(
        "Blackwell (10.0 and newer), driver before 570", "cpu", capability=((10, 0), ()), driver=((), (570,)),
        keep=True, source=_DRIVERS,
        why="CUDA 12.8, the first with code for it, came with driver 570.",
        advice="The driver of the GPU is too old for it. " + _UPDATE,
    ),
    Row(
        "Blackwell (10.0 and newer), driver 570 to 579", "cu128", (2, 12), "12.8",
        capability=((10, 0), ()), driver=((), (580,)), source=_RELEASE,
        why="CUDA 13 needs driver 580; CUDA 12.8 has code for Blackwell, and ended with PyTorch 2.11.",
        advice="With driver 580 or newer you get a newer PyTorch: https://www.nvidia.com/drivers.",
    ),
    Row(
        "Maxwell, Pascal, Volta (5.0 to 7.2)", "cu126", (2, 15), "12.6", capability=((), (7, 5)),
        source=_RELEASE + ", 2.15",
        why="CUDA 13 has no code for them; CUDA 12.6 has, and ended with PyTorch 2.14.",
    ),
    Row(
        "Turing to Hopper (7.5 to 9.0), driver 525 to 579", "cu126", (2, 15), "12.6",
        driver=((), (580,)), source=_DRIVERS,
        why="CUDA 13 needs driver 580; CUDA 12.6 runs from driver 525 on, and ended with PyTorch 2.14.",
        advice="With driver 580 or newer you get a newer PyTorch: https://www.nvidia.com/drivers.",
    ),
    Row(
        "Turing and newer (7.5), driver 580, Linux", "PyPI", cuda="13.", system="Linux", source=_RELEASE,
        why="PyPI's builds for Linux have CUDA 13.",
    ),
    Row(
        "Turing and newer (7.5), driver 580, Windows", "cu130", cuda="13.", system="Windows", source=_RELEASE,
        why="PyPI's builds for Windows have no CUDA.",
    ),
)  # fmt: skip

# For which GPUs the builds have code: CUDA's version to [least, below) of the capability (RELEASE.md). Builds with
# CUDA 12.8 had Volta up to PyTorch 2.10.
_CODE: dict[str, tuple[Version, Version]] = {
    "12.6": ((5, 0), (10, 0)),
    "12.8": ((7, 0), (13,)),
    "13.": ((7, 5), (13,)),
}


def row_for(machine: Machine) -> Row:
    """The row of the table that applies. Raises LookupError for a system that PyTorch has no builds for."""
    if machine.system not in ("Linux", "Windows", "Darwin"):
        raise LookupError(machine.system)
    return next(row for row in TABLE if _applies(row, machine))


def _applies(row: Row, machine: Machine) -> bool:
    capability = machine.capability if machine.capability is not None else (8, 0)  # unknown: one of most people's
    return (
        row.system in ("", machine.system)
        and row.processor in ("", machine.processor)
        and (row.nvidia is None or row.nvidia == machine.nvidia)
        and _within(capability, row.capability)
        and _within(machine.driver, row.driver)
        and _within(machine.os_version, row.os_version)
        and (not row.needs or bool(getattr(machine, row.needs)))
    )


def _within(version: Version, limits: tuple[Version, Version]) -> bool:
    least, below = limits
    return least <= version and (not below or version < below)


def has_code(cuda: str, capability: Version) -> bool | None:
    """Whether a build for this CUDA version has code for a GPU; None for a build that is not in the matrix."""
    return next((_within(capability, limits) for name, limits in _CODE.items() if cuda.startswith(name)), None)


def fits(row: Row, cuda: str | None) -> bool:
    """Whether an installed build is right for the row. cuda: its CUDA version, "" for none, None if not installed."""
    return cuda is not None and (row.keep or (cuda.startswith(row.cuda) if row.cuda else not cuda))


def pip_arguments(row: Row) -> list[str]:
    """The arguments with which `pip install` gets the row's build."""
    return [row.torch] if row.build == "PyPI" else [row.torch, "--index-url", INDEX + row.build]


def command(row: Row, python: str) -> str:
    """The command that installs the row's build with this Python."""
    return f'"{python}" -m pip install --force-reinstall ' + " ".join(
        f'"{word}"' if "<" in word else word for word in pip_arguments(row)
    )


def release_of(torch: Path) -> Version:
    """The major and minor version of the torch in this folder, () if there is none."""
    match = re.search(r"^__version__[^=\n]*=\s*['\"](\d+)\.(\d+)", _version_file(torch), re.MULTILINE)
    return tuple(map(int, match.groups())) if match else ()


def cuda_of(torch: Path) -> str | None:
    """The CUDA version of the torch in this folder, "" for none, None if there is no torch."""
    text = _version_file(torch)
    match = re.search(r"^cuda[^=\n]*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    return match.group(1) if match else "" if text else None


def _version_file(torch: Path) -> str:
    """The text of the file with the version of torch, "" if there is none."""
    try:
        return (torch / "version.py").read_text("utf-8")
    except OSError:
        return ""
